"""Ticks that die, overlap, or meet a cluster that is not what it was."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import pytest
from confluent_kafka import Consumer, TopicPartition

from node_import.contracts.dead_letter import DeadLetter
from node_import.contracts.error_codes import ErrorCode
from node_import.errors import TransientError
from node_import.intake.report import IntakeReport
from node_import.intake.survey import Surveyor
from node_import.intake.tick import request_topics
from node_import_tests.support.kafka_messages import produce, read_topic
from node_import_tests.support.tenants import rows

if TYPE_CHECKING:
    from node_import_tests.support.intake_desk import Desk


class Letters:
    """Sends letters for real, with something happening before or after."""

    def __init__(self, desk: Desk, before: Any = None, after: Any = None) -> None:
        self._desk = desk
        self._before = before
        self._after = after

    def send(self, letters: Sequence[DeadLetter]) -> list[TransientError | None]:
        if self._before:
            self._before()
        answers = self._desk.letters.send(letters)
        if self._after:
            self._after()
        return answers


def die() -> None:
    """What a killed process does next: nothing."""
    raise KeyboardInterrupt


def test_a_tick_that_dies_before_its_letters_is_done_again(desk: Desk) -> None:
    """No position moved, no job written; the next tick does all of it."""
    produce(desk.settings, desk.topic, ["{", desk.request(1)])
    with pytest.raises(KeyboardInterrupt):
        desk.intake(Letters(desk, before=die)).tick()
    assert desk.jobs() == []
    assert desk.positions() == {}

    assert desk.tick().accepted == 1
    assert len(read_topic(desk.settings, desk.dlt)) == 1


def test_a_tick_that_dies_after_its_letters_sends_them_again(desk: Desk) -> None:
    """A letter may come twice, it is never lost; the job is there once."""
    produce(desk.settings, desk.topic, ["{", desk.request(1)])
    with pytest.raises(KeyboardInterrupt):
        desk.intake(Letters(desk, after=die)).tick()
    assert desk.positions() == {}

    report = desk.tick()

    assert (report.accepted, report.rejected) == (1, 1)
    assert len(read_topic(desk.settings, desk.dlt)) == 2
    assert len(desk.jobs()) == 1


def test_a_connection_that_breaks_before_the_transaction_loses_nothing(desk: Desk) -> None:
    """PostgreSQL goes away in the middle: an outage for the tick, and the next one goes on."""

    def cut_connections() -> None:
        with desk.database.connect() as conn:
            conn.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )

    produce(desk.settings, desk.topic, [desk.request(1)])
    with pytest.raises(TransientError, match="DATABASE_UNAVAILABLE"):
        desk.intake(Letters(desk, after=cut_connections)).tick()
    assert desk.jobs() == []
    assert desk.tick().accepted == 1


def test_a_partition_whose_letters_are_not_confirmed_waits_and_others_go_on(desk: Desk) -> None:
    """Its good messages before the letter are taken, the position stops at the letter."""

    class Unconfirmed:
        def send(self, letters: Sequence[DeadLetter]) -> list[TransientError | None]:
            error = TransientError(ErrorCode.KAFKA_UNAVAILABLE, "no leader")
            return [error if letter.message.identity.partition == 1 else None for letter in letters]

    for partition in (0, 1):
        values = [desk.request(1), "{", desk.request(2), "["]
        produce(desk.settings, desk.topic, values, partition=partition)

    report = desk.intake(Unconfirmed()).tick()

    assert (report.accepted, report.rejected) == (3, 2)
    assert (desk.positions()[desk.topic, 0], desk.positions()[desk.topic, 1]) == (4, 1)
    [alert] = report.alerts
    assert f"{desk.topic}[1] waits at offset 1" in alert
    assert "no leader" in alert
    later = desk.tick()
    assert (later.accepted, later.rejected) == (1, 2)


def test_a_message_that_is_read_again_is_the_same_job(desk: Desk) -> None:
    """Positions and group offsets are gone, as after a restore: every message is known."""
    produce(desk.settings, desk.topic, [desk.request(n) for n in range(3)])
    desk.tick()
    with desk.database.connect() as conn:
        conn.execute("DELETE FROM intake_position")
    report = desk.tick(kafka_group_id="another")
    assert (report.accepted, report.duplicates) == (0, 3)
    assert len(desk.jobs()) == 3


def test_a_second_tick_returns_at_once(desk: Desk) -> None:
    """Ticks overlap: while one is at work the other reads nothing."""
    seen: list[IntakeReport] = []
    produce(desk.settings, desk.topic, [desk.request(1)])
    report = desk.intake(Letters(desk, before=lambda: seen.append(desk.tick()))).tick()
    assert [other.skipped for other in seen] == [True]
    assert report.accepted == 1
    assert desk.tick().skipped is False


def test_a_position_that_moved_meanwhile_undoes_the_tick(desk: Desk) -> None:
    """Compare and set: whoever comes second writes neither jobs nor positions."""

    def move() -> None:
        with desk.database.connect() as conn:
            conn.execute("UPDATE intake_position SET next_offset = next_offset + 1")

    produce(desk.settings, desk.topic, [desk.request(1)])
    desk.tick()
    produce(desk.settings, desk.topic, [desk.request(2), desk.request(3)])
    report = desk.intake(Letters(desk, after=move)).tick()
    assert report.skipped
    assert len(desk.jobs()) == 1
    assert desk.positions()[desk.topic, 0] == 2


def test_a_new_partition_that_another_tick_saw_first(desk: Desk) -> None:
    """Two ticks meet a partition for the first time: the second to write writes nothing."""

    def insert() -> None:
        with desk.database.connect() as conn:
            conn.execute(
                "INSERT INTO intake_position VALUES (%s, %s, 0, %s, 1)",
                [topology.cluster_id, topology.partitions[0].topic_id, desk.topic],
            )

    produce(desk.settings, desk.topic, [desk.request(1)])
    topology = Surveyor(desk.settings).topology(request_topics(desk.settings))
    assert desk.intake(Letters(desk, after=insert)).tick().skipped
    assert desk.jobs() == []


def test_positions_of_another_cluster_do_not_count(desk: Desk) -> None:
    """A rebuilt cluster starts from its beginning, whatever the old one's positions were."""
    with desk.database.connect() as conn:
        conn.execute(
            "INSERT INTO intake_position SELECT 'old', %s, n, %s, 1000"
            " FROM generate_series(0, 3) n",
            [desk.topic, desk.topic],
        )
    produce(desk.settings, desk.topic, [desk.request(1)])
    report = desk.tick()
    assert (report.accepted, report.alerts) == (1, [])
    old = "SELECT DISTINCT next_offset FROM intake_position WHERE cluster_id = 'old'"
    assert rows(desk.database, old) == [(1000,)]


def test_a_position_out_of_range_is_alerted_and_what_is_there_is_read(desk: Desk) -> None:
    """From the low watermark; what was imported before is known."""
    produce(desk.settings, desk.topic, [desk.request(1)])
    desk.tick()
    with desk.database.connect() as conn:
        conn.execute("UPDATE intake_position SET next_offset = 1000 WHERE partition_no = 0")
    produce(desk.settings, desk.topic, [desk.request(2)])
    report = desk.tick()
    assert (report.accepted, report.duplicates) == (1, 1)
    [alert] = report.alerts
    assert f"{desk.topic}[0]: position 1000 is out of range" in alert
    assert desk.tick().alerts == []


def test_a_new_partition_goes_on_where_the_group_was(desk: Desk) -> None:
    """A deployment that took over a consumer group's topics does not read them from the start."""
    produce(desk.settings, desk.topic, [desk.request(n) for n in range(5)])
    client = {**desk.settings.kafka_client_config(), "group.id": desk.settings.kafka_group_id}
    consumer = Consumer(client)
    consumer.commit(offsets=[TopicPartition(desk.topic, 0, 3)], asynchronous=False)
    consumer.close()
    assert desk.tick().accepted == 2
    assert desk.jobs("message_offset") == [(3,), (4,)]


def test_group_offsets_that_cannot_be_written_only_warn(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing but lag tools depends on them."""

    def refuse(*_: object) -> None:
        raise TransientError(ErrorCode.KAFKA_UNAVAILABLE, "Kafka, committing: no coordinator")

    monkeypatch.setattr("node_import.intake.consumer.RequestConsumer.commit", refuse)
    produce(desk.settings, desk.topic, [desk.request(1)])
    report = desk.tick()
    assert (report.accepted, report.warnings) == (1, ["Kafka, committing: no coordinator"])
