"""`node-import demo` on a stack of its own, and the other commands beside it, unconfigured."""

from __future__ import annotations

import json
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import boto3
import pytest
from confluent_kafka import Producer

from node_import.stack.layout import DEFAULT_DATA_DIR, Layout
from node_import.stack.ports import remember_ports
from node_import_tests.support.command_line import CommandLine, Outcome
from node_import_tests.support.ports import random_ports
from node_import_tests.support.processes import wait_until_none_in

ROWS = 300
GUESTS = 25
TENANT = ("--domain", "acme", "--group", "members")

pytestmark = pytest.mark.timeout(600)


@dataclass(frozen=True, slots=True)
class Demo:
    """A stack that a first demo has brought up."""

    cli: CommandLine
    outcome: Outcome

    @property
    def document(self) -> dict[str, Any]:
        return dict(self.outcome.document)


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    """In an empty folder, with nothing configured."""
    cli = CommandLine(tmp_path_factory.mktemp("demo"), {})
    layout = Layout(cli.folder / DEFAULT_DATA_DIR)
    layout.create()
    remember_ports(layout, random_ports())
    yield Demo(cli, cli("demo", "--rows", ROWS, "--json"))
    assert cli.document("stack", "down")["stopped"]
    assert wait_until_none_in(cli.folder) == {}


def test_a_demo_goes_as_intended(demo: Demo) -> None:
    """Exit code 0; the clean file and the references are COMPLETED, the other file is not."""
    assert demo.outcome.status == 0, demo.outcome.err
    clean, dirty, references = demo.document["imports"]
    assert demo.document["problems"] == []
    assert (clean["status"]["status"], clean["status"]["total"]) == ("COMPLETED", ROWS)
    assert (references["status"]["status"], references["status"]["total"]) == ("COMPLETED", GUESTS)
    assert dirty["status"]["failureCode"] == "ROWS_REJECTED"
    assert dirty["status"]["processed"] == ROWS
    assert sum(dirty["rejects"].values()) == dirty["status"]["total"] - ROWS
    assert demo.document["nodes"] == 2 * ROWS + GUESTS
    assert demo.document["nodes"] < demo.document["metadata"] <= 5 * 2 * ROWS


def test_the_runs_are_in_dagsters_ui(demo: Demo) -> None:
    """Each import names the page of its run, and the webserver answers there."""
    for one in demo.document["imports"]:
        assert one["runUrl"].startswith(f"{demo.document['webserverUrl']}/runs/")
        with urllib.request.urlopen(one["runUrl"], timeout=30) as page:
            assert page.status == 200


def test_a_second_demo_finds_its_rows_unchanged(demo: Demo) -> None:
    """It uses the stack that is up, tells people what came of it, and how to stop."""
    again = demo.cli("demo", "--rows", ROWS)
    assert again.status == 0, again.err
    newest = demo.cli.document("jobs", "list", "--limit", 3)
    assert [job["unchanged_nodes"] for job in newest] == [GUESTS, ROWS, ROWS]
    for part in ("UNCHANGED", "MISSING_REFERENCE_ID", "/runs/", "node-import stack down"):
        assert part in again.out
    assert f"{2 * ROWS + GUESTS} nodes" in again.out


def test_unconfigured_commands_use_the_stack(demo: Demo) -> None:
    """And say so, on standard error."""
    outcome = demo.cli("domain", "list", "--json")
    assert [domain["name"] for domain in outcome.document] == ["acme"]
    assert "embedded stack" in outcome.err


def test_a_file_is_submitted_and_waited_for(demo: Demo) -> None:
    """From a local file to the status message: good rows, a rejected one, a reject file."""
    cli = demo.cli
    (cli.folder / "users.csv").write_text("id,name\n1,one\n2,two\n,nobody\n")
    outcome = cli("submit", *TENANT, "--file", "users.csv", "--wait", "--json")
    assert outcome.status == 1
    status = outcome.document["status"]
    assert (status["status"], status["processed"], status["total"]) == ("FAILED", 2, 3)
    again = cli("check", status["rejectsUrl"], "--json").document
    assert again["rejects"] == {"MISSING_REFERENCE_ID": 1}
    watched = cli("jobs", "watch", status["jobId"], "--json")
    assert watched.status == 1
    assert watched.document["inserted_nodes"] == 2


def test_a_file_that_is_not_there_fails_its_import(demo: Demo) -> None:
    """Exit code 1, with the code of the contract."""
    url = "s3://imports/missing.csv"
    outcome = demo.cli("submit", *TENANT, "--file", url, "--wait", "--json")
    assert outcome.status == 1
    assert outcome.document["status"]["failureCode"] == "FILE_NOT_FOUND"


def overwrite(demo: Demo, url: str, content: str) -> None:
    """Somebody corrects the file where it lies."""
    variables = demo.cli.document("stack", "env")
    bucket, _, key = url.removeprefix("s3://").partition("/")
    s3 = boto3.client(
        "s3",
        endpoint_url=variables["NODE_IMPORT_S3_ENDPOINT_URL"],
        aws_access_key_id=variables["NODE_IMPORT_S3_ACCESS_KEY"],
        aws_secret_access_key=variables["NODE_IMPORT_S3_SECRET_KEY"],
        region_name=variables["NODE_IMPORT_S3_REGION"],
    )
    s3.put_object(Bucket=bucket, Key=key, Body=content.encode())
    s3.close()


def test_a_corrected_file_is_imported_by_a_backfill(demo: Demo) -> None:
    """The same job, as its second attempt; Dagster knows the backfill, and nobody replays it."""
    cli = demo.cli
    (cli.folder / "mistake.csv").write_text("name\nAda\n")
    submitted = cli("submit", *TENANT, "--file", "mistake.csv", "--wait", "--json").document
    job = submitted["jobId"]
    assert submitted["status"]["failureCode"] == "NO_REFERENCE_COLUMN"
    url = cli.document("jobs", "show", job)["request"]["filePath"]
    overwrite(demo, url, "id,name\n7,Ada\n")

    launched = cli.document("backfill", "--job", job)

    assert launched["jobs"] == [job]
    assert launched["partitions"] == [cli.document("jobs", "show", job)["partition_key"]]
    page = f"{demo.document['webserverUrl']}/runs/b/{launched['backfillId']}"
    with urllib.request.urlopen(page, timeout=30) as answer:
        assert answer.status == 200
    row = cli.document("jobs", "watch", job)
    assert (row["status"], row["attempt"], row["processed_nodes"]) == ("COMPLETED", 2, 1)
    [letter] = cli.document("dlq", "list", "--job", job)
    assert letter["errorCode"] == "NO_REFERENCE_COLUMN"
    assert cli.document("dlq", "replay", "--job", job)["replayed"] == 0


def test_a_message_of_an_unknown_domain_is_replayed_when_there_is_one(demo: Demo) -> None:
    """From its dead letter to a COMPLETED import."""
    cli = demo.cli
    domain_id = "11111111-2222-4333-8444-555555555555"
    value = {"domainId": domain_id, "groupId": "people", "referenceIds": ["a", "b"]}
    servers = cli.document("stack", "env")["NODE_IMPORT_KAFKA_BOOTSTRAP_SERVERS"]
    producer = Producer({"bootstrap.servers": servers})
    producer.produce("late-users", json.dumps(value).encode(), key=b"k")
    assert producer.flush(20) == 0
    deadline = time.monotonic() + 120
    while not (letters := cli.document("dlq", "list", "--domain", "late")):
        assert time.monotonic() < deadline
    assert letters[0]["errorCode"] == "UNKNOWN_DOMAIN"

    cli.document("domain", "add", "late", "--id", domain_id)
    cli.document("group", "add", "late", "people")
    replayed = cli.document("dlq", "replay", "--domain", "late")

    assert (replayed["replayed"], replayed["byCode"]) == (1, {"UNKNOWN_DOMAIN": 1})
    while not (jobs := cli.document("jobs", "list", "--domain", "late")):
        assert time.monotonic() < deadline
    row = cli.document("jobs", "watch", jobs[0]["id"])
    assert (row["processed_nodes"], row["message_offset"]) == (2, letters[0]["originalOffset"])
