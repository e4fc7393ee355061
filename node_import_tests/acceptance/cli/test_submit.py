"""`node-import submit`, on real Kafka and S3; where it waits, a thread plays the importer."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from confluent_kafka import Consumer, Message, Producer, TopicPartition

from node_import.contracts.dead_letter import DeadLetter
from node_import.contracts.error_codes import ErrorCode
from node_import.contracts.identity import MessageIdentity, job_id
from node_import.contracts.message import Message as Request
from node_import.contracts.message import OutgoingMessage
from node_import.contracts.status_message import StatusMessage
from node_import.settings import Settings
from node_import_tests.support.command_line import CommandLine, TypedTenant

CSV = b"id,name\n1,one\n"


class Topic:
    """A topic as its consumers see it."""

    def __init__(self, settings: Settings, name: str) -> None:
        config = {**settings.kafka_client_config(), "group.id": "test", "log_level": 0}
        self.consumer = Consumer({**config, "enable.auto.commit": False})
        self.name = name

    def message_at(self, partition: int, offset: int) -> Message:
        self.consumer.assign([TopicPartition(self.name, partition, offset)])
        message = self.consumer.poll(10)
        assert message is not None
        return message

    def identity(self, message: Message) -> MessageIdentity:
        cluster = str(self.consumer.list_topics(timeout=10).cluster_id)
        place = (message.partition() or 0, message.offset() or 0)
        return MessageIdentity(cluster, self.name, *place, message.timestamp()[1])

    def messages(self, until: threading.Event) -> Iterator[Message]:
        """All from the beginning, as they come."""
        # A topic that is just being made has no partitions yet.
        while not (partitions := self._partitions()) and not until.is_set():
            time.sleep(0.1)
        self.consumer.assign([TopicPartition(self.name, number, 0) for number in partitions])
        while not until.is_set():
            message = self.consumer.poll(0.1)
            if message is not None and message.error() is None:
                yield message

    def _partitions(self) -> list[int]:
        return [*self.consumer.list_topics(self.name, timeout=10).topics[self.name].partitions]


@pytest.fixture
def topic(settings: Settings, tenant: TypedTenant) -> Iterator[Topic]:
    """The tenant's request topic."""
    topic = Topic(settings, tenant.topic)
    yield topic
    topic.consumer.close()


def published(topic: Topic, document: dict[str, Any]) -> tuple[MessageIdentity, dict[str, Any]]:
    """The message that a document of `submit` speaks of: its identity and its value."""
    assert document["topic"] == topic.name
    message = topic.message_at(document["partition"], document["offset"])
    return topic.identity(message), json.loads(message.value() or b"")


def test_references_become_a_request(cli: CommandLine, tenant: TypedTenant, topic: Topic) -> None:
    """The message is the contract's, and the job id is the one that its consumer will compute."""
    document = cli.document("submit", *tenant.options, "--ref", "u-1", "--ref", "Zoë ✓")
    identity, value = published(topic, document)
    assert value == {
        "domainId": tenant.domain["id"],
        "groupId": tenant.group["id"],
        "referenceIds": ["u-1", "Zoë ✓"],
    }
    assert document["jobId"] == str(job_id(identity))
    assert set(document) == {"jobId", "topic", "partition", "offset"}


def test_ids_are_as_good_as_names(cli: CommandLine, tenant: TypedTenant, topic: Topic) -> None:
    """Domain and group by UUID."""
    ids = ("--domain", tenant.domain["id"], "--group", tenant.group["id"])
    _, value = published(topic, cli.document("submit", *ids, "--ref", "u-1"))
    assert value["groupId"] == tenant.group["id"]


def test_requests_of_one_group_stay_in_order(
    cli: CommandLine, tenant: TypedTenant, topic: Topic
) -> None:
    """They share a key, and so a partition."""
    documents = [cli.document("submit", *tenant.options, "--ref", "u-1") for _ in range(3)]
    assert len({document["partition"] for document in documents}) == 1
    offsets = [document["offset"] for document in documents]
    assert offsets == sorted(set(offsets))
    message = topic.message_at(documents[0]["partition"], offsets[0])
    assert message.key() == tenant.group["id"].encode()


@pytest.mark.parametrize("source", ["refs.txt", "-"])
def test_references_come_from_a_file_or_standard_input(
    cli: CommandLine, tenant: TypedTenant, topic: Topic, source: str
) -> None:
    """One a line, whatever the line ends; empty lines and a byte-order mark are nothing."""
    text = "\ufeffone\r\n\ntwo words\n  three\n"
    (cli.folder / "refs.txt").write_text(text, encoding="utf-8", newline="")
    document = cli.document("submit", *tenant.options, "--refs-from", source, stdin=text)
    _, value = published(topic, document)
    assert value["referenceIds"] == ["one", "two words", "  three"]


def test_a_local_file_is_uploaded(
    cli: CommandLine, tenant: TypedTenant, topic: Topic, s3_client: Any, bucket: str
) -> None:
    """Into the importer's bucket; the request names the object and says what it was."""
    (cli.folder / "users ü.csv.gz").write_bytes(CSV)
    document = cli.document("submit", *tenant.options, "--file", "users ü.csv.gz")
    _, value = published(topic, document)
    assert (value["fileName"], value["contentType"]) == ("users ü.csv.gz", "application/gzip")
    prefix = f"s3://{bucket}/"
    assert value["filePath"].startswith(f"{prefix}uploads/{tenant.domain['name']}/")
    stored = s3_client.get_object(Bucket=bucket, Key=value["filePath"].removeprefix(prefix))
    assert stored["Body"].read() == CSV


def test_a_missing_bucket_is_made(
    cli: CommandLine, tenant: TypedTenant, unique_name: Callable[[str], str]
) -> None:
    """The first upload of a deployment works."""
    (cli.folder / "users.csv").write_bytes(CSV)
    name = unique_name("fresh")
    options = (*tenant.options, "--file", "users.csv")
    assert cli.document("submit", *options, NODE_IMPORT_S3_BUCKET=name)["jobId"]


def test_a_file_inside_a_root_is_named_by_its_path(
    cli: CommandLine, tenant: TypedTenant, topic: Topic, settings: Settings
) -> None:
    """The importer reads it where it lies."""
    path = Path(settings.file_roots[0]) / "users.csv"
    path.write_bytes(CSV)
    document = cli.document("submit", *tenant.options, "--file", path)
    assert published(topic, document)[1]["filePath"] == str(path)


def test_a_url_goes_as_it_is(cli: CommandLine, tenant: TypedTenant, topic: Topic) -> None:
    """Whether it is allowed is the importer's to say, in its answer."""
    url = "s3://imports/a b?c.csv"
    document = cli.document("submit", *tenant.options, "--file", url)
    assert published(topic, document)[1]["filePath"] == url


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "exactly one"),
        (["--ref", "x", "--file", "y"], "exactly one"),
        (["--file", "missing.csv"], "missing.csv"),
        (["--file", "."], "regular file"),
        (["--refs-from", "missing.txt"], "missing.txt"),
        (["--refs-from", "-"], "no references"),
        (["--ref", "x", "--timeout", "0"], "--timeout"),
    ],
)
def test_wrong_usage_publishes_nothing(
    cli: CommandLine, tenant: TypedTenant, topic: Topic, arguments: list[str], said: str
) -> None:
    """Exit code 2, a line that says why, and no message."""
    assert said in cli.refusal("submit", *tenant.options, *arguments)
    assert topic.name not in topic.consumer.list_topics(timeout=10).topics


def test_unknown_tenants_say_how_to_add_them(cli: CommandLine, tenant: TypedTenant) -> None:
    """The refusal holds the next command."""
    said = cli.refusal("submit", "--domain", "nobody", "--group", "x", "--ref", "u")
    assert "node-import domain add nobody" in said
    domain = tenant.domain["name"]
    said = cli.refusal("submit", "--domain", domain, "--group", "x", "--ref", "u")
    assert f"node-import group add {domain}" in said


def test_too_many_references_for_a_message_suggest_a_file(
    cli: CommandLine, tenant: TypedTenant
) -> None:
    """Kafka holds 1 MB; a file holds as many as one likes."""
    references = "\n".join(f"reference-{number:09}" for number in range(60_000))
    said = cli.refusal("submit", *tenant.options, "--refs-from", "-", stdin=references)
    assert "--file" in said


def test_references_that_are_not_utf8_are_refused(cli: CommandLine, tenant: TypedTenant) -> None:
    """A message is UTF-8."""
    said = cli.refusal("submit", *tenant.options, "--refs-from", "-", stdin=b"ok\n\xff\n")
    assert "UTF-8" in said


def test_a_pattern_of_ones_own_names_the_topic(
    cli: CommandLine, tenant: TypedTenant, unique_name: Callable[[str], str]
) -> None:
    """The topic is the pattern with the domain in its place; else `--topic` says it."""
    prefix = unique_name("in")
    pattern = rf"^{prefix}\.(?P<domain>[a-z0-9-]+)\.v1$"
    options = (*tenant.options, "--ref", "u-1")
    document = cli.document("submit", *options, NODE_IMPORT_REQUEST_TOPIC_PATTERN=pattern)
    assert document["topic"] == f"{prefix}.{tenant.domain['name']}.v1"
    pattern = r"^(?P<domain>[a-z0-9-]+)-(nodes|items)$"
    said = cli.refusal("submit", *options, NODE_IMPORT_REQUEST_TOPIC_PATTERN=pattern)
    assert "--topic" in said
    name = unique_name("mine")
    assert cli.document("submit", *options, "--topic", name)["topic"] == name


def test_kafka_that_is_down_is_no_wrong_usage(cli: CommandLine, tenant: TypedTenant) -> None:
    """Exit code 1, one line, and which settings to look at."""
    said = cli.refusal(
        "submit",
        *tenant.options,
        "--ref",
        "u",
        status=1,
        NODE_IMPORT_KAFKA_BOOTSTRAP_SERVERS="127.0.0.1:1",
    )
    assert "KAFKA_UNAVAILABLE" in said
    assert "NODE_IMPORT_KAFKA_BOOTSTRAP_SERVERS" in said
    assert len(said.splitlines()) == 1


def test_a_kafka_config_that_kafka_does_not_know_is_wrong_usage(
    cli: CommandLine, tenant: TypedTenant
) -> None:
    """The setting is named."""
    options = (*tenant.options, "--ref", "u")
    said = cli.refusal("submit", *options, NODE_IMPORT_KAFKA_CONFIG='{"no.such.thing": "1"}')
    assert "NODE_IMPORT_KAFKA_CONFIG" in said


Answer = Callable[[MessageIdentity, Message], OutgoingMessage]


@contextmanager
def answering(settings: Settings, topic: Topic, answer: Answer) -> Iterator[None]:
    """An importer that gives each request of the topic one answer, after one for somebody else."""
    stopped = threading.Event()
    producer = Producer({**settings.kafka_client_config(), "log_level": 0})
    producer.list_topics(topic.name, timeout=10)  # which makes it

    def send(message: OutgoingMessage) -> None:
        producer.produce(
            message.topic, key=message.key, value=message.value, headers=list(message.headers)
        )
        producer.flush(10)

    def run() -> None:
        for message in topic.messages(stopped):
            identity = topic.identity(message)
            other = MessageIdentity("other", topic.name, 0, 10**6, identity.timestamp_ms)
            send(answer(other, message))
            send(answer(identity, message))

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield
    finally:
        stopped.set()
        thread.join()


def status_message(settings: Settings, status: Any, processed: int) -> Answer:
    """A status message, as the importer sends it."""

    def answer(identity: MessageIdentity, request: Message) -> OutgoingMessage:
        fields = json.loads(request.value() or b"")
        failed = ErrorCode.ROWS_REJECTED if status == "FAILED" else None
        message = StatusMessage(
            job_id=job_id(identity),
            group_id=fields["groupId"],
            domain_id=UUID(fields["domainId"]),
            status=status,
            processed=processed,
            total=2,
            attempt=1,
            failure_code=failed,
            failure_reason="1 of 2 rows was rejected" if failed else None,
        )
        key = str(message.job_id).encode()
        return OutgoingMessage(settings.status_topic, key, message.value())

    return answer


def dead_letter(identity: MessageIdentity, request: Message) -> OutgoingMessage:
    """A dead letter of a message that became no job."""
    return DeadLetter(
        message=Request(identity, request.key(), request.value()),
        code=ErrorCode.UNKNOWN_GROUP,
        reason="no such group",
        consumer_group="node-import",
        attempts=1,
        first_failed_at=datetime.now(UTC),
    ).outgoing("-dlt")


def test_waiting_ends_with_the_status_message(
    cli: CommandLine, tenant: TypedTenant, topic: Topic, settings: Settings
) -> None:
    """Exit code 0 for COMPLETED; the message stands whole under `status`."""
    with answering(settings, topic, status_message(settings, "COMPLETED", 2)):
        document = cli.document("submit", *tenant.options, "--ref", "a", "--ref", "b", "--wait")
    assert document["status"]["jobId"] == document["jobId"]
    assert document["status"]["status"] == "COMPLETED"
    assert "deadLetter" not in document


def test_waiting_for_a_failed_import_exits_1(
    cli: CommandLine, tenant: TypedTenant, topic: Topic, settings: Settings
) -> None:
    """With its numbers and its reason, for people too."""
    with answering(settings, topic, status_message(settings, "FAILED", 1)):
        outcome = cli("submit", *tenant.options, "--ref", "a", "--ref", "", "--wait")
    assert outcome.status == 1
    assert "FAILED: 1 of 2 rows" in outcome.out
    assert "ROWS_REJECTED: 1 of 2 rows was rejected" in outcome.out


def test_waiting_ends_with_a_dead_letter(
    cli: CommandLine, tenant: TypedTenant, topic: Topic, settings: Settings
) -> None:
    """A request that became no job has no status message; its letter is the answer."""
    with answering(settings, topic, dead_letter):
        outcome = cli("submit", *tenant.options, "--ref", "a", "--wait", "--json")
    assert outcome.status == 1
    letter = outcome.document["deadLetter"]
    assert (letter["topic"], letter["errorCode"]) == (f"{topic.name}-dlt", "UNKNOWN_GROUP")
    assert letter["originalOffset"] == outcome.document["offset"]
    assert letter["jobId"] is None
    assert "status" not in outcome.document


def test_waiting_ends_in_time(cli: CommandLine, tenant: TypedTenant) -> None:
    """Without an answer the exit code is 1; the request stands, and how to go on is said."""
    begun = time.monotonic()
    outcome = cli("submit", *tenant.options, "--ref", "a", "--wait", "--timeout", "1", "--json")
    assert outcome.status == 1
    assert set(outcome.document) == {"jobId", "topic", "partition", "offset"}
    assert f"node-import jobs watch {outcome.document['jobId']}" in outcome.err
    assert time.monotonic() - begun >= 1
