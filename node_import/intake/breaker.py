"""The circuit breaker of each topic: where nearly all is refused, reading stops and looks again.

A tenant that was never added, a table of tenants restored from yesterday, a group renamed: each
would drain a topic into its dead letters, although the messages are good. So after so many such
refusals in a row (`intake_max_refusals`) the topic rests, and now and then a few messages of it
are tried. The first that is accepted closes the breaker. Messages that are bad by themselves (no
JSON, no such fields) will never be better: they are answered at once and count for nothing here.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar

from node_import.contracts.error_codes import ErrorCode
from node_import.contracts.rejection import Rejection
from node_import.database import Connection
from node_import.intake.decoding import Verdict
from node_import.intake.positions import Partition
from node_import.intake.reading import Read
from node_import.sql import statements

# What changes when somebody adds or mends a tenant.
MENDABLE_CODES = frozenset(
    {ErrorCode.UNKNOWN_DOMAIN, ErrorCode.DOMAIN_TOPIC_MISMATCH, ErrorCode.UNKNOWN_GROUP}
)

MESSAGES_A_LOOK = 10
FIRST_REST_SECONDS = 10.0
LONGEST_REST_SECONDS = 300.0


class JudgedMessage(Protocol):
    """A message of a topic, and what is to be done with it."""

    @property
    def read(self) -> Read:
        """The message, and where it stands."""

    @property
    def verdict(self) -> Verdict:
        """What is to be done with it."""


Judged = TypeVar("Judged", bound=JudgedMessage)


@dataclass(frozen=True, slots=True)
class Breaker:
    """Of one topic: refusals since the last accepted message, and how it rests since it opened."""

    refused: int = 0
    looks: int = 0
    rests: float = 0.0  # seconds until the next look

    def allows(self, limit: int) -> int:
        """How many messages may be refused before reading stops (again)."""
        return limit - self.refused if self.refused < limit else MESSAGES_A_LOOK

    def after(self, verdicts: Iterable[Verdict], limit: int) -> Breaker:
        """The breaker after these messages: open, if the last `limit` or more were refused."""
        refused, looks = self.refused, self.looks
        for verdict in verdicts:
            if not isinstance(verdict, Rejection):
                refused, looks = 0, 0
            elif verdict.code in MENDABLE_CODES:
                refused += 1
        if refused < limit:
            return Breaker(refused)
        return Breaker(refused, looks + 1, rest_seconds(looks + 1))


@dataclass(frozen=True, slots=True)
class Breakers:
    """The breakers of all topics; `limit` 0 switches them off."""

    by_topic: Mapping[str, Breaker]
    limit: int

    def of(self, topic: str) -> Breaker:
        """The breaker of one topic."""
        return self.by_topic.get(topic, Breaker())

    def resting(self, topics: Iterable[str]) -> frozenset[str]:
        """Those of the topics that are not to be read in this tick."""
        return frozenset(name for name in topics if self.limit and self.of(name).rests > 0)

    def hold_back(self, judged: Sequence[Judged]) -> dict[Partition, int]:
        """Where reading stops: the first offset of each partition that is not to be settled."""
        held: dict[Partition, int] = {}
        if not self.limit:
            return held
        left: dict[str, int] = {}
        for item in judged:
            partition = item.read.partition
            topic = partition.topic.name
            allowed = left.setdefault(topic, self.of(topic).allows(self.limit))
            if allowed == 0:
                held.setdefault(partition, item.read.message.identity.offset)
            elif not isinstance(item.verdict, Rejection):
                left[topic] = self.limit
            elif item.verdict.code in MENDABLE_CODES:
                left[topic] = allowed - 1
        return held

    def after(self, settled: Iterable[Judged]) -> dict[str, Breaker]:
        """The breakers of the topics of these messages, now that they are settled."""
        if not self.limit:
            return {}
        verdicts: dict[str, list[Verdict]] = {}
        for item in settled:
            verdicts.setdefault(item.read.partition.topic.name, []).append(item.verdict)
        return {topic: self.of(topic).after(said, self.limit) for topic, said in verdicts.items()}


def alerts(after: Mapping[str, Breaker], settled: Collection[JudgedMessage]) -> Iterator[str]:
    """What to say of topics that are not read on, now that these messages are settled."""
    for topic, breaker in after.items():
        if breaker.rests:
            refused = Counter(
                item.verdict.code
                for item in settled
                if item.read.partition.topic.name == topic and isinstance(item.verdict, Rejection)
            )
            codes = ", ".join(f"{code} {count}" for code, count in refused.most_common())
            yield (
                f"{topic} is not read on: its last {breaker.refused} messages were refused, of "
                f"those of this tick {codes}. Mend the domain or the group that they name; a look "
                f"at the next {MESSAGES_A_LOOK} follows in {breaker.rests:.0f} s, and reading "
                "goes on with the first that is accepted"
            )


def rest_seconds(looks: int) -> float:
    """How long a topic rests before its next look: 10 s, doubled each time, to 5 min."""
    doubled: float = FIRST_REST_SECONDS * 2 ** (min(looks, 16) - 1)
    return min(doubled, LONGEST_REST_SECONDS)


def read_breakers(conn: Connection, limit: int) -> Breakers:
    """All breakers that count something. As ni_operator."""
    rows = conn.execute(statements("intake.sql")["read_breakers"])
    by_topic = {
        row["topic"]: Breaker(row["refused_in_a_row"], row["looks"], row["rests"]) for row in rows
    }
    return Breakers(by_topic, limit)


def write_breakers(conn: Connection, before: Collection[str], after: Mapping[str, Breaker]) -> None:
    """Keep what `after` says of its topics; `before` had a breaker already. As ni_operator."""
    counting = {topic: breaker for topic, breaker in after.items() if breaker.refused}
    if counting:
        parameters = {
            "topics": list(counting),
            "refused": [breaker.refused for breaker in counting.values()],
            "looks": [breaker.looks for breaker in counting.values()],
            "rests": [breaker.rests for breaker in counting.values()],
        }
        conn.execute(statements("intake.sql")["write_breakers"], parameters)
    closed = [topic for topic in after if topic in before and topic not in counting]
    if closed:
        conn.execute(statements("intake.sql")["forget_breakers"], {"topics": closed})
