"""Reads dead-letter topics from their beginning to where they end now; joins no group."""

from __future__ import annotations

import time
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field

from node_import.contracts.error_codes import ErrorCode
from node_import.contracts.message import Message
from node_import.contracts.topics import LetterTopics
from node_import.errors import TransientError
from node_import.intake.consumer import RequestConsumer
from node_import.intake.positions import OffsetRange, Partition
from node_import.intake.reading import Batch, Read
from node_import.intake.survey import Surveyor
from node_import.intake.tick import request_topics
from node_import.replaying.letter import Letter, LetterFilter, Place, letter_of
from node_import.settings import Settings

BATCH_MESSAGES = 5_000
BATCH_SECONDS = 60.0


@dataclass(slots=True)
class LetterReader:
    """The dead-letter topics of one cluster, as they were when this was made."""

    settings: Settings
    topics: LetterTopics
    cluster_id: str
    ranges: Mapping[Partition, OffsetRange]
    warnings: list[str] = field(default_factory=list)

    @classmethod
    def look(cls, settings: Settings, wanted: LetterFilter) -> LetterReader:
        """Which topics there are that can hold letters of the filter, and where they end.

        Raises:
            TransientError: KAFKA_UNAVAILABLE, also if a single partition cannot say.
        """
        topics = LetterTopics(request_topics(settings))
        surveyor = Surveyor(settings)
        topology = surveyor.topology(topics)
        partitions = [
            partition
            for partition in topology.partitions
            if wanted.matches_topic(partition, topics.request_topic(partition.topic.name))
        ]
        low, high = surveyor.earliest(partitions), surveyor.latest(partitions)
        ranges = {p: OffsetRange(_known(low[p]), _known(high[p])) for p in partitions}
        return cls(settings, topics, topology.cluster_id, ranges, list(topology.warnings))

    def letters(self) -> Iterator[Letter]:
        """All of them, in order within each partition.

        Raises:
            TransientError: KAFKA_UNAVAILABLE; a list with gaps would look like a whole one.
        """
        for read in self._read(self.ranges):
            yield letter_of(read.partition, read.message, self.request_topic(read.partition))

    def messages(self, letters: Collection[Letter]) -> Iterator[tuple[Letter, Message]]:
        """These letters again, whole; one that retention has removed since is left out.

        Raises:
            TransientError: KAFKA_UNAVAILABLE.
        """
        wanted: dict[Place, Letter] = {letter.place: letter for letter in letters}
        for read in self._read(_ranges_of(letters)):
            place = Place(
                read.partition.topic_id, read.partition.number, read.message.identity.offset
            )
            if place in wanted:
                yield wanted[place], read.message

    def request_topic(self, partition: Partition) -> str:
        """Where the letters of a partition go back to."""
        return self.topics.request_topic(partition.topic.name)

    def _read(self, ranges: Mapping[Partition, OffsetRange]) -> Iterator[Read]:
        unread = {p: offsets.low for p, offsets in ranges.items() if offsets.low < offsets.high}
        while unread:
            batch = self._batch(unread)
            for read in batch.messages:
                if read.message.identity.offset < ranges[read.partition].high:
                    yield read
            reached = batch.next_offsets.items()
            unread = {p: offset for p, offset in reached if offset < ranges[p].high}

    def _batch(self, starts: Mapping[Partition, int]) -> Batch:
        """A consumer is good for one reading: a partition paused in it stays so when assigned."""
        deadline = time.monotonic() + BATCH_SECONDS
        with RequestConsumer(self.settings, self.cluster_id) as consumer:
            batch = consumer.read(starts, max_messages=BATCH_MESSAGES, deadline=deadline)
        self.warnings += batch.warnings
        if batch.next_offsets == starts:
            reason = "; ".join(batch.warnings) or "no answer"
            raise TransientError(
                ErrorCode.KAFKA_UNAVAILABLE, f"Kafka, reading dead letters: {reason}"
            )
        return batch


def _ranges_of(letters: Collection[Letter]) -> dict[Partition, OffsetRange]:
    """From the first to the last of them, in each partition."""
    offsets: dict[Partition, list[int]] = {}
    for letter in letters:
        offsets.setdefault(letter.partition, []).append(letter.offset)
    return {p: OffsetRange(min(found), max(found) + 1) for p, found in offsets.items()}


def _known(offset: int | TransientError) -> int:
    if isinstance(offset, TransientError):
        raise offset
    return offset
