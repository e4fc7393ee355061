"""What one tick did, for the sensor's log and cursor."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass, field

from node_import.contracts.error_codes import ErrorCode
from node_import.intake.positions import Partition


@dataclass(slots=True)
class TopicCounts:
    """Messages of one topic by what became of them."""

    accepted: int = 0
    duplicates: int = 0
    reopened: int = 0
    rejected: Counter[ErrorCode] = field(default_factory=Counter)


@dataclass(slots=True)
class IntakeReport:
    """One tick. `alerts` ask for somebody to look, `warnings` pass by themselves.

    `skipped`: another tick was at work, or moved the positions first; nothing was changed.
    `resting` are topics that are not read for a while: see `node_import.intake.breaker`.
    """

    skipped: bool = False
    topics: dict[str, TopicCounts] = field(default_factory=dict)
    positions: dict[Partition, int] = field(default_factory=dict)
    alerts: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    resting: frozenset[str] = frozenset()

    def of(self, topic: str) -> TopicCounts:
        """The counts of one topic."""
        return self.topics.setdefault(topic, TopicCounts())

    @property
    def accepted(self) -> int:
        """Messages that became a job in this tick."""
        return sum(counts.accepted for counts in self.topics.values())

    @property
    def rejected(self) -> int:
        """Messages that went to a dead-letter topic in this tick."""
        return sum(counts.rejected.total() for counts in self.topics.values())

    @property
    def duplicates(self) -> int:
        """Messages whose job was there already."""
        return sum(counts.duplicates for counts in self.topics.values())

    @property
    def reopened(self) -> int:
        """Replayed dead letters whose job will run again."""
        return sum(counts.reopened for counts in self.topics.values())

    @property
    def is_quiet(self) -> bool:
        """Nothing was read, nothing is wrong, and nobody else is at work."""
        return not (self.skipped or self.topics or self.alerts or self.warnings)

    def as_cursor(self) -> str | None:
        """The positions as JSON, `{"topic": {"partition": next offset}}`: shown, not owned.

        None, if the tick was skipped: the cursor stays as it is.
        """
        if self.skipped:
            return None
        cursor: dict[str, dict[str, int]] = {}
        for partition, offset in sorted(self.positions.items(), key=lambda item: str(item[0])):
            cursor.setdefault(partition.topic.name, {})[str(partition.number)] = offset
        return json.dumps(cursor, separators=(",", ":"))

    def summary(self) -> str:
        """One line for a log."""
        if self.skipped:
            return "another tick is reading"
        parts = [f"{self.accepted} accepted"]
        codes: Counter[ErrorCode] = sum(
            (counts.rejected for counts in self.topics.values()), Counter()
        )
        if codes:
            listed = ", ".join(f"{code} {count}" for code, count in codes.most_common())
            parts.append(f"{self.rejected} rejected ({listed})")
        if self.duplicates:
            parts.append(f"{self.duplicates} known already")
        if self.reopened:
            parts.append(f"{self.reopened} reopened")
        if self.resting:
            parts.append(f"{', '.join(sorted(self.resting))} not read for a while")
        return ", ".join(parts)
