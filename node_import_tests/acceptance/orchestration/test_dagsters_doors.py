"""What an operator may do in Dagster itself: each ends in a state that the job table explains."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import boto3
import pytest

from node_import.jobs.runs import JOB_NAME
from node_import_tests.support.stack import PATIENCE

if TYPE_CHECKING:
    from node_import_tests.support.stack import Stack

REEXECUTE = """
mutation($params: ReexecutionParams!) {
  launchRunReexecution(reexecutionParams: $params) {
    __typename ... on LaunchRunSuccess { run { runId } } ... on PythonError { message }
  }
}
"""
LAUNCH = """
mutation($params: ExecutionParams!) {
  launchRun(executionParams: $params) {
    __typename ... on LaunchRunSuccess { run { runId } } ... on PythonError { message }
  }
}
"""
TERMINATE = "mutation($id: String!) { terminateRun(runId: $id) { __typename } }"
DELETE = "mutation($id: String!) { deleteRun(runId: $id) { __typename } }"
REPOSITORY = """
{ repositoriesOrError { ... on RepositoryConnection { nodes { name location { name } } } } }
"""
ENDED = """
SELECT status IN ('COMPLETED', 'FAILED') AND finished_at IS NOT NULL
FROM nodes_import_job WHERE id = %s AND attempt = %s
UNION ALL SELECT false
LIMIT 1
"""
RUN_ENDS = {"SUCCESS", "FAILURE", "CANCELED"}
TENANT = ("--domain", "acme", "--group", "members")
EVENTS = "SELECT attempt, status FROM job_status_event WHERE job_id = %s ORDER BY sequence_no"

pytestmark = pytest.mark.timeout(900)


class Doors:
    """Dagster's UI, by the calls that its buttons make."""

    def __init__(self, stack: Stack) -> None:
        self.stack = stack
        [found] = stack.ask_dagster(REPOSITORY)["repositoriesOrError"]["nodes"]
        self._selector = {
            "repositoryName": found["name"],
            "repositoryLocationName": found["location"]["name"],
            "jobName": JOB_NAME,
        }

    def reexecute(self, run_id: str, strategy: str) -> str:
        """*Re-execute all* or *from failure*; the id of the new run."""
        params = {"parentRunId": run_id, "strategy": strategy}
        return self._launched("launchRunReexecution", REEXECUTE, params)

    def materialise(self, partition_key: str) -> str:
        """*Launchpad*, a partition chosen by hand; the id of the run."""
        tags = [{"key": "dagster/partition", "value": partition_key}]
        params = {
            "selector": self._selector,
            "mode": "default",
            "executionMetadata": {"tags": tags},
        }
        return self._launched("launchRun", LAUNCH, params)

    def _launched(self, name: str, mutation: str, params: dict[str, Any]) -> str:
        answer = self.stack.ask_dagster(mutation, params=params)[name]
        assert answer["__typename"] == "LaunchRunSuccess", answer
        return str(answer["run"]["runId"])

    def end_of(self, run_id: str) -> str:
        """The status of the run when it has ended."""
        deadline = time.monotonic() + PATIENCE
        while (status := self.stack.dagster_run(run_id)["status"]) not in RUN_ENDS:
            assert time.monotonic() < deadline, status
            time.sleep(0.5)
        return str(status)


@pytest.fixture
def doors(stack: Stack) -> Doors:
    """Of the running stack."""
    return Doors(stack)


def submit(stack: Stack, name: str, rows: int = 2) -> str:
    """A file that is there; the id of its job."""
    text = "".join(f"{name}-{number},x\n" for number in range(rows))
    path = stack.write(f"{name}.csv", f"reference_id,a\n{text}")
    return str(stack.cli.document("submit", *TENANT, "--file", path)["jobId"])


def missing_file(stack: Stack, name: str, group: str = "members") -> str:
    """A file that is not there; the id of its job, which is FAILED."""
    url = f"s3://{stack.variables['NODE_IMPORT_S3_BUCKET']}/doors/{name}.csv"
    tenant = ("--domain", "acme", "--group", group)
    job_id = str(stack.cli.document("submit", *tenant, "--file", url)["jobId"])
    stack.wait_until(ENDED, job_id, 1)
    assert job(stack, job_id)["failure_code"] == "FILE_NOT_FOUND"
    return job_id


def put_file(stack: Stack, name: str) -> None:
    """Now it is there."""
    variables = stack.variables
    client = boto3.client(
        "s3",
        endpoint_url=variables["NODE_IMPORT_S3_ENDPOINT_URL"],
        aws_access_key_id=variables["NODE_IMPORT_S3_ACCESS_KEY"],
        aws_secret_access_key=variables["NODE_IMPORT_S3_SECRET_KEY"],
        region_name="us-east-1",
    )
    body = f"reference_id,a\n{name},x\n".encode()
    client.put_object(Bucket=variables["NODE_IMPORT_S3_BUCKET"], Key=f"doors/{name}.csv", Body=body)


def job(stack: Stack, job_id: str) -> dict[str, Any]:
    """The job as `jobs show` prints it."""
    row: dict[str, Any] = stack.cli.document("jobs", "show", job_id)
    return row


def events(stack: Stack, job_id: str) -> list[tuple[Any, ...]]:
    """(attempt, status) of what the job has answered, in order."""
    return stack.query(EVENTS, job_id)


@contextmanager
def blocked_nodes(stack: Stack) -> Iterator[None]:
    """Somebody holds a lock on the nodes, so that slices wait."""
    with stack.connect() as conn, conn.transaction():
        conn.execute("LOCK TABLE nodes IN EXCLUSIVE MODE")
        yield


def loading_run(stack: Stack, job_id: str) -> str:
    """The run of the job, once its slices wait for the nodes."""
    stack.wait_until(
        "SELECT count(*) > 0 FROM pg_locks WHERE NOT granted AND relation = 'nodes'::regclass"
    )
    return str(job(stack, job_id)["dagster_run_id"])


def test_re_execute_from_failure_and_all(stack: Stack, doors: Doors) -> None:
    """The step that had failed is the last one, so only *all* imports anything."""
    job_id = missing_file(stack, "again")
    run_id = job(stack, job_id)["dagster_run_id"]
    put_file(stack, "again")

    assert doors.end_of(doors.reexecute(run_id, "FROM_FAILURE")) == "FAILURE"
    assert job(stack, job_id)["failure_code"] == "FILE_NOT_FOUND"
    assert events(stack, job_id) == [(1, "FAILED")]

    assert doors.end_of(doors.reexecute(run_id, "ALL_STEPS")) == "SUCCESS"
    row = job(stack, job_id)
    assert (row["status"], row["attempt"], row["inserted_nodes"]) == ("COMPLETED", 2, 1)
    assert events(stack, job_id) == [(1, "FAILED"), (2, "COMPLETED")]


def test_a_partition_by_hand(stack: Stack, doors: Doors) -> None:
    """One that is imported is left as it is."""
    job_id = submit(stack, "by-hand")
    stack.wait_until(ENDED, job_id, 1)
    before = job(stack, job_id)
    assert doors.end_of(doors.materialise(before["partition_key"])) == "SUCCESS"
    assert job(stack, job_id) == before
    assert events(stack, job_id) == [(1, "COMPLETED")]


def test_a_backfill_by_dagsters_own_command(stack: Stack) -> None:
    """`dagster job backfill` over the partitions of two jobs that are FAILED.

    Its runs begin in any order: of two files of one group the older could be left alone.
    """
    stack.query(
        "INSERT INTO matching_group (id, domain_id, name) SELECT gen_random_uuid(), id, 'others'"
        " FROM domain RETURNING id"
    )
    jobs = [missing_file(stack, "fill-1"), missing_file(stack, "fill-2", "others")]
    keys = [str(job(stack, job_id)["partition_key"]) for job_id in jobs]
    for name in ("fill-1", "fill-2"):
        put_file(stack, name)
    stack.dagster("job", "backfill", "-j", JOB_NAME, "--partitions", ",".join(keys), "--noprompt")
    for job_id in jobs:
        stack.wait_until(ENDED, job_id, 2)
        row = job(stack, job_id)
        assert (row["status"], row["failure_reason"]) == ("COMPLETED", None)


def test_terminate_in_the_middle_of_a_load(stack: Stack, doors: Doors) -> None:
    """FAILED `CANCELED`, and no slice commits after it."""
    with blocked_nodes(stack):
        job_id = submit(stack, "ended")
        run_id = loading_run(stack, job_id)
        stack.ask_dagster(TERMINATE, id=run_id)
        stack.wait_until(ENDED, job_id, 1)
    assert doors.end_of(run_id) == "CANCELED"
    row = job(stack, job_id)
    assert (row["failure_code"], row["processed_nodes"]) == ("CANCELED", 0)
    assert stack.query("SELECT count(*) FROM nodes WHERE reference_id LIKE 'ended-%'") == [(0,)]
    assert events(stack, job_id) == [(1, "FAILED")]


def test_delete_a_run_that_is_at_work(stack: Stack) -> None:
    """Its worker does not know of it, or is put back: the job is imported once either way."""
    with blocked_nodes(stack):
        job_id = submit(stack, "deleted", rows=50)
        stack.ask_dagster(DELETE, id=loading_run(stack, job_id))
    stack.wait_until("SELECT status = 'COMPLETED' FROM nodes_import_job WHERE id = %s", job_id)
    nodes = "SELECT count(*) FROM nodes WHERE reference_id LIKE 'deleted-%'"
    assert stack.query(nodes) == [(50,)]
    assert [status for _, status in events(stack, job_id)] == ["COMPLETED"]
