"""One picture: seconds of the import by part, beside the floor and other loaders."""

from __future__ import annotations

import statistics
from pathlib import Path

from benchmarks.costs import stage_costs
from benchmarks.results import Results
from benchmarks.verdicts import best_floor

COLORS = ("#9aa5b1", "#7fb3d5", "#2e86c1", "#1b4f72", "#76d7c4", "#b7950b")
PEERS = ("dlt", "pgloader")


def draw(results: Results, path: Path) -> bool:
    """Write the picture; False if matplotlib is not installed or nothing was measured."""
    try:
        import matplotlib as mpl
    except ImportError:
        return False
    mpl.use("Agg")
    from matplotlib import pyplot as plt

    floor = best_floor(results)
    imports = results.measured.get("fresh")
    if floor is None or not imports:
        return False
    figure, axes = plt.subplots(figsize=(8, 3.5), dpi=100)
    users = results.facts["users"]
    bars = [(floor, results.figure(floor)), *((peer, results.figure(peer)) for peer in PEERS)]
    for name, measured in bars:
        if measured is not None:
            error = [[measured.median - measured.least], [measured.greatest - measured.median]]
            axes.barh(name, measured.median, xerr=error, color="#ccd1d9", capsize=3)
    for kind in ("changed", "identical", "fresh"):
        _parts(axes, results, kind)
    axes.set_xlabel(f"seconds for {users:,} users")
    axes.set_title("floor: COPY into both tables; dlt, pgloader: one wide row a user", fontsize=9)
    handles = axes.get_legend_handles_labels()
    unique = dict(zip(reversed(handles[1]), reversed(handles[0]), strict=True))
    below = {"loc": "upper center", "bbox_to_anchor": (0.5, -0.16), "ncols": len(unique)}
    axes.legend(unique.values(), unique.keys(), fontsize=7, frameon=False, **below)
    figure.tight_layout()
    figure.savefig(path)
    plt.close(figure)
    return True


def _parts(axes: object, results: Results, kind: str) -> None:
    """One bar, cut by the parts of the import."""
    imports = results.measured.get(kind)
    if not imports:
        return
    left = 0.0
    label = f"import, {kind}"
    for color, cost in zip(COLORS, stage_costs(imports), strict=False):
        seconds = statistics.median(one["parts"][cost.name]["seconds"] for one in imports)
        axes.barh(label, seconds, left=left, color=color, label=cost.name)  # type: ignore[attr-defined]
        left += seconds
