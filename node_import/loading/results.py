"""What became of slices: counts that add up, and failures by name."""

from __future__ import annotations

from dataclasses import dataclass

from node_import.staging.manifest import Failure


@dataclass(frozen=True, slots=True)
class SliceResult:
    """One slice. Without `failure`, `inserted + updated + unchanged + duplicate == rows`.

    `duplicate` counts the earlier rows of a reference that comes again. `skipped`: the ledger
    says that it was loaded before, and the counts are the ledger's. With `failure` the
    transaction was rolled back and all counts are 0; `transient` tells whether a later try may
    succeed. `retries` is how often the slice was begun again.
    """

    slice_no: int
    rows: int
    inserted: int = 0
    updated: int = 0
    unchanged: int = 0
    duplicate: int = 0
    skipped: bool = False
    seconds: float = 0.0
    failure: Failure | None = None
    transient: bool = False
    retries: int = 0


@dataclass(frozen=True, slots=True)
class SliceRetry:
    """A slice is begun again after `pause` seconds: its try number `failures` failed, and why."""

    slice_no: int
    failures: int
    reason: str
    pause: float


@dataclass(frozen=True, slots=True)
class BatchResult:
    """The slices of one call, in the order of their numbers, and how long it took.

    `unfinished` are the slices that were not begun, or rolled back, because of the stop event.
    """

    slices: tuple[SliceResult, ...]
    unfinished: tuple[int, ...]
    seconds: float

    @property
    def inserted(self) -> int:
        """New nodes."""
        return sum(result.inserted for result in self.slices)

    @property
    def updated(self) -> int:
        """Nodes with another type, or another or an additional value."""
        return sum(result.updated for result in self.slices)

    @property
    def unchanged(self) -> int:
        """Nodes that were there as they are in the file."""
        return sum(result.unchanged for result in self.slices)

    @property
    def duplicate(self) -> int:
        """Good rows without effect, since a later one has the same reference."""
        return sum(result.duplicate for result in self.slices)

    @property
    def failed(self) -> tuple[SliceResult, ...]:
        """Slices that could not be loaded."""
        return tuple(result for result in self.slices if result.failure is not None)

    @property
    def failed_rows(self) -> int:
        """Good rows of slices that could not be loaded."""
        return sum(result.rows for result in self.failed)

    @property
    def retries(self) -> int:
        """How often slices were begun again."""
        return sum(result.retries for result in self.slices)

    @property
    def skipped(self) -> tuple[SliceResult, ...]:
        """Slices that an earlier run had loaded."""
        return tuple(result for result in self.slices if result.skipped)
