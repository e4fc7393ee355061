"""`node-import jobs`, on rows as intake writes them."""

from __future__ import annotations

import base64
import re
import signal
import subprocess
import uuid
from datetime import datetime
from typing import TYPE_CHECKING, Any

import pytest

from node_import_tests.support.command_line import COMMAND, CommandLine, TypedTenant

if TYPE_CHECKING:
    from node_import_tests.support.databases import TestDatabase

ADD_JOB = """
INSERT INTO nodes_import_job (
    id, domain_id, group_id, kind, node_type, reference_count, request, message_cluster,
    message_topic, message_partition, message_offset, message_timestamp, message_value,
    status, total_nodes, processed_nodes, inserted_nodes, rejected_nodes, failure_code,
    failure_reason, created_at
) VALUES (
    %(id)s, %(domain_id)s, %(group_id)s, 'file', 'USER', 0, %(request)s, 'cluster', %(topic)s,
    0, %(offset)s, 1733995800123, %(value)s, %(status)s, %(total)s, %(processed)s, %(processed)s,
    %(total)s - %(processed)s, %(code)s, %(reason)s,
    timestamptz '2024-12-12 09:30:00+00' + %(offset)s * interval '1 hour'
)
"""


class JobTable:
    """Writes jobs of one tenant, each an hour after the last."""

    def __init__(self, database: TestDatabase, tenant: TypedTenant) -> None:
        self.database = database
        self.tenant = tenant
        self.count = 0

    def add(self, status: str = "PENDING", **columns: Any) -> str:
        job_id = str(uuid.uuid4())
        values = {"total": 0, "processed": 0, "code": None, "reason": None, "value": b"{}"}
        row = {
            **values,
            "id": job_id,
            "domain_id": self.tenant.domain["id"],
            "group_id": self.tenant.group["id"],
            "topic": self.tenant.topic,
            "request": '{"filePath": "s3://imports/users.csv"}',
            "offset": self.count,
            "status": status,
            **columns,
        }
        with self.database.connect() as conn:
            conn.execute(ADD_JOB, row)
        self.count += 1
        return job_id

    def set(self, job_id: str, **columns: Any) -> None:
        names = ", ".join(f"{name} = %({name})s" for name in columns)
        with self.database.connect() as conn:
            conn.execute(
                f"UPDATE nodes_import_job SET {names} WHERE id = %(id)s", {**columns, "id": job_id}
            )


@pytest.fixture
def table(database: TestDatabase, tenant: TypedTenant) -> JobTable:
    return JobTable(database, tenant)


def ids(rows: list[dict[str, Any]]) -> list[str]:
    return [row["id"] for row in rows]


def test_jobs_are_listed_newest_first(cli: CommandLine, table: JobTable) -> None:
    """All of them, or as many as asked for."""
    assert cli.document("jobs", "list") == []
    assert cli("jobs", "list").out == "no jobs\n"
    first, second, third = table.add(), table.add(), table.add()
    assert ids(cli.document("jobs", "list")) == [third, second, first]
    assert ids(cli.document("jobs", "list", "--limit", 2)) == [third, second]


def test_jobs_are_filtered(cli: CommandLine, table: JobTable) -> None:
    """By status, domain and time, alone and together."""
    done, failed = table.add("COMPLETED"), table.add("FAILED", code="FILE_NOT_FOUND")
    name = table.tenant.domain["name"]
    cli.document("domain", "add", "other")

    def listed(*options: str) -> list[str]:
        return ids(cli.document("jobs", "list", *options))

    assert listed("--status", "FAILED") == [failed]
    assert listed("--status", "completed") == [done]
    assert listed("--domain", name) == [failed, done]
    assert listed("--domain", "other") == []
    assert listed("--since", "2024-12-12T10:00:00Z") == [failed]
    assert listed("--since", "2024-12-12T11:30+02:00", "--status", "COMPLETED") == [done]
    assert listed("--since", "90m") == []


@pytest.mark.parametrize(
    "options",
    [
        ("--status", "LOST"),
        ("--since", "yesterday"),
        ("--limit", "0"),
        ("--domain", "nobody"),
    ],
)
def test_filters_that_mean_nothing_are_wrong_usage(
    cli: CommandLine, options: tuple[str, str]
) -> None:
    """The option or its value is named."""
    assert re.search("|".join(options), cli.refusal("jobs", "list", *options))


def test_the_table_for_people_says_what_was_asked_and_what_came_of_it(
    cli: CommandLine, table: JobTable
) -> None:
    """A line a job, also in a pipe: not cut, not folded."""
    job = table.add("FAILED", total=1_000, processed=990, code="ROWS_REJECTED", reason="10 rows")
    line = cli("jobs", "list").out.splitlines()[1]
    for part in (job, "FAILED", table.tenant.topic, "s3://imports/users.csv", "1,000", "990"):
        assert part in line
    assert line.endswith("ROWS_REJECTED")


def test_show_is_the_row(cli: CommandLine, table: JobTable, database: TestDatabase) -> None:
    """Every column under its name: UUIDs and times as text, bytes as base64, jsonb as JSON."""
    value = b'{"domainId": "\xff"}'
    job = table.add("COMPLETED", total=3, processed=3, value=value)
    row = cli.document("jobs", "show", job)
    with database.connect() as conn:
        cursor = conn.execute("SELECT * FROM nodes_import_job")
        assert list(row) == [column.name for column in cursor.description or ()]
    assert (row["id"], row["status"], row["total_nodes"]) == (job, "COMPLETED", 3)
    assert row["message_timestamp"] == 1_733_995_800_123
    assert row["request"] == {"filePath": "s3://imports/users.csv"}
    assert base64.b64decode(row["message_value"]) == value
    created = datetime.fromisoformat(row["created_at"])
    assert created == datetime.fromisoformat("2024-12-12T09:30:00+00:00")
    assert row["started_at"] is None
    assert ids(cli.document("jobs", "list")) == [job]
    assert cli.document("jobs", "list")[0] == row


def test_show_for_people_reads_bytes_as_text(cli: CommandLine, table: JobTable) -> None:
    """And spells out what a terminal would obey."""
    job = table.add(value=b'{"groupId": "\x1b[31m\xff"}')
    out = cli("jobs", "show", job).out
    assert '{"groupId": "\\x1b[31m\\xff"}' in out


def test_an_unknown_job_is_wrong_usage(cli: CommandLine) -> None:
    """Exit code 2, for `show` and for `watch`."""
    unknown = str(uuid.uuid4())
    assert unknown in cli.refusal("jobs", "show", unknown)
    assert unknown in cli.refusal("jobs", "watch", unknown)
    assert "UUID" in cli.refusal("jobs", "show", "42")


def test_watching_a_job_ends_with_it(cli: CommandLine, table: JobTable) -> None:
    """Exit code 0 for COMPLETED, 1 for FAILED, and its row as the document."""
    done = table.add("COMPLETED", total=5, processed=5)
    assert cli.document("jobs", "watch", done)["processed_nodes"] == 5
    assert cli("jobs", "watch", done).out == f"{done} COMPLETED 5 of 5\n"
    failed = table.add("FAILED", total=5, processed=4, code="ROWS_REJECTED", reason="one \x1b row")
    outcome = cli("jobs", "watch", failed)
    assert outcome.status == 1
    assert outcome.out == f"{failed} FAILED ROWS_REJECTED 4 of 5: one \\x1b row\n"


def test_watching_everything_has_no_document(cli: CommandLine) -> None:
    """It never ends, so `--json` needs one job."""
    assert "ID" in cli.refusal("jobs", "watch", "--json")


def test_ctrl_c_ends_watching_everything(cli: CommandLine, table: JobTable) -> None:
    """It is how one leaves: exit code 0, and nothing more is said."""
    job = table.add()
    watching = subprocess.Popen(
        [COMMAND, "jobs", "watch"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=cli.environment(),
        cwd=cli.folder,
    )
    assert watching.stdout is not None
    assert watching.stdout.readline() == f"{job} PENDING\n".encode()
    watching.send_signal(signal.SIGINT)
    out, err = watching.communicate(timeout=60)
    assert (watching.returncode, out, err) == (0, b"", b"")
