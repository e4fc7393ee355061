"""The two sensors: one turns messages into runs, the other looks after what was left behind.

The cursor of the request sensor shows how far each partition was read; it does not own that.
Positions live in PostgreSQL, in the transaction that wrote the jobs.
"""

from __future__ import annotations

import time
from functools import partial

import dagster as dg

from node_import.database import Database
from node_import.errors import TransientError
from node_import.intake.report import IntakeReport
from node_import.jobs.dispatch import Dispatch, dispatch
from node_import.jobs.recovery import recover
from node_import.orchestration.dagster_runs import DagsterRuns
from node_import.orchestration.job import JOB_NAME
from node_import.orchestration.partitions import import_requests
from node_import.orchestration.resources import KafkaResource, MinioResource, PostgresResource
from node_import.orchestration.retention import prune
from node_import.orchestration.step_outputs import remove_outputs_of
from node_import.pipeline.leftovers import remove_stale_areas
from node_import.pipeline.workshop import staging_areas
from node_import.publishing.status_publisher import PublishReport, publish_outbox
from node_import.settings import RunSettings, settings_of_this_process

# The daemon begins ticks on a grid of 5 s. What an outage of Kafka has kept is to be sent within
# 10 s of its end.
RECOVERY_INTERVAL_SECONDS = 5

# What is looked for is a day old at least, and to look means to list a folder or a bucket.
TIDY_INTERVAL_SECONDS = 3600.0
PRUNE_SECONDS = 15.0


def request_sensor(job: dg.JobDefinition, settings: RunSettings) -> dg.SensorDefinition:
    """The sensor that reads requests from Kafka and dispatches the job table."""

    @dg.sensor(
        name="request_sensor",
        job=job,
        minimum_interval_seconds=settings.sensor_interval,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="Reads requests from Kafka into the job table and dispatches what is due.",
    )
    def request_sensor(
        context: dg.SensorEvaluationContext,
        postgres: PostgresResource,
        minio: MinioResource,
        kafka: KafkaResource,
    ) -> dg.SensorResult:
        settings = settings_of_this_process()
        runs = DagsterRuns(context.instance, JOB_NAME)
        linger_until = time.monotonic() + settings.intake_linger_seconds
        while True:
            outages: list[str] = []
            report = _read_requests(context, kafka, postgres, minio, outages)
            dispatched = dispatch(
                postgres.database(),
                settings,
                runs,
                files_can_be_read=partial(_files_can_be_read, context, minio, outages),
            )
            if dispatched or report is None or not report.is_quiet:
                break
            if not kafka.wait_for_requests(report, linger_until):
                break
        return _result(dispatched, report, outages, context.cursor)

    return request_sensor


def recovery_sensor() -> dg.SensorDefinition:
    """A sensor without runs: a run would wait in the queue behind the dead runs it must clear."""

    @dg.sensor(
        name="recovery_sensor",
        minimum_interval_seconds=RECOVERY_INTERVAL_SECONDS,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description=(
            "Puts back jobs whose run died, sends what is left in the outbox, removes staged rows "
            "that nobody will read and what Dagster keeps of imports that ended long ago."
        ),
    )
    def recovery_sensor(
        context: dg.SensorEvaluationContext,
        postgres: PostgresResource,
        minio: MinioResource,
        kafka: KafkaResource,
    ) -> dg.SkipReason:
        settings = settings_of_this_process()
        database = postgres.database()
        recovery = recover(database, settings, DagsterRuns(context.instance, JOB_NAME))
        for run_id in recovery.dead_runs:
            run = context.instance.get_run_by_id(run_id)
            if run is not None:
                context.instance.report_run_failed(run, "its worker gives no sign of life")
        sent = _send_outbox(context, database, kafka)
        tidied = _tidy(context, database, minio)
        return dg.SkipReason(
            f"{len(recovery.put_back)} jobs put back, {len(recovery.closed)} closed, "
            f"{len(recovery.dead_runs)} dead runs reported, {sent.events} events and "
            f"{sent.letters} dead letters sent{tidied}."
        )

    return recovery_sensor


def _read_requests(
    context: dg.SensorEvaluationContext,
    kafka: KafkaResource,
    postgres: PostgresResource,
    minio: MinioResource,
    outages: list[str],
) -> IntakeReport | None:
    """What was read; if nothing could be, what is in the job table can run all the same."""
    try:
        report = kafka.read_requests(postgres.database(), minio.store())
    except TransientError as error:
        context.log.warning("No requests were read: %s", error)
        outages.append(str(error))
        return None
    for alert in report.alerts:
        context.log.error(alert)
    for warning in report.warnings:
        context.log.warning(warning)
    return report


def _files_can_be_read(
    context: dg.SensorEvaluationContext, minio: MinioResource, outages: list[str]
) -> bool:
    try:
        minio.check()
    except TransientError as error:
        context.log.warning("File imports wait until the object store is back: %s", error)
        outages.append(f"file imports wait: {error}")
        return False
    return True


def _send_outbox(
    context: dg.SensorEvaluationContext, database: Database, kafka: KafkaResource
) -> PublishReport:
    """Send what runs have left; an outage of Kafka must not keep the rest from being done."""
    try:
        with kafka.producer() as producer:
            return publish_outbox(database, producer, settings_of_this_process())
    except TransientError as error:
        context.log.warning("The outbox was not sent: %s", error)
        return PublishReport()


def _tidy(context: dg.SensorEvaluationContext, database: Database, minio: MinioResource) -> str:
    """Remove what nobody needs any more, once an hour; the cursor says when it was last done.

    What is not done in time, or for an outage of the object store, is left to the next tick.
    """
    now = time.time()
    if now - float(context.cursor or 0) < TIDY_INTERVAL_SECONDS:
        return ""
    settings = settings_of_this_process()
    try:
        store = minio.store()
        areas = remove_stale_areas(staging_areas(settings, store), database)
        pruned = prune(
            context.instance,
            database,
            days=settings.run_retention_days,
            deadline=time.monotonic() + PRUNE_SECONDS,
            remove_outputs=partial(remove_outputs_of, store.own)
            if settings.shares_no_disk
            else None,
        )
    except TransientError as error:
        context.log.warning("What is old was not removed: %s", error)
        return ""
    if pruned.complete:
        context.update_cursor(str(now))
    return (
        f", {areas} staging areas, {pruned.runs} old runs and {pruned.partitions} old partitions "
        "removed"
    )


def _result(
    dispatched: list[Dispatch],
    report: IntakeReport | None,
    outages: list[str],
    cursor: str | None,
) -> dg.SensorResult:
    keys = [item.partition_key for item in dispatched]
    said = [report.summary(), *outages] if report else outages
    return dg.SensorResult(
        run_requests=[
            dg.RunRequest(
                run_key=item.run_key, partition_key=item.partition_key, tags=dict(item.tags)
            )
            for item in dispatched
        ],
        skip_reason=None if dispatched else "; ".join(said),
        dynamic_partitions_requests=[import_requests.build_add_request(keys)] if keys else [],
        cursor=report.as_cursor() if report and not report.skipped else cursor,
    )
