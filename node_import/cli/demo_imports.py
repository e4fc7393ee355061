"""The three imports of `node-import demo`: sent, waited for, held against what they must give."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from node_import.cli.demo_files import clean_file, dirty_file, reference_list
from node_import.cli.deployment import as_operator, deployment_database
from node_import.cli.failure import CommandFailed
from node_import.cli.output import note, steps
from node_import.cli.request import file_request, reference_request
from node_import.cli.request_topic import request_topic
from node_import.cli.submit import Submitted, publish
from node_import.errors import UsageError
from node_import.jobs import listing, tenants

if TYPE_CHECKING:
    from node_import.cli.demo_files import DemoFile
    from node_import.database import Database
    from node_import.jobs.listing import JobRow
    from node_import.jobs.tenants import Domain, Group, NodeCounts
    from node_import.settings import Settings

# An import of a few rows takes seconds; the slowest machine tried loads 5,000 nodes a second.
BASE_TIMEOUT = 180.0
SECONDS_A_ROW = 1 / 1_000
SHOWN_REFERENCES = 3


@dataclass(frozen=True, slots=True)
class DemoImport:
    """One import that has been answered. `row` is its row of the job table."""

    title: str
    good: int
    rejects: Mapping[str, int]
    status: dict[str, Any]
    row: JobRow = field(repr=False)

    @property
    def nodes_per_second(self) -> int:
        """Nodes in the database by the time from claim to close."""
        took: timedelta = self.row["finished_at"] - self.row["started_at"]
        processed: int = self.row["processed_nodes"]
        return round(processed / max(took.total_seconds(), 0.001))

    def problems(self) -> list[str]:
        """What is not as intended; nothing if all is."""
        wanted: dict[str, Any] = {
            "status": "FAILED" if self.rejects else "COMPLETED",
            "failureCode": "ROWS_REJECTED" if self.rejects else None,
            "total": self.good + sum(self.rejects.values()),
            "processed": self.good,
        }
        got = {name: self.status.get(name) for name in wanted}
        wanted["rejects"], got["rejects"] = dict(self.rejects), self.row["rejects_by_code"]
        return [
            f"{self.title}: {name} is {got[name]} and should be {wanted[name]}"
            for name in wanted
            if got[name] != wanted[name]
        ]

    def status_text(self) -> str:
        """The status message as JSON, its lists cut for the reader."""
        return json.dumps(self._short_status(), ensure_ascii=False)

    def table_line(self) -> tuple[object, ...]:
        """IMPORT, STATUS, CODE, ROWS, INSERTED, UPDATED, UNCHANGED, REJECTED, NODES/S."""
        numbers = ("total", "inserted", "updated", "unchanged", "rejected")
        counts = (self.row[f"{name}_nodes"] for name in numbers)
        code = self.row["failure_code"]
        return (self.title, self.row["status"], code, *counts, self.nodes_per_second)

    def link(self, webserver_url: str) -> tuple[str, str]:
        """The import and the URL of its run."""
        return self.title, f"{webserver_url}/runs/{self.row['dagster_run_id']}"

    def as_document(self, webserver_url: str) -> dict[str, Any]:
        """For `--json`."""
        return {
            "title": self.title,
            "jobId": self.row["id"],
            "runUrl": self.link(webserver_url)[1],
            "nodesPerSecond": self.nodes_per_second,
            "rejects": self.row["rejects_by_code"],
            "status": self._short_status(),
        }

    def _short_status(self) -> dict[str, Any]:
        return {
            name: _shortened(value) if isinstance(value, list) else value
            for name, value in self.status.items()
        }


def run_imports(
    settings: Settings, domain_name: str, group_name: str, folder: Path, users: int
) -> tuple[list[DemoImport], NodeCounts]:
    """Send the three imports, one after the other, and count what is in the group afterwards."""
    database = deployment_database(settings)
    domain, group = _tenant(database, domain_name, group_name)
    timeout = BASE_TIMEOUT + users * SECONDS_A_ROW

    def ask(title: str, request: dict[str, Any], expected: DemoFile | None) -> DemoImport:
        note(title)
        submitted = publish(
            settings, request_topic(domain.name, settings), request, timeout=timeout
        )
        good = expected.good if expected else len(request["referenceIds"])
        rejects = expected.rejects if expected else {}
        return DemoImport(title, good, rejects, _status(submitted), _row(database, submitted))

    def ask_for_file(title: str, make: Callable[[Path, int], DemoFile]) -> DemoImport:
        with steps() as step:
            step(f"making a file of {users:,} users")
            file = make(folder, users)
        request = file_request(settings, domain, group, str(file.path))
        return ask(title, request, file)

    imports = [
        ask_for_file("a clean file", clean_file),
        ask_for_file("a file with bad rows", dirty_file),
        ask("a list of references", reference_request(domain, group, reference_list()), None),
    ]
    with database.tenant(domain.id) as conn:
        return imports, tenants.node_counts(conn, group.id)


def _tenant(database: Database, domain_name: str, group_name: str) -> tuple[Domain, Group]:
    """The demo's domain and group, made if this is its first time."""
    with as_operator(database) as conn:
        try:
            domain = tenants.find_domain(conn, domain_name)
        except UsageError:
            domain = tenants.add_domain(conn, domain_name)
        try:
            group = domain.group(group_name)
        except UsageError:
            group = tenants.add_group(conn, domain, group_name)
    note(f"domain {domain.name}, group {group.name}")
    return domain, group


def _status(submitted: Submitted) -> dict[str, Any]:
    answer = submitted.answer
    if answer and answer.status:
        return answer.status
    if answer and answer.dead_letter:
        message = f"the request became a dead letter: {answer.dead_letter['errorMessage']}"
        raise CommandFailed(message)
    message = f"no answer came; look with `node-import jobs show {submitted.job_id}`"
    raise CommandFailed(message)


def _row(database: Database, submitted: Submitted) -> JobRow:
    with as_operator(database) as conn:
        row = listing.show_job(conn, submitted.job_id)
    if row is None:
        message = f"there is no job {submitted.job_id}, though its status message came"
        raise CommandFailed(message)
    return row


def _shortened(references: list[str]) -> list[str]:
    more = len(references) - SHOWN_REFERENCES
    return [*references[:SHOWN_REFERENCES], f"… {more:,} more"] if more > 1 else references
