"""The embedded object store: moto's S3 in a process of its own."""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import TYPE_CHECKING

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from node_import.stack.child import Child, Guardian
from node_import.stack.credentials import Credentials
from node_import.stack.layout import Layout
from node_import.stack.ports import LOOPBACK
from node_import.stack.python_process import own_environment, python_command
from node_import.stack.start_failure import StartFailed

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

REGION = "us-east-1"
# What the importer itself writes, and where producers put their files.
BUCKETS = ("node-import", "imports")
START_SECONDS = 60.0
# How the server process learns its key; `ps` shows arguments to everybody.
ACCESS_KEY_VARIABLE = "NODE_IMPORT_S3_ACCESS_KEY"


class ObjectStore:
    """One S3 endpoint on a loopback port; its objects lie in the data directory."""

    def __init__(self, layout: Layout, port: int, credentials: Credentials) -> None:
        self._credentials = credentials
        self.endpoint_url = f"http://{LOOPBACK}:{port}"
        self.child = Child(
            name="s3",
            argv=python_command(
                "node_import.stack.s3_server", f"--port={port}", f"--folder={layout.objects}"
            ),
            log=layout.logs / "s3.log",
            env={**own_environment(), ACCESS_KEY_VARIABLE: credentials.s3_access_key},
            cwd=layout.root,
        )

    def launch(self, guard: Guardian) -> None:
        """Start the process; it needs a second or two, in which others can start too."""
        self.child.start(guard)

    def wait_until_ready(self, buckets: Iterable[str] = BUCKETS) -> None:
        """Wait until it answers, and make the buckets that are missing."""
        client = self._client()
        deadline = time.monotonic() + START_SECONDS
        while True:
            try:
                known = {bucket["Name"] for bucket in client.list_buckets()["Buckets"]}
                break
            except (BotoCoreError, ClientError) as error:
                if not self.child.is_running():
                    raise StartFailed("S3", self.child.log_tail()) from error
                if time.monotonic() > deadline:
                    raise StartFailed("S3", str(error)) from error
                time.sleep(0.05)
        for bucket in set(buckets) - known:
            client.create_bucket(Bucket=bucket)
        client.close()

    def _client(self) -> S3Client:
        return boto3.client(
            "s3",
            endpoint_url=self.endpoint_url,
            aws_access_key_id=self._credentials.s3_access_key,
            aws_secret_access_key=self._credentials.s3_secret_key,
            region_name=REGION,
            config=Config(retries={"max_attempts": 1}, s3={"addressing_style": "path"}),
        )
