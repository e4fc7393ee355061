"""Where steps that share no disk find what the steps before them returned."""

from __future__ import annotations

import dagster as dg
from dagster_aws.s3.io_manager import PickledObjectS3IOManager

from node_import.objects.client import s3_client
from node_import.settings import settings_of_this_process

PREFIX = "step-outputs"


@dg.io_manager(
    description="Pickles of what steps return, a few KB each, under `step-outputs/` of the "
    "importer's bucket. References to rows, never rows. Nothing deletes them: let the bucket."
)
def bucket_io_manager(_: dg.InitResourceContext) -> PickledObjectS3IOManager:
    """Takes no configuration: bucket, endpoint and credentials are the importer's settings."""
    settings = settings_of_this_process()
    return PickledObjectS3IOManager(settings.s3_bucket, s3_client(settings), PREFIX)
