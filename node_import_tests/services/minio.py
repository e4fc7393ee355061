"""MinIO: one node on one folder, plain or with TLS."""

from __future__ import annotations

import os
import secrets
import ssl
import time
import urllib.error
import urllib.request
from pathlib import Path

from node_import.stack.child import Child, Guardian
from node_import.stack.layout import write_private
from node_import.stack.ports import LOOPBACK
from node_import.stack.start_failure import StartFailed
from node_import_tests.services.artefacts import minio_program
from node_import_tests.services.certificates import Certificate

START_SECONDS = 60.0


class MinioServer:
    """One server. With a certificate it speaks nothing but TLS."""

    def __init__(
        self, folder: Path, ports: tuple[int, int], certificate: Certificate | None = None
    ) -> None:
        """`ports`: S3's, and the console's, which is off and still wants one."""
        self.access_key = "node-import-root"
        self.secret_key = secrets.token_hex(16)
        port, console = ports
        certificates = folder / "certificates"
        certificates.mkdir(parents=True)
        if certificate:
            (certificates / "public.crt").write_bytes(certificate.certificate)
            write_private(certificates / "private.key", certificate.key.decode())
        self.endpoint_url = f"{'https' if certificate else 'http'}://{LOOPBACK}:{port}"
        addresses = ["--address", f"{LOOPBACK}:{port}", "--console-address"]
        self.child = Child(
            name="minio",
            argv=[
                *(str(minio_program()), "server", str(folder / "data")),
                *(*addresses, f"{LOOPBACK}:{console}"),
                *("--certs-dir", str(certificates), "--quiet"),
            ],
            log=folder / "minio.log",
            env={
                "PATH": os.environ.get("PATH", ""),
                "HOME": str(folder),
                "MINIO_ROOT_USER": self.access_key,
                "MINIO_ROOT_PASSWORD": self.secret_key,
                "MINIO_BROWSER": "off",
            },
            cwd=folder,
        )

    def launch(self, guard: Guardian) -> None:
        """Start the process."""
        self.child.start(guard)

    def wait_until_ready(self) -> None:
        """Until it takes objects.

        Raises:
            StartFailed: with the end of its log.
        """
        deadline = time.monotonic() + START_SECONDS
        while not self._is_ready():
            if not self.child.is_running() or time.monotonic() > deadline:
                raise StartFailed("MinIO", self.child.log_tail())
            time.sleep(0.1)

    def _is_ready(self) -> bool:
        anybody = ssl.create_default_context()
        anybody.check_hostname = False
        anybody.verify_mode = ssl.CERT_NONE
        url = f"{self.endpoint_url}/minio/health/ready"
        try:
            urllib.request.urlopen(url, timeout=2, context=anybody).close()
        except OSError:
            return False
        return True
