"""`node-import dlq` and the refusals of `backfill`, on letters as intake sends them."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from typing import Any

import pytest

from node_import.settings import Settings
from node_import_tests.support.command_line import CommandLine, TypedTenant
from node_import_tests.support.databases import TestDatabase
from node_import_tests.support.intake_desk import Desk, open_desk
from node_import_tests.support.kafka_messages import produce, read_topic
from node_import_tests.support.tenants import put

FIELDS = ["topic", "partition", "offset", "timestamp", "key", "errorCode", "errorMessage", "jobId"]
FIELDS += ["attempts", "originalTopic", "originalPartition", "originalOffset", "replayed"]

NOBODY = str(uuid.uuid4())


@pytest.fixture
def desk(settings: Settings, database: TestDatabase, unique_name: Any) -> Iterator[Desk]:
    """A tenant with a topic; a test says when intake ticks."""
    with open_desk(settings, database, unique_name("acme")) as made:
        yield made


@pytest.fixture
def cli(desk: Desk, cli: CommandLine) -> CommandLine:
    """The command, which sees the topics of this test's tenant alone."""
    cli.variables["NODE_IMPORT_REQUEST_TOPIC_PATTERN"] = desk.settings.request_topic_pattern
    return cli


def refuse(desk: Desk, *values: str, topic: str | None = None) -> None:
    """These messages have come and were answered by dead letters."""
    produce(desk.settings, topic or desk.topic, values, key=b"k\xff")
    assert desk.tick().rejected == len(values)


def test_letters_are_listed(cli: CommandLine, desk: Desk) -> None:
    """The fields of the contract, newest first; an empty list before anything has failed."""
    assert cli.document("dlq", "list") == []
    assert cli("dlq", "list").out == "no dead letters\n"
    refuse(desk, "not JSON")
    [letter] = cli.document("dlq", "list")
    assert list(letter) == FIELDS
    assert (letter["topic"], letter["originalTopic"]) == (desk.dlt, desk.topic)
    assert (letter["originalPartition"], letter["originalOffset"]) == (0, 0)
    assert (letter["errorCode"], letter["attempts"], letter["jobId"]) == ("INVALID_JSON", 1, None)
    assert letter["errorMessage"].startswith("INVALID_JSON: ")
    assert (letter["key"], letter["replayed"]) == ("k\\xff", False)
    line = cli("dlq", "list").out.splitlines()[1]
    assert f"{desk.dlt}/{letter['partition']}/{letter['offset']}" in line


def test_letters_are_filtered(cli: CommandLine, desk: Desk) -> None:
    """By topic, code, domain and time, alone and together."""
    other = f"{desk.tenant.name}2-users"
    refuse(desk, "not JSON", desk.request(groupId="late"))
    refuse(desk, desk.request(), topic=other)

    def listed(*options: str) -> list[str]:
        return sorted(letter["errorCode"] for letter in cli.document("dlq", "list", *options))

    assert listed() == ["INVALID_JSON", "UNKNOWN_DOMAIN", "UNKNOWN_GROUP"]
    assert listed("--topic", desk.topic) == ["INVALID_JSON", "UNKNOWN_GROUP"]
    assert listed("--topic", f"{other}-dlt") == ["UNKNOWN_DOMAIN"]
    assert listed("--domain", f"{desk.tenant.name}2") == ["UNKNOWN_DOMAIN"]
    assert listed("--domain", str(desk.tenant.domain_id), "--code", "unknown_group") == [
        "UNKNOWN_GROUP"
    ]
    assert len(listed("--since", "1h")) == len(listed("--limit", "3")) == 3
    assert listed("--until", "1h") == listed("--since", "2100-01-01") == []
    assert "no dead letters of nobody" in cli("dlq", "list", "--topic", "nobody").err


def test_a_letter_is_shown_whole(cli: CommandLine, desk: Desk) -> None:
    """By its name in the list; with the message as it was sent."""
    request = desk.request(groupId="late")
    produce(desk.settings, desk.topic, [request], key=b"k", headers=[("x", b"\x1b[31m")])
    desk.tick()
    [listed] = cli.document("dlq", "list")
    name = f"{listed['topic']}/{listed['partition']}/{listed['offset']}"
    shown = cli.document("dlq", "show", name)
    assert {field: shown[field] for field in FIELDS} == listed
    assert shown["value"] == request
    assert shown["headers"] == [{"name": "x", "value": "\x1b[31m"}]
    assert shown["consumerGroup"] == desk.settings.kafka_group_id
    assert "x=\\x1b[31m" in cli("dlq", "show", name).out


def test_a_dry_run_counts_and_sends_nothing(cli: CommandLine, desk: Desk) -> None:
    """A histogram of the codes."""
    refuse(desk, "not JSON", desk.request(groupId="late"), desk.request(groupId="later"))
    document = cli.document("dlq", "replay", "--dry-run")
    assert document == {
        "matched": 3,
        "replayed": 0,
        "skipped": 0,
        "byCode": {"UNKNOWN_GROUP": 2, "INVALID_JSON": 1},
    }
    out = cli("dlq", "replay", "--dry-run", "--code", "UNKNOWN_GROUP").out
    assert "2 of 2 would be sent" in out
    assert len(read_topic(desk.settings, desk.topic)) == 3


def test_a_letter_is_replayed_once(cli: CommandLine, desk: Desk) -> None:
    """Its message becomes a job when the cause is gone; later replays leave it, unless forced."""
    refuse(desk, "not JSON", desk.request(groupId="late"))
    cli.document("group", "add", desk.tenant.name, "late")
    only = ("dlq", "replay", "--code", "UNKNOWN_GROUP")
    assert cli.document(*only) == {
        "matched": 1,
        "replayed": 1,
        "skipped": 0,
        "byCode": {"UNKNOWN_GROUP": 1},
    }
    assert desk.tick().accepted == 1
    again = cli(*only)
    assert "replayed 0 of 1" in again.out
    assert "replayed before" in again.err
    assert cli.document(*only, "--force")["replayed"] == 1
    assert desk.tick().duplicates == 1
    replayed = {one["errorCode"]: one["replayed"] for one in cli.document("dlq", "list")}
    assert replayed == {"UNKNOWN_GROUP": True, "INVALID_JSON": False}
    [waiting] = cli.document("dlq", "list", "--waiting")
    assert waiting["errorCode"] == "INVALID_JSON"


def test_a_message_does_not_go_round_for_ever(cli: CommandLine, desk: Desk) -> None:
    """At the limit of tries it stays, until somebody insists."""
    refuse(desk, desk.request(groupId="never"))
    cli.variables["NODE_IMPORT_REPLAY_MAX_ATTEMPTS"] = "2"
    assert cli.document("dlq", "replay")["replayed"] == 1
    desk.tick()
    stuck = cli("dlq", "replay", "--json")
    assert stuck.document["replayed"] == 0
    assert "tried 2 times" in stuck.err
    assert cli.document("dlq", "replay", "--force")["replayed"] == 1


def test_cap_and_rate(cli: CommandLine, desk: Desk) -> None:
    """A part of them, and the rest by the next replay."""
    refuse(desk, *(f"not JSON {number}" for number in range(7)))
    first = cli.document("dlq", "replay", "--max", 3, "--rate", "100/s")
    assert (first["matched"], first["replayed"], first["skipped"]) == (7, 3, 4)
    assert cli.document("dlq", "replay", "--rate", "50")["replayed"] == 4


def test_an_outages_letters_go_with_one_command(cli: CommandLine, desk: Desk) -> None:
    """A thousand of them, and each arrives once."""
    refuse(desk, *(json.dumps({"number": number}) for number in range(1_000)))
    assert cli.document("dlq", "replay")["replayed"] == 1_000
    values = [message.value for message in read_topic(desk.settings, desk.topic)]
    assert len(values) == 2_000
    assert len(set(values)) == 1_000


WRONG_USAGE = {
    ("dlq", "replay", "--rate", "0"): "'0' is no rate",
    ("dlq", "replay", "--rate", "fast"): "'fast' is no rate",
    ("dlq", "replay", "--max", "0"): "--max",
    ("dlq", "replay", "--code", "LOST"): "LOST",
    ("dlq", "replay", "acme-users-dlt"): "acme-users-dlt",
    ("dlq", "show", "acme-users-dlt/0/99"): "acme-users-dlt/0/99",
    ("dlq", "show", NOBODY): NOBODY,
    ("dlq", "list", "--domain", NOBODY): NOBODY,
    ("backfill",): "--job ID",
    ("backfill", "--failed", "--job", NOBODY): "--job ID",
    ("backfill", "--job", NOBODY): NOBODY,
    ("backfill", "--job", NOBODY, "--since", "1h"): "--since",
    ("backfill", "--failed", "--domain", "nobody"): "nobody",
    ("backfill", "--failed"): "NODE_IMPORT_WEBSERVER_URL",
}


def test_what_means_nothing_is_wrong_usage(cli: CommandLine) -> None:
    """Exit code 2, and what it is about."""
    for arguments, about in WRONG_USAGE.items():
        assert about in cli.refusal(*arguments), arguments


def test_a_backfill_without_dagster_changes_nothing(
    cli: CommandLine, desk: Desk, database: TestDatabase
) -> None:
    """Exit code 1, and the job is FAILED as before; a dry run needs no Dagster."""
    job = desk.tenant.file()
    put(database, job, status="FAILED", partition_key="p", failure_code="TIMEOUT")
    cli.variables["NODE_IMPORT_WEBSERVER_URL"] = "http://127.0.0.1:9"
    assert "nothing was launched" in cli.refusal("backfill", "--failed", status=1)
    assert cli.document("jobs", "show", job)["status"] == "FAILED"
    plan = cli.document("backfill", "--job", job, "--dry-run")
    assert plan == {"backfillId": None, "jobs": [str(job)], "partitions": ["p"]}


def test_a_named_job_that_is_left_alone(
    cli: CommandLine, desk: Desk, database: TestDatabase, tenant: TypedTenant
) -> None:
    """Exit code 1 and the reason; among all that failed it is passed over."""
    old, newer = desk.tenant.file(), desk.tenant.file()
    put(database, old, status="FAILED", partition_key="p", failure_code="TIMEOUT")
    put(database, newer, status="COMPLETED")
    cli.variables["NODE_IMPORT_WEBSERVER_URL"] = "http://127.0.0.1:9"
    named = cli("backfill", "--job", old, "--json")
    assert named.status == 1
    assert named.document == {"backfillId": None, "jobs": [], "partitions": []}
    assert str(newer) in named.err
    assert cli("backfill", "--failed").out == "no job to run again\n"
