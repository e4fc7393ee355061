"""The cost model: CPU-seconds per million nodes of each stage, and what follows from them."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from benchmarks.ours import START, STEPS

# An assumption, not a quotation: about what a vCPU with 4 GB costs an hour on demand in a large
# public cloud, of a general-purpose kind, with the disk it needs.
VCPU_HOUR_DOLLARS = 0.05
GOAL_DOLLARS = 10.0
CORES = (2, 4, 8, 16, 32)


@dataclass(frozen=True, slots=True)
class StageCost:
    """Medians over repetitions, scaled to a million nodes; the start is that of one run."""

    name: str
    seconds: float
    worker_cpu: float
    server_cpu: float
    other_cpu: float
    wal_bytes: float

    @property
    def cpu(self) -> float:
        """CPU-seconds of everybody."""
        return self.worker_cpu + self.server_cpu + self.other_cpu


def stage_costs(imports: Sequence[Mapping[str, Any]]) -> list[StageCost]:
    """Of fresh imports of one file."""
    names = [name for name in (START, *STEPS) if all(name in one["parts"] for one in imports)]
    return [_stage(name, imports) for name in names]


def dollars_per_million(costs: Sequence[StageCost]) -> float:
    """What the CPU-seconds cost, at `VCPU_HOUR_DOLLARS`."""
    return sum(cost.cpu for cost in costs) / 3_600 * VCPU_HOUR_DOLLARS


def nodes_per_second(costs: Sequence[StageCost], cores: int) -> float:
    """If every core is busy: many imports at once, of a million nodes each."""
    return cores * 1_000_000 / sum(cost.cpu for cost in costs)


def _stage(name: str, imports: Sequence[Mapping[str, Any]]) -> StageCost:
    def median(value: str) -> float:
        values: list[float] = []
        for one in imports:
            # The start and the end of a run cost the same whatever the file's size.
            scale = 1.0 if name == START else 1_000_000 / one["total"]
            values.append(one["parts"][name][value] * scale)
        return statistics.median(values)

    return StageCost(
        name,
        seconds=median("seconds"),
        worker_cpu=median("worker_cpu"),
        server_cpu=median("server_cpu"),
        other_cpu=median("other_cpu"),
        wal_bytes=median("wal_bytes"),
    )
