"""`node-import jobs`: the job table."""

from __future__ import annotations

import json
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any
from uuid import UUID

import typer

from node_import.cli.command_group import command_group
from node_import.cli.deployment import as_operator, deployment_database, deployment_settings
from node_import.cli.output import AsJson, print_document, print_table, print_text
from node_import.errors import UsageError

if TYPE_CHECKING:
    from node_import.database import Database
    from node_import.jobs.listing import JobRow

app = command_group("The job table: what was asked for and what became of it.")

JobId = Annotated[UUID, typer.Argument(metavar="ID", help="Job id, as `submit` prints it.")]

LIST_COLUMNS = ("JOB", "STATUS", "CREATED", "TOPIC", "SOURCE", "TOTAL", "PROCESSED", "CODE")


class StatusChoice(StrEnum):
    """The statuses of the contract, as an option takes them."""

    PENDING = "PENDING"
    RUNNING = "RUNNING"
    COMPLETED = "COMPLETED"
    FAILED = "FAILED"


@app.command("list")
def list_jobs(
    status: Annotated[
        StatusChoice | None, typer.Option(case_sensitive=False, help="Only jobs of this status.")
    ] = None,
    domain: Annotated[str | None, typer.Option(help="Only this domain's, by name or id.")] = None,
    since: Annotated[
        str | None, typer.Option(help="Made since then: 90m, 24h, 7d (ago) or ISO 8601.")
    ] = None,
    limit: Annotated[int, typer.Option(min=1, help="Most jobs to list.")] = 100,
    as_json: AsJson = False,
) -> None:
    """List jobs, newest first. With --json: an array of rows, as `jobs show` prints them.

    \b
    Examples:
      node-import jobs list
      node-import jobs list --status FAILED --since 24h
      node-import jobs list --domain acme --limit 5 --json
    """
    from node_import.cli.since import parse_since
    from node_import.jobs import listing
    from node_import.jobs.record import JobStatus
    from node_import.jobs.tenants import find_domain

    after = parse_since(since) if since else None
    with as_operator(deployment_database(deployment_settings())) as conn:
        wanted = listing.JobFilter(
            status=JobStatus(status) if status else None,
            domain_id=find_domain(conn, domain).id if domain else None,
            since=after,
            limit=limit,
        )
        rows = listing.list_jobs(conn, wanted)
    if as_json:
        print_document(rows)
    elif rows:
        print_table(LIST_COLUMNS, map(list_line, rows))
    else:
        print_text("no jobs")


@app.command("show")
def show_job(job_id: JobId, as_json: AsJson = False) -> None:
    """Show one job: its row of nodes_import_job under its column names.

    With --json times are ISO 8601 and message_key, message_value and message_headers are base64
    of the bytes as they came; without it they are shown as text.

    \b
    Examples:
      node-import jobs show 3f0c4a7e-58c5-5a61-8f4e-d8a0e0a4b1c2
      node-import jobs show 3f0c4a7e-58c5-5a61-8f4e-d8a0e0a4b1c2 --json | jq .failure_reason
    """
    row = find_job(deployment_database(deployment_settings()), job_id)
    if as_json:
        print_document(row)
    else:
        print_table(("COLUMN", "VALUE"), [(name, _text(value)) for name, value in row.items()])


@app.command("watch")
def watch_jobs(
    job_id: Annotated[
        UUID | None, typer.Argument(metavar="[ID]", help="Watch this job until it has ended.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Watch the newest jobs until Ctrl-C, or one job until it has ended.

    With an ID it ends with exit code 0 if the job is COMPLETED and 1 if it is FAILED; with
    --json the job's last row is printed then. A live table on a terminal; elsewhere a line
    for every change.

    \b
    Examples:
      node-import jobs watch
      node-import jobs watch 3f0c4a7e-58c5-5a61-8f4e-d8a0e0a4b1c2
    """
    from node_import.cli.watching import watch_job, watch_newest

    database = deployment_database(deployment_settings())
    if job_id is None:
        if as_json:
            message = "watching all jobs never ends with a document; give the ID of one job"
            raise UsageError(message)
        watch_newest(database)
        return
    find_job(database, job_id)
    row = watch_job(database, job_id, quiet=as_json)
    if as_json:
        print_document(row)
    if row["status"] != StatusChoice.COMPLETED:
        raise typer.Exit(1)


def find_job(database: Database, job_id: UUID) -> JobRow:
    """The row of that job; UsageError if there is none."""
    from node_import.jobs import listing

    with as_operator(database) as conn:
        row = listing.show_job(conn, job_id)
    if row is None:
        message = f"there is no job {job_id}; `node-import jobs list` shows those there are"
        raise UsageError(message)
    return row


def list_line(row: JobRow) -> tuple[object, ...]:
    """One line of the table of jobs, under `LIST_COLUMNS`."""
    return (
        row["id"],
        row["status"],
        row["created_at"],
        row["message_topic"],
        source_of(row),
        row["total_nodes"],
        row["processed_nodes"],
        row["failure_code"],
    )


def source_of(row: JobRow) -> str:
    """The file that a job names, or how many references it lists."""
    request: dict[str, Any] = row["request"]
    return request.get("filePath") or f"{row['reference_count']:,} references"


def _text(value: object) -> object:
    if isinstance(value, bytes):
        return value.decode("utf-8", "backslashreplace")
    if isinstance(value, dict | list):
        return json.dumps(value, ensure_ascii=False)
    return str(value) if isinstance(value, int) else value
