"""The ops: each unpacks its inputs, calls one step of the pipeline and attaches what it shows.

No `from __future__ import annotations` here: Dagster reads the annotation of `context` as it is.
"""

from collections.abc import Iterator

import dagster as dg

from node_import.orchestration.metadata import job_report_metadata, shown
from node_import.orchestration.resources import KafkaResource, MinioResource, PostgresResource
from node_import.orchestration.runs import at_work, run_of, tag_end, tag_start
from node_import.pipeline import close_job as closing
from node_import.pipeline import load_batch as loading
from node_import.pipeline import publish_status as publishing
from node_import.pipeline import resolve_file as resolving
from node_import.pipeline import stream_parse as parsing
from node_import.pipeline.close_job import Closed
from node_import.pipeline.load_batch import BatchOutcome
from node_import.pipeline.resolve_file import Resolution
from node_import.pipeline.stream_parse import Batch, Parsed


@dg.op(description="Claim the jobs of the partition and pin the object each of them names.")
def resolve_file(
    context: dg.OpExecutionContext, postgres: PostgresResource, minio: MinioResource
) -> Resolution:
    with at_work(context, postgres, minio) as workshop:
        tag_start(context, workshop)
        resolution = resolving.resolve_file(workshop, run_of(context))
    context.add_output_metadata(shown(resolution.as_metadata()))
    return resolution


@dg.op(
    description="Read each source once: validate rows, stage the good, keep the bad.",
    out={"batches": dg.DynamicOut(Batch), "parsed": dg.Out(Parsed)},
)
def stream_parse(
    context: dg.OpExecutionContext,
    postgres: PostgresResource,
    minio: MinioResource,
    resolution: Resolution,
) -> Iterator[dg.DynamicOutput[Batch] | dg.Output[Parsed]]:
    with at_work(context, postgres, minio) as workshop:
        parsed = parsing.stream_parse(workshop, run_of(context), resolution)
    for batch in parsed.batches():
        yield dg.DynamicOutput(batch, mapping_key=f"batch_{batch.number:02}", output_name="batches")
    yield dg.Output(parsed, output_name="parsed", metadata=shown(parsed.as_metadata()))


@dg.op(description="COPY and upsert the slices of one batch, each in a transaction of its own.")
def load_batch(
    context: dg.OpExecutionContext, postgres: PostgresResource, minio: MinioResource, batch: Batch
) -> BatchOutcome:
    with at_work(context, postgres, minio) as workshop:
        outcome = loading.load_batch(workshop, run_of(context), batch)
    context.add_output_metadata(shown(outcome.as_metadata()))
    return outcome


@dg.op(description="Compare the ledger with the manifest; write the last state and its events.")
def close_job(
    context: dg.OpExecutionContext,
    postgres: PostgresResource,
    minio: MinioResource,
    parsed: Parsed,
    outcomes: list[BatchOutcome],
) -> Closed:
    with at_work(context, postgres, minio) as workshop:
        closed = closing.close_job(workshop, run_of(context), parsed, outcomes)
    metadata = job_report_metadata(closed, workshop.settings.s3_endpoint_url)
    context.add_output_metadata(metadata)
    return closed


@dg.op(description="Send what the outbox holds; end red if a job of the run is FAILED.")
def publish_status(
    context: dg.OpExecutionContext,
    postgres: PostgresResource,
    minio: MinioResource,
    kafka: KafkaResource,
    closed: Closed,
) -> None:
    with at_work(context, postgres, minio) as workshop, kafka.producer() as producer:
        report = publishing.publish_status(workshop, run_of(context), producer, closed)
    tag_end(context, report)
    metadata = shown(report.as_metadata())
    context.add_output_metadata(metadata)
    if report.problems:
        table = job_report_metadata(closed, workshop.settings.s3_endpoint_url)
        raise dg.Failure(report.first_line, metadata={**table, **metadata}, allow_retries=False)
