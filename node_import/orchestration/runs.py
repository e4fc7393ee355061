"""A run of the job, as the pipeline sees it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import dagster as dg

from node_import.jobs.heartbeat import beating
from node_import.jobs.run_tags import tags_of_partition
from node_import.orchestration.dagster_runs import DagsterRuns
from node_import.orchestration.resources import MinioResource, PostgresResource
from node_import.orchestration.retries import is_last_try, tried_again
from node_import.pipeline.publish_status import RunReport
from node_import.pipeline.workshop import Run, Workshop
from node_import.settings import settings_of_this_process


def run_of(context: dg.OpExecutionContext) -> Run:
    """The run that `context` belongs to, and whether its step has another try."""
    return Run(
        id=context.run_id,
        partition_key=context.partition_key,
        is_live=DagsterRuns(context.instance, context.job_name).is_live,
        last_try=is_last_try(context, settings_of_this_process()),
        log=context.log,
    )


@contextmanager
def at_work(
    context: dg.OpExecutionContext, postgres: PostgresResource, minio: MinioResource
) -> Iterator[Workshop]:
    """The workshop of a step, with the run's heartbeat while the step works.

    What fails in the block is tried again, while there is another try.
    """
    settings = settings_of_this_process()
    database = postgres.database()
    heart = beating(database, context.run_id, settings.heartbeat_seconds)
    with tried_again(context, settings), heart:
        yield Workshop(settings, database, minio.store())


def tag_start(context: dg.OpExecutionContext, workshop: Workshop) -> None:
    """Tags by which people find the run, if nobody gave it any: a backfill does not."""
    if "node_import/job_id" not in context.run.tags:
        with workshop.database.operator() as conn:
            tags = tags_of_partition(conn, context.partition_key)
        context.instance.add_run_tags(context.run_id, tags)


def tag_end(context: dg.OpExecutionContext, report: RunReport) -> None:
    """How it ended, for the list of runs."""
    processed = sum(job.processed_nodes for job in report.jobs)
    total = sum(job.total_nodes for job in report.jobs)
    tags = {"node_import/status": report.status, "node_import/nodes": f"{processed} of {total}"}
    context.instance.add_run_tags(context.run_id, tags)
