"""Sends dead letters back to their topics: each confirmed by Kafka, then marked.

A process that dies in between leaves at most one batch sent and not marked. Those are sent once
more by the next replay, which changes nothing: a message keeps its identity, a job is reopened
only while it is FAILED.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice

from node_import.contracts.dead_letter import replayed, without_reason
from node_import.contracts.message import Message, OutgoingMessage
from node_import.errors import PermanentError, TransientError
from node_import.publishing.confirmed_producer import DeliveryFailure, MessageSender
from node_import.publishing.dead_letters import FetchValue
from node_import.replaying.letter import Letter

# Few enough that a mark is never far behind; a batch may hold as many megabytes.
BATCH_LETTERS = 100

TOO_LARGE = "too large for Kafka together with what a replay must say of it"


@dataclass(slots=True)
class Pace:
    """No more than `per_second` letters a second; None is as fast as Kafka confirms."""

    per_second: float | None = None
    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep
    _begun: float | None = None
    _sent: int = 0

    @property
    def batch(self) -> int:
        """How many letters go at a time: at most a second's worth."""
        if self.per_second is None:
            return BATCH_LETTERS
        return max(1, min(BATCH_LETTERS, int(self.per_second)))

    def wait(self, count: int) -> None:
        """Until `count` more may go."""
        now = self.clock()
        if self._begun is None:
            self._begun = now
        if self.per_second is not None:
            due = self._begun + self._sent / self.per_second
            if due > now:
                self.sleep(due - now)
        self._sent += count


@dataclass(slots=True)
class Outcome:
    """What was sent, and what could not be: (letter, reason)."""

    replayed: list[Letter] = field(default_factory=list)
    failed: list[tuple[Letter, str]] = field(default_factory=list)


@dataclass(slots=True)
class Replayer:
    """One replay. `mark` is told of every batch that Kafka has confirmed, before the next goes."""

    sender: MessageSender
    fetch_value: FetchValue
    request_topic: Callable[[Letter], str]
    mark: Callable[[Sequence[Letter]], None]
    pace: Pace = field(default_factory=Pace)

    def run(self, letters: Iterable[tuple[Letter, Message]]) -> Iterator[Outcome]:
        """Send the letters, and say after every batch what became of it.

        Raises:
            TransientError: Kafka or the object store is away; what was confirmed is marked.
        """
        iterator = iter(letters)
        while batch := list(islice(iterator, self.pace.batch)):
            self.pace.wait(len(batch))
            yield self._send(batch)

    def _send(self, batch: Sequence[tuple[Letter, Message]]) -> Outcome:
        outcome = Outcome()
        ready: list[tuple[Letter, OutgoingMessage]] = []
        for letter, message in batch:
            try:
                ready.append((letter, self._outgoing(letter, message)))
            except PermanentError as error:
                outcome.failed.append((letter, f"{error.code}: {error.message}"))
        failures = self.sender.send([outgoing for _, outgoing in ready])
        errors: list[TransientError] = []
        for (letter, outgoing), first in zip(ready, failures, strict=True):
            failure = self._again(outgoing, first)
            if failure is None:
                outcome.replayed.append(letter)
            elif failure.too_large:
                outcome.failed.append((letter, TOO_LARGE))
            else:
                errors.append(failure.error)
        if outcome.replayed:
            self.mark(outcome.replayed)
        if errors:
            raise errors[0]
        return outcome

    def _outgoing(self, letter: Letter, message: Message) -> OutgoingMessage:
        value = message.value
        if value is None and letter.info.value_url is not None:
            value = self.fetch_value(letter.info.value_url)
        return replayed(message, self.request_topic(letter), value)

    def _again(
        self, message: OutgoingMessage, failure: DeliveryFailure | None
    ) -> DeliveryFailure | None:
        """A broker refuses a whole batch for one large message, so it first goes alone."""
        for smaller in (message, without_reason(message)):
            if failure is None or not failure.too_large:
                return failure
            failure = self.sender.send([smaller])[0]
        return failure
