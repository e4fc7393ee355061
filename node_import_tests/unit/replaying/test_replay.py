"""Sending letters back: confirmed, then marked, at the pace that was asked for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

import pytest

from node_import.contracts.dead_letter import (
    ERROR_CODE,
    EXCEPTION_MESSAGE,
    JOB_ID,
    ORIGINAL_OFFSET,
    VALUE_URL,
)
from node_import.contracts.error_codes import ErrorCode
from node_import.contracts.message import Message, OutgoingMessage
from node_import.errors import PermanentError, TransientError
from node_import.publishing.confirmed_producer import DeliveryFailure
from node_import.replaying.letter import Letter, letter_of
from node_import.replaying.replay import TOO_LARGE, Pace, Replayer
from node_import_tests.unit.replaying.letters import letter_message, partition

AWAY = TransientError(ErrorCode.KAFKA_UNAVAILABLE, "away")


@dataclass
class Broker:
    """Takes messages up to a size, or up to a number of them."""

    largest: int = 10_000
    room: int = 1_000
    taken: list[OutgoingMessage] = field(default_factory=list)

    def send(self, messages: Sequence[OutgoingMessage]) -> list[DeliveryFailure | None]:
        return [self._send(message) for message in messages]

    def _send(self, message: OutgoingMessage) -> DeliveryFailure | None:
        size = sum(len(name) + len(value or b"") for name, value in message.headers)
        if size + len(message.key or b"") + len(message.value or b"") > self.largest:
            return DeliveryFailure(AWAY, too_large=True)
        if len(self.taken) >= self.room:
            return DeliveryFailure(AWAY)
        self.taken.append(message)
        return None


@dataclass
class Replay:
    """One replay of letters that are given, and what was marked."""

    broker: Broker = field(default_factory=Broker)
    values: dict[str, bytes] = field(default_factory=dict)
    pace: Pace = field(default_factory=Pace)
    marked: list[Letter] = field(default_factory=list)
    failed: list[tuple[Letter, str]] = field(default_factory=list)

    def run(self, *messages: Message) -> None:
        letters = [(letter_of(partition(), one, "acme-users"), one) for one in messages]
        replayer = Replayer(
            self.broker, self.fetch, lambda _: "acme-users", self.marked.extend, self.pace
        )
        for outcome in replayer.run(letters):
            self.failed += outcome.failed

    def fetch(self, url: str) -> bytes:
        if url not in self.values:
            raise PermanentError(ErrorCode.FILE_NOT_FOUND, f"{url} is gone")
        return self.values[url]


def names(message: OutgoingMessage) -> set[str]:
    return {name for name, _ in message.headers}


def test_a_letter_goes_back_as_it_is() -> None:
    """Key, value and every header: they keep its identity, its job and its tries."""
    replay, message = Replay(), letter_message(job_id=uuid4())
    replay.run(message)
    assert replay.broker.taken == [OutgoingMessage("acme-users", b"key", b"value", message.headers)]
    assert {"x", JOB_ID, ORIGINAL_OFFSET} <= names(replay.broker.taken[0])
    assert len(replay.marked) == 1


def test_a_value_that_went_without_is_fetched() -> None:
    """The message has it again, and no longer says where it lay."""
    replay = Replay(values={"s3://b/v": b"the value"})
    headers = (*letter_message().headers, (VALUE_URL, b"s3://b/v"))
    replay.run(letter_message(value=None, headers=headers))
    [sent] = replay.broker.taken
    assert sent.value == b"the value"
    assert VALUE_URL not in names(sent)


def test_a_value_that_is_gone_costs_one_letter() -> None:
    """It is told, and not marked; the others go."""
    replay = Replay()
    lost = letter_message(value=None, headers=((VALUE_URL, b"s3://b/v"),))
    replay.run(lost, letter_message(original=2))
    assert len(replay.broker.taken) == len(replay.marked) == 1
    [(_, reason)] = replay.failed
    assert reason == "FILE_NOT_FOUND: s3://b/v is gone"


def test_a_message_too_large_loses_what_only_people_read() -> None:
    """The reason goes, the identity stays."""
    message = letter_message()
    replay = Replay(Broker(largest=message.size - 50))
    replay.run(message)
    [sent] = replay.broker.taken
    assert sent.value == message.value
    assert {ORIGINAL_OFFSET, "x"} <= names(sent)
    assert {EXCEPTION_MESSAGE, ERROR_CODE}.isdisjoint(names(sent))


def test_a_message_too_large_for_that_is_told() -> None:
    """And not marked."""
    replay = Replay()
    replay.run(letter_message(value=b"v" * 10_000), letter_message(original=2))
    assert [reason for _, reason in replay.failed] == [TOO_LARGE]
    assert len(replay.marked) == 1


def test_an_outage_ends_the_replay_with_everything_marked() -> None:
    """What Kafka has confirmed is marked, and nothing else."""
    replay = Replay(Broker(room=3), pace=Pace(2, lambda: 0.0, lambda _: None))
    with pytest.raises(TransientError):
        replay.run(*(letter_message(original=n) for n in range(6)))
    assert len(replay.broker.taken) == len(replay.marked) == 3


@pytest.mark.parametrize(
    ("rate", "sleeps"), [(2, [1, 2]), (0.5, [2, 4, 6, 8]), (100, []), (None, [])]
)
def test_the_pace_is_kept(rate: float | None, sleeps: list[float]) -> None:
    """No letter goes before it is due; the clock of this test stands still."""
    slept: list[float] = []
    replay = Replay(pace=Pace(rate, lambda: 0.0, slept.append))
    replay.run(*(letter_message(original=n) for n in range(5)))
    assert slept == sleeps
    assert len(replay.marked) == 5


def test_a_slow_broker_needs_no_sleep() -> None:
    """Time that sending took counts."""
    times: Any = iter((0.0, 10.0, 20.0))
    replay = Replay(pace=Pace(1, lambda: next(times), lambda _: pytest.fail("slept")))
    replay.run(*(letter_message(original=n) for n in range(3)))
    assert len(replay.marked) == 3
