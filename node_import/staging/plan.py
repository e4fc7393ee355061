"""How a job's rows are cut into batches and slices, and the fingerprint that names the cut.

A slice is a partition of the hash of the reference, so one reference is in one slice whatever
the order of the file, and no two slices ever write the same node. A batch is a run of
neighbouring slices: one mapped step of the graph.
"""

from __future__ import annotations

from dataclasses import dataclass

from node_import.sizes import MIB

# XXH64 with seed 0 (github.com/Cyan4973/xxHash): its values are fixed by its specification,
# unlike those of polars' own `hash()`, which changed between releases.
HASH_NAME = "xxh64"

# A slice is one transaction, a batch is one step. Both are powers of two in number.
SLICE_TARGET_BYTES = 16 * MIB
# The rows of a small file are shared out, so that several connections can load them at once.
SHARED_BYTES = 4 * MIB
LEAST_SHARES = 4
# Each batch begins with connections of its own and ends with one of them waiting for the others:
# that is worth it only where batches are loaded side by side.
BATCH_TARGET_BYTES = 256 * MIB
SIDE_BY_SIDE_TARGET_BYTES = 32 * MIB
MAX_BATCHES = 32
MAX_SLICES = 1_024

# How much CSV a compressed byte holds, for planning only; real exports are between 4 and 10.
ASSUMED_RATIO = 6


@dataclass(frozen=True, slots=True)
class Plan:
    """Everything that decides which rows a slice holds; `slices` is a multiple of `batches`.

    `rules` names what decides which rows of the source are good.
    """

    slices: int
    batches: int
    rules: str = ""

    @property
    def fingerprint(self) -> str:
        """Names the cut in the ledger: rows of another cut never count as loaded."""
        return f"{HASH_NAME}/{self.slices}/{self.rules}".rstrip("/")

    def slices_of(self, batch: int) -> range:
        """The slice numbers of batch number `batch` (both from 0)."""
        width = self.slices // self.batches
        return range(batch * width, (batch + 1) * width)


def plan_for(estimated_csv_bytes: int, *, rules: str = "", side_by_side: bool = False) -> Plan:
    """A plan for a source of about so many bytes of CSV; the slices are those of its size alone.

    `side_by_side` says that several workers may load batches at once.
    """
    target = BATCH_TARGET_BYTES
    if side_by_side:
        target = min(target, SIDE_BY_SIDE_TARGET_BYTES)
    shares = min(LEAST_SHARES, _power_of_two(estimated_csv_bytes / SHARED_BYTES))
    slices = max(shares, _power_of_two(estimated_csv_bytes / SLICE_TARGET_BYTES))
    slices = min(MAX_SLICES, slices)
    batches = min(MAX_BATCHES, slices, _power_of_two(estimated_csv_bytes / target))
    return Plan(slices=slices, batches=batches, rules=rules)


def _power_of_two(wanted: float) -> int:
    """The smallest power of two that is not below `wanted`."""
    power = 1
    while power < wanted:
        power *= 2
    return power
