"""Where steps that share no disk find what the steps before them returned."""

from __future__ import annotations

import dagster as dg

from node_import.objects.client import s3_client
from node_import.objects.own_bucket import OwnBucket
from node_import.settings import settings_of_this_process

PREFIX = "step-outputs"

# `PickledObjectS3IOManager` puts this between the prefix and the id of the run.
_STORAGE = "storage"


def remove_outputs_of(bucket: OwnBucket, run_id: str) -> None:
    """Remove what the steps of a run have put into the bucket; TransientError if it is away."""
    bucket.remove(f"{PREFIX}/{_STORAGE}/{run_id}/")


@dg.io_manager(
    description="Pickles of what steps return, a few KB each, under `step-outputs/` of the "
    "importer's bucket. References to rows, never rows. They go with their run."
)
def bucket_io_manager(_: dg.InitResourceContext) -> dg.IOManager:
    """Takes no configuration: bucket, endpoint and credentials are the importer's settings."""
    # Importing it takes a second of CPU, which every run on a shared disk would pay for nothing.
    from dagster_aws.s3.io_manager import PickledObjectS3IOManager

    settings = settings_of_this_process()
    return PickledObjectS3IOManager(settings.s3_bucket, s3_client(settings), PREFIX)
