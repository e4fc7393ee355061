"""One tick against a real cluster and a real database."""

from __future__ import annotations

import json
import uuid
from typing import TYPE_CHECKING

import pytest
from confluent_kafka import Consumer, Producer, TopicPartition
from pydantic import SecretStr

from node_import.contracts.dead_letter import read_letter
from node_import.contracts.error_codes import ErrorCode
from node_import.contracts.identity import MessageIdentity, job_id
from node_import.errors import TransientError
from node_import_tests.support.kafka_messages import (
    produce,
    read_topic,
)
from node_import_tests.support.tenants import make_tenant, rows

if TYPE_CHECKING:
    from node_import_tests.support.intake_desk import Desk


def test_a_request_becomes_a_job_with_all_that_came_with_it(desk: Desk) -> None:
    """Identity, group, kind, type, request, trace and the message's bytes are on the job's row."""
    trace = b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    value = desk.request(groupId="h", extra={"any": [1, "thing"]})
    headers = [("traceparent", trace), ("x", None), ("x", b"\xff")]
    produce(desk.settings, desk.topic, [value], key=b"k\x00", headers=headers)

    report = desk.tick()

    assert (report.accepted, report.rejected, report.duplicates) == (1, 0, 0)
    [message] = read_topic(desk.settings, desk.topic)
    columns = (
        "id, message_cluster, message_topic, message_partition, message_offset, message_timestamp,"
        " domain_id, group_id, kind, node_type, reference_count, request, traceparent, status,"
        " message_key, message_value"
    )
    [job] = desk.jobs(columns)
    identity = MessageIdentity(*job[1:6])
    assert job[0] == job_id(identity)
    assert identity.topic == desk.topic
    assert (identity.offset, identity.timestamp_ms) == (message.offset, message.timestamp_ms)
    assert job[6:] == (
        desk.tenant.domain_id,
        desk.tenant.groups["h"],
        "references",
        "USER",
        1,
        json.loads(value),
        trace.decode(),
        "PENDING",
        b"k\x00",
        value.encode(),
    )


def test_a_group_may_be_called_by_its_id(desk: Desk) -> None:
    """groupId is an id of a group of the domain, or the name of one."""
    called = str(desk.tenant.groups["h"]).upper()
    produce(
        desk.settings,
        desk.topic,
        [desk.request(groupId=called, filePath="s3://b/k", referenceIds=None)],
    )
    desk.tick()
    assert desk.jobs("group_id, kind, reference_count") == [(desk.tenant.groups["h"], "file", 0)]


def test_bad_messages_are_answered_with_their_code_and_do_not_stop_good_ones(desk: Desk) -> None:
    """Each kind of fault ends in the dead-letter topic under its code; what is good is accepted."""
    other = make_tenant(desk.tenant.database, desk.database, f"{desk.tenant.name}-other", "theirs")
    bad: list[tuple[bytes | str | None, ErrorCode]] = [
        (b"\xff\xfe", ErrorCode.INVALID_JSON),
        (None, ErrorCode.INVALID_JSON),
        (b"", ErrorCode.INVALID_JSON),
        (b"[" * 100_000, ErrorCode.INVALID_JSON),
        (b'{"a": ' + b"9" * 5_000 + b"}", ErrorCode.INVALID_JSON),
        (desk.request(groupId="a\0b"), ErrorCode.INVALID_JSON),
        (desk.request(note="\ud800"), ErrorCode.INVALID_JSON),
        (desk.request(note=float("nan")), ErrorCode.INVALID_JSON),
        (b"[]", ErrorCode.SCHEMA_VIOLATION),
        (desk.request(groupId=""), ErrorCode.SCHEMA_VIOLATION),
        (desk.request(referenceIds=[1]), ErrorCode.SCHEMA_VIOLATION),
        (desk.request(filePath="s3://b/k"), ErrorCode.AMBIGUOUS_SOURCE),
        (desk.request(referenceIds=None), ErrorCode.AMBIGUOUS_SOURCE),
        (desk.request(domainId=str(other.domain_id)), ErrorCode.DOMAIN_TOPIC_MISMATCH),
        (desk.request(groupId=str(other.groups["theirs"])), ErrorCode.UNKNOWN_GROUP),
        (desk.request(groupId="theirs"), ErrorCode.UNKNOWN_GROUP),
    ]
    values = [value for value, _ in bad]
    produce(desk.settings, desk.topic, [desk.request(1), *values, desk.request(2)], key=b"k")

    report = desk.tick()

    assert report.accepted == 2
    assert report.topics[desk.topic].rejected.total() == len(bad)
    letters = read_topic(desk.settings, desk.dlt)
    assert [letter.header("node-import-error-code") for letter in letters] == [
        code.encode() for _, code in bad
    ]
    assert [letter.value for letter in letters] == [
        value.encode() if isinstance(value, str) else value for value in values
    ]
    assert {letter.key for letter in letters} == {b"k"}
    assert desk.positions()[desk.topic, 0] == len(bad) + 2
    assert desk.tick().rejected == 0


def test_a_letter_says_where_its_message_stood(desk: Desk) -> None:
    """Spring's headers in Spring's encodings, ours as text, the message's own before them."""
    produce(desk.settings, desk.topic, ["{"], headers=[("mine", b"1"), ("mine", None)])
    desk.tick()

    [message] = read_topic(desk.settings, desk.topic)
    [letter] = read_topic(desk.settings, desk.dlt)
    assert letter.headers[:2] == [("mine", b"1"), ("mine", None)]
    assert letter.header("kafka_dlt-original-topic") == desk.topic.encode()
    assert letter.header("kafka_dlt-original-partition") == b"\0\0\0\0"
    assert letter.header("kafka_dlt-original-offset") == bytes(8)
    timestamp = letter.header("kafka_dlt-original-timestamp")
    assert timestamp == message.timestamp_ms.to_bytes(8, "big")
    group = letter.header("kafka_dlt-original-consumer-group")
    assert group == desk.settings.kafka_group_id.encode()
    assert letter.header("node-import-attempts") == b"1"
    assert "node-import-job-id" not in dict(letter.headers)


def test_a_domain_that_is_unknown_or_not_active(desk: Desk) -> None:
    """A topic's name must be that of an active domain."""
    stranger = f"{desk.tenant.name}-stranger-users"
    produce(desk.settings, stranger, [desk.request()])
    assert desk.tick().topics[stranger].rejected == {ErrorCode.UNKNOWN_DOMAIN: 1}
    with desk.database.connect() as conn:
        conn.execute("UPDATE domain SET active = false")
    produce(desk.settings, desk.topic, [desk.request()])
    assert desk.tick().topics[desk.topic].rejected == {ErrorCode.UNKNOWN_DOMAIN: 1}


def test_a_message_over_the_limit_is_too_large(desk: Desk) -> None:
    """More than 1 MiB of key, value and headers is refused, even where the broker takes it."""
    references = [f"{number:0>100}" for number in range(11_000)]
    # Compressed, a message passes a broker's limit that it is over.
    config = {**desk.settings.kafka_client_config(), "message.max.bytes": 4_000_000}
    secret = SecretStr(json.dumps({**config, "compression.type": "gzip"}))
    large = desk.settings.model_copy(update={"kafka_config": secret})
    produce(large, desk.topic, [desk.request(referenceIds=references)])
    assert desk.tick().topics[desk.topic].rejected == {ErrorCode.MESSAGE_TOO_LARGE: 1}


def test_a_topic_that_appears_is_found_by_the_next_tick(desk: Desk) -> None:
    """Topics that match are read from their beginning, others and dead-letter topics never."""
    produce(desk.settings, desk.topic, [desk.request(1)])
    assert desk.tick().accepted == 1
    later = make_tenant(desk.tenant.database, desk.database, f"{desk.tenant.name}-two")
    for topic in (f"{later.name}-users", f"{later.name}-users-dlt", f"{later.name}-other"):
        produce(desk.settings, topic, [desk.request(2, domainId=str(later.domain_id))])

    report = desk.tick()

    assert {topic: counts.accepted for topic, counts in report.topics.items()} == {
        f"{later.name}-users": 1
    }


def test_excluded_topics_are_left_alone(desk: Desk) -> None:
    """REQUEST_TOPIC_EXCLUDE wins over the pattern."""
    produce(desk.settings, desk.topic, [desk.request(1)])
    assert desk.tick(request_topic_exclude=(desk.topic,)).positions == {}
    assert desk.tick().accepted == 1


def test_a_quiet_tick_changes_nothing(desk: Desk) -> None:
    """Nothing new: no message, no letter, the same positions."""
    produce(desk.settings, desk.topic, [desk.request(1)], partition=2)
    first = desk.tick()
    again = desk.tick()
    assert (again.accepted, again.duplicates, again.warnings, again.alerts) == (0, 0, [], [])
    assert again.as_cursor() == first.as_cursor()
    assert json.loads(str(again.as_cursor()))[desk.topic]["2"] == 1


def test_many_messages_of_which_a_fifth_is_bad(desk: Desk) -> None:
    """5,000 messages in one tick: each good one a job, each bad one a letter, in order."""
    numbers = range(5_000)
    for partition in range(4):
        values = [
            desk.request(number) if number % 5 else f"bad {number}"
            for number in numbers
            if number % 4 == partition
        ]
        produce(desk.settings, desk.topic, values, partition=partition)

    report = desk.tick()

    assert (report.accepted, report.rejected) == (4_000, 1_000)
    columns = "message_partition, message_offset, request->'referenceIds'->>0"
    for partition in range(4):
        jobs = [job for job in desk.jobs(columns) if job[0] == partition]
        assert [job[1] for job in jobs] == sorted(job[1] for job in jobs)
        expected = [f"ref-{n}" for n in numbers if n % 4 == partition and n % 5]
        assert [job[2] for job in jobs] == expected
    letters = {
        int(str(m.value, "ascii").split()[1])
        for m in read_topic(desk.settings, desk.dlt)
        if m.value
    }
    assert letters == {n for n in numbers if n % 5 == 0}


def test_a_tick_reads_no_more_than_it_may_and_the_next_goes_on(desk: Desk) -> None:
    """The limit of a tick is a setting; nothing is skipped between two ticks."""
    produce(desk.settings, desk.topic, [desk.request(number) for number in range(25)])
    accepted = [desk.tick(intake_max_messages=10).accepted for _ in range(4)]
    assert accepted == [10, 10, 5, 0]
    assert desk.jobs("request->'referenceIds'->>0") == [(f"ref-{n}",) for n in range(25)]


def test_a_backlog_of_one_partition_does_not_keep_others_waiting(desk: Desk) -> None:
    """With 4,000 messages in one partition, a tick of 400 still reads all 30 of the other ones."""
    produce(desk.settings, desk.topic, [desk.request(n) for n in range(4_000)], partition=0)
    for partition in (1, 2, 3):
        produce(
            desk.settings, desk.topic, [desk.request(n) for n in range(10)], partition=partition
        )

    report = desk.tick(intake_max_messages=400)

    read = {p.number: offset for p, offset in report.positions.items()}
    assert (read[1], read[2], read[3]) == (10, 10, 10)
    assert report.accepted == 400
    while desk.tick(intake_max_messages=2_000).accepted:
        pass
    assert rows(desk.database, "SELECT count(*) FROM nodes_import_job") == [(4_030,)]


def test_group_offsets_follow_the_positions(desk: Desk) -> None:
    """Lag tools see in Kafka what PostgreSQL knows."""
    produce(desk.settings, desk.topic, [desk.request(n) for n in range(3)], partition=1)
    desk.tick()
    client = {**desk.settings.kafka_client_config(), "group.id": desk.settings.kafka_group_id}
    consumer = Consumer(client)
    [answer] = consumer.committed([TopicPartition(desk.topic, 1)], timeout=10)
    consumer.close()
    assert answer.offset == 3


def test_what_transactions_leave_behind_is_passed(desk: Desk) -> None:
    """Aborted messages are no requests, and the marks of a transaction's end are passed over."""
    config = {**desk.settings.kafka_client_config(), "transactional.id": desk.tenant.name}
    producer = Producer(config)
    producer.init_transactions(20)
    for number, end in enumerate([producer.commit_transaction, producer.abort_transaction]):
        producer.begin_transaction()
        producer.produce(desk.topic, desk.request(number), partition=0)
        producer.flush(20)
        end(20)

    first, second = desk.tick(), desk.tick()

    assert first.accepted >= 1
    assert (second.accepted, second.duplicates, second.alerts) == (0, 0, [])
    assert second.as_cursor() == first.as_cursor()


def test_kafka_away_is_an_outage_and_no_message_is_refused(desk: Desk) -> None:
    """The tick says so; there is nothing in the tables."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("node_import.intake.survey.METADATA_SECONDS", 0.5)
        with pytest.raises(TransientError, match="KAFKA_UNAVAILABLE") as caught:
            desk.tick(kafka_bootstrap_servers="127.0.0.1:9")
    assert "asking for topics" in caught.value.message
    assert desk.positions() == {}


def test_postgresql_away_is_an_outage_too(desk: Desk) -> None:
    """The code tells which of the two it is."""
    with pytest.raises(TransientError, match="DATABASE_UNAVAILABLE"):
        desk.tick(postgres_dsn=SecretStr("postgresql://ni_importer@127.0.0.1:9/none"))


def test_what_a_replayed_message_says_of_itself(desk: Desk) -> None:
    """A message that was refused and comes back keeps its identity, and its tries are counted."""
    produce(desk.settings, desk.topic, [desk.request(groupId="late")], key=b"k")
    desk.tick()
    [letter] = read_topic(desk.settings, desk.dlt)
    produce(desk.settings, desk.topic, [letter.value], key=b"k", headers=letter.headers)
    assert desk.tick().rejected == 1
    _, again = read_topic(desk.settings, desk.dlt)
    first, second = read_letter(letter.headers), read_letter(again.headers)
    assert second.attempts == 2
    assert second.original_offset == first.original_offset == 0
    assert second.first_failed_at == first.first_failed_at
    assert len(again.headers) == len(letter.headers)

    with desk.database.connect() as conn:
        conn.execute(
            "INSERT INTO matching_group (id, domain_id, name) VALUES (%s, %s, 'late')",
            [uuid.uuid4(), desk.tenant.domain_id],
        )
    for _ in range(2):
        produce(desk.settings, desk.topic, [again.value], key=b"k", headers=again.headers)
    report = desk.tick()
    assert (report.accepted, report.duplicates) == (1, 1)
    assert desk.jobs("message_offset, message_value") == [(0, letter.value)]


def test_a_replayed_letter_of_a_failed_job_reopens_it(desk: Desk) -> None:
    """Header node-import-job-id: FAILED becomes PENDING, once; any other job is left as it is."""
    produce(desk.settings, desk.topic, [desk.request(1)])
    desk.tick()
    [(job,)] = desk.jobs()
    [message] = read_topic(desk.settings, desk.topic)
    with desk.database.connect() as conn:
        conn.execute("UPDATE nodes_import_job SET status = 'FAILED', failure_code = 'TIMEOUT'")
    headers = [
        ("node-import-job-id", str(job).encode()),
        ("kafka_dlt-original-topic", desk.topic.encode()),
        ("kafka_dlt-original-partition", (0).to_bytes(4, "big")),
        ("kafka_dlt-original-offset", (0).to_bytes(8, "big")),
        ("kafka_dlt-original-timestamp", message.timestamp_ms.to_bytes(8, "big")),
    ]
    for _ in range(2):
        produce(desk.settings, desk.topic, [desk.request(1)], headers=headers)

    report = desk.tick()

    assert (report.reopened, report.duplicates, report.accepted) == (1, 1, 0)
    assert desk.jobs("id, status") == [(job, "PENDING")]
    produce(desk.settings, desk.topic, [desk.request(1)], headers=headers)
    assert desk.tick().duplicates == 1


def test_a_job_of_another_tenant_is_never_reopened(desk: Desk) -> None:
    """The header is ignored there: the message counts as the new one that it is."""
    other = make_tenant(desk.tenant.database, desk.database, "elsewhere")
    theirs = other.references()
    with desk.database.connect() as conn:
        conn.execute("UPDATE nodes_import_job SET status = 'FAILED'")
    header = ("node-import-job-id", str(theirs).encode())
    produce(desk.settings, desk.topic, [desk.request(1)], headers=[header])
    report = desk.tick()
    assert (report.accepted, report.reopened) == (1, 0)
    assert desk.jobs("status") == [("FAILED",), ("PENDING",)]
