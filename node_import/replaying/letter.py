"""A dead letter where it stands in its topic, without its value, which may have a megabyte."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from node_import.contracts.dead_letter import LetterInfo, read_letter
from node_import.contracts.error_codes import ErrorCode
from node_import.contracts.identity import MessageIdentity
from node_import.contracts.message import Message
from node_import.contracts.node_exchange import NodeExchange, decode_node_exchange
from node_import.intake.positions import Partition

# Letters of other applications have Spring's headers alone.
NO_CODE = "UNKNOWN"


@dataclass(frozen=True, slots=True)
class Place:
    """Where a letter stands. `topic_id` changes when a topic is deleted and made again."""

    topic_id: str
    partition: int
    offset: int


@dataclass(frozen=True, slots=True)
class NamedFile:
    """A file that a message names which never became a job, and for whom: `groupId` as sent."""

    domain_id: UUID
    group_called: str
    identity: MessageIdentity


@dataclass(frozen=True, slots=True)
class Letter:
    """One dead letter.

    Letters of the same message have the same `of_message`: a message that came back and failed
    again leaves another letter, and a tick of intake that died may send one twice.
    """

    partition: Partition
    offset: int
    timestamp_ms: int
    key: bytes | None
    info: LetterInfo
    of_message: Hashable
    names_file: NamedFile | None = None

    @property
    def name(self) -> str:
        """What it is called on the command line: `topic/partition/offset`."""
        return f"{self.topic}/{self.partition.number}/{self.offset}"

    @property
    def topic(self) -> str:
        """The dead-letter topic."""
        return self.partition.topic.name

    @property
    def domain(self) -> str:
        """The name of the tenant whose topic it is; it need not exist."""
        return self.partition.topic.domain

    @property
    def place(self) -> Place:
        """Where it stands."""
        return Place(self.partition.topic_id, self.partition.number, self.offset)

    @property
    def code(self) -> str:
        """Its error code; one from elsewhere need not be of the contract."""
        return self.info.error_code or NO_CODE


def letter_of(partition: Partition, message: Message, request_topic: str) -> Letter:
    """What is kept of a message of a dead-letter topic. Never raises."""
    info = read_letter(message.headers)
    identity = message.identity
    original = info.original_identity(identity.cluster_id)
    if original is not None and original.topic != request_topic:
        original = None
    return Letter(
        partition=partition,
        offset=identity.offset,
        timestamp_ms=identity.timestamp_ms,
        key=message.key,
        info=info,
        of_message=original or info.job_id or (partition, identity.offset),
        names_file=_named_file(message, original or identity) if info.job_id is None else None,
    )


def _named_file(message: Message, identity: MessageIdentity) -> NamedFile | None:
    request = decode_node_exchange(message.value)
    if not isinstance(request, NodeExchange) or request.file_path is None:
        return None
    return NamedFile(request.domain_id, request.group_id, identity)


@dataclass(frozen=True, slots=True)
class LetterFilter:
    """Which letters; an empty set or None leaves a condition out. Times are the letters' own.

    `topics` are dead-letter topics or request topics, `domains` names; `names` are letters by
    `topic/partition/offset`, `jobs` those of these jobs: either is enough.
    """

    topics: frozenset[str] = frozenset()
    domains: frozenset[str] = frozenset()
    codes: frozenset[ErrorCode] = frozenset()
    since: datetime | None = None
    until: datetime | None = None
    names: frozenset[str] = frozenset()
    jobs: frozenset[UUID] = frozenset()

    def matches_topic(self, partition: Partition, request_topic: str) -> bool:
        """Whether the partition can hold such letters."""
        topic = partition.topic
        if self.topics and self.topics.isdisjoint({topic.name, request_topic}):
            return False
        if self.domains and topic.domain not in self.domains:
            return False
        named = {name.partition("/")[0] for name in self.names}
        return not named or bool(self.jobs) or topic.name in named

    def matches(self, letter: Letter) -> bool:
        """Whether the letter, of a topic that matches, is one of them."""
        if self.codes and letter.code not in self.codes:
            return False
        if self.since is not None and letter.timestamp_ms < _milliseconds(self.since):
            return False
        if self.until is not None and letter.timestamp_ms >= _milliseconds(self.until):
            return False
        if not self.names and not self.jobs:
            return True
        return letter.name in self.names or letter.info.job_id in self.jobs


def _milliseconds(moment: datetime) -> float:
    return moment.timestamp() * 1_000
