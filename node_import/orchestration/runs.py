"""A run of the job, as the pipeline sees it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import dagster as dg

from node_import.database import Database
from node_import.errors import TransientError
from node_import.jobs.heartbeat import beating
from node_import.jobs.releasing import release
from node_import.jobs.run_tags import tags_of_partition
from node_import.orchestration.dagster_runs import DagsterRuns
from node_import.orchestration.resources import MinioResource, PostgresResource
from node_import.orchestration.retries import is_last_try, tried_again
from node_import.pipeline.publish_status import RunReport
from node_import.pipeline.workshop import LOGGER, Run, Workshop
from node_import.settings import settings_of_this_process


def run_of(context: dg.OpExecutionContext) -> Run:
    """The run that `context` belongs to, and whether its step has another try."""
    return Run(
        id=context.run_id,
        partition_key=context.partition_key,
        is_live=DagsterRuns(context.instance, context.job_name).is_live,
        last_try=is_last_try(context, settings_of_this_process()),
        is_being_canceled=lambda: _is_being_canceled(context),
        log=context.log,
    )


@contextmanager
def at_work(
    context: dg.OpExecutionContext, postgres: PostgresResource, minio: MinioResource
) -> Iterator[Workshop]:
    """The workshop of a step, with the run's heartbeat while the step works.

    What fails in the block is tried again, while there is another try. When the block is
    interrupted because the worker is told to stop, the run's jobs are released.
    """
    settings = settings_of_this_process()
    database = postgres.database()
    heart = beating(database, context.run_id, settings.heartbeat_seconds)
    with tried_again(context, settings), heart, _released_when_stopped(context, database):
        yield Workshop(settings, database, minio.store())


@contextmanager
def _released_when_stopped(context: dg.OpExecutionContext, database: Database) -> Iterator[None]:
    """Not under `multiprocess`: other steps of the run may still be at the slices they have.

    There, and where an interrupt comes between two steps, recovery sees that the run was
    interrupted and puts its jobs back.
    """
    try:
        yield
    except (KeyboardInterrupt, dg.DagsterExecutionInterruptedError):
        alone = settings_of_this_process().executor != "multiprocess"
        if alone and not _is_being_canceled(context):
            _release(context, database)
        raise


def _release(context: dg.OpExecutionContext, database: Database) -> None:
    try:
        released = release(database, context.run_id)
    except TransientError as error:
        context.log.warning("The run's jobs were not released, recovery puts them back: %s", error)
        return
    for job_id in released:
        context.log.warning("Job %s is released: it is due again at once.", job_id)


def _is_being_canceled(context: dg.OpExecutionContext) -> bool:
    """Where Dagster cannot be asked the answer is yes: then nothing more happens, as in a cancel.

    What becomes of the jobs is left to recovery, which can ask later.
    """
    try:
        runs = DagsterRuns(context.instance, context.job_name)
        return runs.is_being_canceled(context.run_id)
    except Exception as error:  # noqa: BLE001 - whatever Dagster's storage raises
        LOGGER.warning("Dagster does not say whether run %s is canceled: %s", context.run_id, error)
        return True


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
