"""The one boto3 client of this process's settings."""

from __future__ import annotations

from typing import TYPE_CHECKING

import boto3
import botocore.session
from botocore.config import Config
from botocore.exceptions import BotoCoreError
from botocore.loaders import create_loader

from node_import.errors import UsageError
from node_import.settings import Settings

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

CONNECT_TIMEOUT = 10  # seconds
READ_TIMEOUT = 60  # seconds without a byte
MAX_ATTEMPTS = 5  # of one request, by botocore's own backoff

# Reads the description of S3, 90 ms of CPU, once a process instead of once a client.
_LOADER = create_loader()

_IMPATIENT = Config(
    retries={"mode": "standard", "total_max_attempts": 1}, connect_timeout=3, read_timeout=3
)


def s3_client(settings: Settings, *, patient: bool = True) -> S3Client:
    """A client for the configured store; a setting that cannot work is a UsageError.

    One that is not `patient` asks once, and for an answer within seconds.
    """
    secret = settings.s3_secret_key
    if (settings.s3_access_key is None) != (secret is None):
        message = (
            "NODE_IMPORT_S3_ACCESS_KEY and NODE_IMPORT_S3_SECRET_KEY belong together: set both, "
            "or neither to use the machine's own AWS credentials"
        )
        raise UsageError(message)
    try:
        return _session().client(
            "s3",
            endpoint_url=settings.s3_endpoint_url,
            region_name=settings.s3_region,
            aws_access_key_id=settings.s3_access_key,
            aws_secret_access_key=secret.get_secret_value() if secret else None,
            verify=_ca_file(settings),
            config=_config() if patient else _config().merge(_IMPATIENT),
        )
    except (ValueError, BotoCoreError) as error:
        message = f"the object store's settings do not fit together: {error}"
        raise UsageError(message) from error


def read_description() -> None:
    """Read beforehand what every client needs, so that processes forked from this one have it."""
    _session().client("s3", "us-east-1", aws_access_key_id="-", aws_secret_access_key="-")  # noqa: S106


def _session() -> boto3.session.Session:
    """A new one: it would keep the credentials that it found."""
    session = botocore.session.get_session()
    session.register_component("data_loader", _LOADER)
    return boto3.session.Session(botocore_session=session)


def _ca_file(settings: Settings) -> str | None:
    """Said explicitly: left to the environment, AWS_CA_BUNDLE would win over our setting."""
    if settings.s3_ca_file is None:
        return None
    if not settings.s3_ca_file.is_file():
        message = f"NODE_IMPORT_S3_CA_FILE: there is no file {settings.s3_ca_file}"
        raise UsageError(message)
    return str(settings.s3_ca_file)


def _config() -> Config:
    return Config(
        signature_version="s3v4",
        # MinIO and moto have no DNS name for each bucket.
        s3={"addressing_style": "path"},
        retries={"mode": "standard", "total_max_attempts": MAX_ATTEMPTS},
        connect_timeout=CONNECT_TIMEOUT,
        read_timeout=READ_TIMEOUT,
        tcp_keepalive=True,
        # boto3 1.36 began to send checksums that older S3-compatible stores refuse:
        # github.com/boto/boto3/issues/4392
        request_checksum_calculation="when_required",
        response_checksum_validation="when_required",
    )
