"""Imports through a stack of its own: the command line, Kafka, Dagster's daemon, PostgreSQL."""

from __future__ import annotations

import io
import json
from typing import TYPE_CHECKING

import polars as pl
import psutil
import psycopg
import pytest
from confluent_kafka import Producer

from benchmarks.data import cities
from node_import.stack.state import last_state

if TYPE_CHECKING:
    from node_import_tests.support.stack import Stack

TENANT = ("--domain", "acme", "--group", "members")

pytestmark = pytest.mark.timeout(900)


def test_a_file_is_imported_and_answered(stack: Stack) -> None:
    """`submit --wait` ends with the status message and exit code 0; the run is green."""
    path = stack.write("users.csv", "reference_id,name\nu-1,Ann\nu-2,Bob\n")
    document = stack.cli.document("submit", *TENANT, "--file", path, "--wait")
    status = document["status"]
    assert (status["status"], status["processed"], status["total"]) == ("COMPLETED", 2, 2)
    assert sorted(status["successList"]) == ["u-1", "u-2"]
    job = stack.cli.document("jobs", "show", document["jobId"])
    stack.wait_until("SELECT count(*) = 0 FROM job_status_event WHERE published_at IS NULL")
    run = stack.dagster_run(job["dagster_run_id"])
    assert run["tags"]["node_import/job_id"] == document["jobId"]
    assert run["tags"]["node_import/topic"] == "acme-users"
    assert run["tags"]["dagster/partition"] == job["partition_key"]


def test_bad_rows_are_a_red_run(stack: Stack) -> None:
    """Exit code 1, a reject file to correct and submit, and the good rows are in."""
    path = stack.write("dirty.csv", "reference_id,name\nu-3,Cem\n,nobody\n")
    outcome = stack.cli("submit", *TENANT, "--file", path, "--wait", "--json")
    assert outcome.status == 1
    status = outcome.document["status"]
    assert status["failureCode"] == "ROWS_REJECTED"
    assert (status["processed"], status["total"]) == (1, 2)
    assert status["rejectsUrl"].startswith("s3://")
    assert stack.query("SELECT count(*) FROM nodes WHERE reference_id = 'u-3'") == [(1,)]


def test_runs_begin_without_importing_everything(stack: Stack) -> None:
    """They are forks of a process beside the code location that has done so."""
    path = stack.write("warm.csv", "reference_id,name\nw-1,Ann\n")
    stack.cli.document("submit", *TENANT, "--file", path, "--wait")
    state = last_state(stack.layout)
    assert state is not None
    location = psutil.Process(state.children["code-location"].pid)
    [warm] = [one for one in location.children() if "forkserver" in " ".join(one.cmdline())]
    assert warm.children() or warm.cpu_times().children_user > 0


def test_a_burst_of_lists_shares_runs(stack: Stack) -> None:
    """200 messages are 200 jobs and 200 answers, in a few runs."""
    query = "SELECT domain_id, id FROM matching_group WHERE name = 'members'"
    [(domain, group)] = stack.query(query)
    servers = stack.variables["NODE_IMPORT_KAFKA_BOOTSTRAP_SERVERS"]
    producer = Producer({"bootstrap.servers": servers})
    for number in range(200):
        references = [f"burst-{number}-{n}" for n in range(3)]
        request = {"domainId": str(domain), "groupId": str(group), "referenceIds": references}
        producer.produce("acme-users", json.dumps(request).encode(), key=str(number).encode())
    assert producer.flush(60) == 0
    stack.wait_until(
        "SELECT count(*) = 200 FROM job_status_event AS e JOIN nodes_import_job AS j"
        " ON j.id = e.job_id WHERE j.kind = 'references' AND published_at IS NOT NULL"
        " AND e.status = 'COMPLETED' AND e.processed = 3"
    )
    [(jobs, runs)] = stack.query(
        "SELECT count(*), count(DISTINCT dagster_run_id) FROM nodes_import_job"
        " WHERE kind = 'references'"
    )
    assert jobs == 200
    assert runs <= 10
    assert stack.query("SELECT count(*) FROM nodes WHERE reference_id LIKE 'burst-%'") == [(600,)]


def test_cities_of_the_world_come_back_as_they_went_in(stack: Stack) -> None:
    """Over 200,000 places with names in many scripts, equal value by value."""
    expected = cities()
    assert expected.height > 200_000
    path = stack.cli.folder / "cities.csv"
    expected.write_csv(path)
    document = stack.cli.document("submit", *TENANT, "--file", path, "--wait")
    assert document["status"]["status"] == "COMPLETED"
    assert document["status"]["processed"] == expected.height
    values = expected.unpivot(index="id", variable_name="key").filter(
        pl.col("value").is_not_null() & (pl.col("value") != "")
    )
    stored = stored_values(stack)
    assert stored.sort("id", "key").equals(values.sort("id", "key"))


def stored_values(stack: Stack) -> pl.DataFrame:
    """(id, key, value) of every city's metadata, as PostgreSQL has it."""
    dsn = stack.variables["NODE_IMPORT_POSTGRES_ADMIN_DSN"]
    text = io.BytesIO()
    with (
        psycopg.connect(dsn) as conn,
        conn.cursor() as cursor,
        cursor.copy(
            "COPY (SELECT n.reference_id, m.metadata_key, m.metadata_value FROM nodes AS n"
            " JOIN node_metadata AS m ON m.node_id = n.id WHERE n.reference_id LIKE 'city-%')"
            " TO STDOUT (FORMAT csv)"
        ) as copy,
    ):
        for block in copy:
            text.write(block)
    text.seek(0)
    return pl.read_csv(
        text, has_header=False, new_columns=["id", "key", "value"], infer_schema=False
    )


def test_a_restart_goes_on_where_it_was(stack: Stack) -> None:
    """What waits and what was interrupted is imported, in order, and nothing twice.

    The embedded Kafka comes back empty, as another cluster: its first message is a new request.
    """
    before = stack.query("SELECT id, attempt, finished_at FROM nodes_import_job ORDER BY id")
    asked = []
    for number in range(2):
        rows = "".join(f"restart-{n},{number}\n" for n in range(100))
        path = stack.write(f"restart-{number}.csv", f"reference_id,version\n{rows}")
        asked.append(stack.cli.document("submit", *TENANT, "--file", path)["jobId"])
    stack.wait_until("SELECT count(*) = 2 FROM nodes_import_job WHERE id = ANY(%s::uuid[])", asked)
    assert stack.cli.document("stack", "down")["stopped"]
    stack.up()
    new = stack.write("new.csv", "reference_id,version\nrestart-new,0\n")
    newest = stack.cli.document("submit", *TENANT, "--file", new, "--wait")
    assert newest["status"]["status"] == "COMPLETED"

    jobs = stack.query(
        "SELECT id::text, status FROM nodes_import_job WHERE id = ANY(%s::uuid[])"
        " ORDER BY finished_at",
        asked,
    )
    assert jobs == [(job_id, "COMPLETED") for job_id in asked]
    events = "SELECT count(*) FROM job_status_event WHERE job_id = ANY(%s::uuid[])"
    assert stack.query(events, asked) == [(2,)]
    versions = stack.query(
        "SELECT m.metadata_value, count(*) FROM nodes AS n JOIN node_metadata AS m"
        " ON m.node_id = n.id WHERE n.reference_id LIKE 'restart-%' GROUP BY 1 ORDER BY 1"
    )
    assert versions == [("0", 1), ("1", 100)]
    known = [job_id for job_id, *_ in before]
    after = "SELECT id, attempt, finished_at FROM nodes_import_job WHERE id = ANY(%s) ORDER BY id"
    assert stack.query(after, known) == before
