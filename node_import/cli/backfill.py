"""`node-import backfill`: failed jobs run again, as a Dagster backfill."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated
from uuid import UUID

import typer

from node_import.cli.deployment import as_operator, deployment_database, deployment_settings
from node_import.cli.failure import CommandFailed
from node_import.cli.output import AsJson, note, print_document, print_table, print_text
from node_import.contracts.error_codes import ErrorCode
from node_import.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from node_import.database import Connection
    from node_import.jobs.reopening import PastJob
    from node_import.replaying.backfill import Backfill
    from node_import.settings import Settings


def backfill(
    job: Annotated[
        list[UUID] | None, typer.Option(metavar="ID", help="This job; several allowed.")
    ] = None,
    failed: Annotated[bool, typer.Option("--failed", help="All jobs that are FAILED.")] = False,
    since: Annotated[
        str | None,
        typer.Option(help="With --failed: failed since then: 90m, 24h, 7d (ago) or ISO 8601."),
    ] = None,
    domain: Annotated[
        str | None, typer.Option(help="With --failed: only this domain's, by name or id.")
    ] = None,
    code: Annotated[
        list[ErrorCode] | None,
        typer.Option(
            metavar="CODE",
            case_sensitive=False,
            help="With --failed: only of this code; several allowed.",
        ),
    ] = None,
    force: Annotated[
        bool,
        typer.Option(
            "--force", help="Also files older than what has been imported into their group since."
        ),
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Launch nothing; say what would be launched.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Reopen FAILED jobs and launch their partitions as a Dagster backfill.

    The same jobs run again, as their next attempt: mend the file (same path) or the cause first.
    Files of one group are imported one after another, in the order in which they came. A job
    that is not FAILED is left alone; so is, without --force, a file older than the newest
    imported file of its group. Exit code 1 if a job that was named is left alone.

    Needs NODE_IMPORT_WEBSERVER_URL, and DAGSTER_HOME for jobs whose partition was pruned. Many
    jobs after an outage go better by `node-import dlq replay`: those take turns with new imports.

    \b
    Examples:
      node-import backfill --job 3f0c4a7e-58c5-5a61-8f4e-d8a0e0a4b1c2
      node-import backfill --failed --since 24h --domain acme --dry-run
      node-import backfill --failed --code OBJECT_STORE_UNAVAILABLE
    """
    from node_import.replaying.backfill import plan_backfill

    _refuse_mixed_options(job, failed=failed, narrowed=bool(since or domain or code))
    settings = deployment_settings()
    with as_operator(deployment_database(settings)) as conn:
        jobs = _named(conn, job) if job else _failed(conn, since, domain, code)
        if dry_run:
            result = plan_backfill(jobs.values(), force=force)
        else:
            result = _launch(conn, settings, jobs, force=force)
    if as_json:
        print_document(result.as_document())
    else:
        _tell(result, settings, dry_run=dry_run)
    for job_id, reason in result.refused:
        note(f"left alone: job {job_id} {reason}")
    if job and result.refused:
        raise typer.Exit(1)


def _refuse_mixed_options(jobs: Collection[UUID] | None, *, failed: bool, narrowed: bool) -> None:
    if bool(jobs) == failed:
        message = "name jobs with --job ID, or say --failed for all of them"
        raise UsageError(message)
    if jobs and narrowed:
        message = "--since, --domain and --code go with --failed, not with --job"
        raise UsageError(message)


def _named(conn: Connection, job_ids: Collection[UUID]) -> Mapping[UUID, PastJob]:
    from node_import.jobs.reopening import find_jobs

    jobs = find_jobs(conn, job_ids)
    unknown = [str(job_id) for job_id in job_ids if job_id not in jobs]
    if unknown:
        message = (
            f"there is no job {', '.join(unknown)}; `node-import jobs list` shows those there are"
        )
        raise UsageError(message)
    return jobs


def _failed(
    conn: Connection, since: str | None, domain: str | None, codes: Collection[ErrorCode] | None
) -> Mapping[UUID, PastJob]:
    from node_import.cli.since import parse_since
    from node_import.jobs.reopening import FailedJobFilter, failed_jobs
    from node_import.jobs.tenants import find_domain

    wanted = FailedJobFilter(
        domain_id=find_domain(conn, domain).id if domain else None,
        since=parse_since(since) if since else None,
        codes=codes or None,
    )
    return failed_jobs(conn, wanted)


def _launch(
    conn: Connection, settings: Settings, jobs: Mapping[UUID, PastJob], *, force: bool
) -> Backfill:
    from node_import.replaying.backfill import launch_backfill
    from node_import.replaying.dagster_webserver import (
        DagsterWebserver,
        WebserverRefused,
        WebserverSilent,
    )

    if settings.webserver_url is None:
        message = (
            "NODE_IMPORT_WEBSERVER_URL is not set: it says where Dagster's webserver is, through "
            "which backfills are launched"
        )
        raise UsageError(message)
    try:
        return launch_backfill(conn, jobs, DagsterWebserver(settings.webserver_url), force=force)
    except WebserverSilent as error:
        message = f"{error}; look for a backfill in Dagster's UI before you repeat this"
        raise CommandFailed(message) from error
    except WebserverRefused as error:
        message = f"nothing was launched: {error}"
        raise CommandFailed(message) from error


def _tell(result: Backfill, settings: Settings, *, dry_run: bool) -> None:
    if not result.jobs:
        print_text("no job to run again")
        return
    print_table(("JOB",), [(job,) for job in result.jobs])
    again = "would be run again" if dry_run else "run again"
    print_text(f"{again}: jobs {len(result.jobs):,}, partitions {len(result.partitions):,}")
    if result.backfill_id is not None:
        url = (settings.webserver_url or "").rstrip("/")
        print_text(f"backfill {result.backfill_id}: {url}/runs/b/{result.backfill_id}")
