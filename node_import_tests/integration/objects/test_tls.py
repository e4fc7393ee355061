"""An object store behind TLS with certificates of its own."""

from __future__ import annotations

import shutil
import ssl
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from node_import.contracts.error_codes import ErrorCode
from node_import.errors import NodeImportError, PermanentError, TransientError
from node_import.objects.location import S3Location
from node_import.objects.store import ObjectStore

pytestmark = pytest.mark.skipif(not shutil.which("openssl"), reason="makes keys with openssl")


def self_signed(folder: Path, name: str) -> Path:
    """A certificate for 127.0.0.1 with its key, in one file."""
    path = folder / f"{name}.pem"
    key = folder / f"{name}.key"
    subprocess.run(
        f"openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 "
        f"-subj /CN={name} -addext subjectAltName=IP:127.0.0.1 -keyout {key} -out {path}".split(),
        check=True,
        capture_output=True,
    )
    path.write_bytes(path.read_bytes() + key.read_bytes())
    return path


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    return self_signed(tmp_path, "store")


@pytest.fixture
def endpoint(certificate: Path, refusing: Callable[..., str]) -> str:
    """A TLS store that knows no key."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    return refusing(404, "NoSuchKey", context)


def failure(store: ObjectStore) -> NodeImportError:
    with pytest.raises(NodeImportError) as caught:
        store.pin(S3Location("bucket", "key"))
    return caught.value


def test_the_configured_ca_wins_over_the_environment(
    endpoint: str,
    certificate: Path,
    tmp_path: Path,
    store_at: Callable[..., ObjectStore],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """AWS_CA_BUNDLE in a container's environment does not replace our own setting."""
    monkeypatch.setenv("AWS_CA_BUNDLE", str(self_signed(tmp_path, "other")))
    error = failure(store_at(endpoint, s3_ca_file=certificate))
    assert isinstance(error, PermanentError)
    assert error.code == ErrorCode.FILE_NOT_FOUND  # the answer came through


def test_an_unknown_ca_says_which_setting_to_change(
    endpoint: str, store_at: Callable[..., ObjectStore]
) -> None:
    """A certificate that nobody vouches for is an outage, with a hint."""
    error = failure(store_at(endpoint))
    assert isinstance(error, TransientError)
    assert error.code == ErrorCode.OBJECT_STORE_UNAVAILABLE
    assert "NODE_IMPORT_S3_CA_FILE" in error.message
