"""The table "what it must show": each row's figure from the results, its goal, and the verdict."""

from __future__ import annotations

import statistics
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from benchmarks.results import Figure, Results

MB = 1_000_000


@dataclass(frozen=True, slots=True)
class Row:
    """One row of the table; `figure` is None where it was not measured."""

    what: str
    figure: Figure | None
    must: float
    great: float
    form: str = "{:.2f}"
    at_least: bool = False
    note: str = ""

    @property
    def verdict(self) -> str:
        """By the median."""
        if self.figure is None:
            return "not measured"
        if self._reaches(self.great):
            return "great"
        return "met" if self._reaches(self.must) else "**missed**"

    @property
    def goals(self) -> tuple[str, str]:
        """The limits "must" and "great", as comparisons."""
        sign = "≥" if self.at_least else "≤"
        return f"{sign} {self.form.format(self.must)}", f"{sign} {self.form.format(self.great)}"

    def _reaches(self, limit: float) -> bool:
        assert self.figure is not None
        median = self.figure.median
        return median >= limit if self.at_least else median <= limit


def best_floor(results: Results) -> str | None:
    """The name of the fastest floor."""
    found = {
        name: figure.median
        for name in results.measured
        if name.startswith("floor") and (figure := results.figure(name))
    }
    return min(found, key=found.__getitem__) if found else None


def rows(results: Results) -> list[Row]:
    """Every row of the issue's table, in its order."""
    floor = best_floor(results) or "floor"
    seconds = "seconds"
    return [
        Row(
            "fresh import, message to status ÷ floor",
            results.ratio(("fresh", seconds), (floor, seconds)),
            1.3,
            1.15,
            note=f"{floor}",
        ),
        Row(
            "the same ÷ dlt's merge of one wide row",
            results.ratio(("fresh", seconds), ("dlt", seconds)),
            1.3,
            0.9,
            note="`pipeline.run` alone, without the start of dlt",
        ),
        Row(
            "identical re-import ÷ fresh import",
            results.ratio(("identical", seconds), ("fresh", seconds)),
            0.25,
            0.15,
        ),
        Row(
            "WAL for nodes and metadata in an identical re-import, bytes",
            _wal_of_rows(results),
            0,
            0,
            "{:,.0f}",
            note="records of the two tables and their indexes, without those of autovacuum",
        ),
        Row(
            "5 % changed re-import ÷ fresh",
            results.ratio(("changed", seconds), ("fresh", seconds)),
            0.4,
            0.25,
        ),
        Row(
            "parse + validate + stage on one core, rows/s",
            _rate(results, "parse, plain", "rows"),
            600_000,
            1_000_000,
            "{:,.0f}",
            at_least=True,
        ),
        Row(
            "dirty ÷ clean (parse and stage)",
            results.ratio(("parse, dirty", seconds), ("parse, plain", seconds)),
            1.5,
            1.2,
        ),
        Row(
            "quoted ÷ plain (parse and stage)",
            results.ratio(("parse, quoted", seconds), ("parse, plain", seconds)),
            2.5,
            1.5,
            note="every field quoted, two line ends in each row",
        ),
        Row(
            "quoted fields and `6'2\"` mixed ÷ plain",
            results.ratio(("parse, mixed", seconds), ("parse, plain", seconds)),
            2.5,
            1.5,
            note="not in the issue's table: the harder form of the row above",
        ),
        *_memory(results),
        Row(
            "100 K nodes into a table that holds 10 M ÷ into an empty one",
            results.ratio(("into full", "claim_to_close"), ("into empty", "claim_to_close")),
            2,
            1.4,
            note="from claim to close",
        ),
        Row(
            "intake, messages/s from topic to inbox",
            _rate(results, "intake", "messages"),
            3_000,
            10_000,
            "{:,.0f}",
            at_least=True,
            note="one in ten bad; ticks one after the other",
        ),
        Row(
            "1,000 reference messages of 10 ids, until the last status, s",
            results.figure("burst"),
            45,
            20,
            "{:.1f}",
        ),
        Row(
            "10 files of 100 K from 5 tenants ÷ the same rows as one file",
            results.ratio(("tenants", seconds), ("fresh", seconds)),
            1.5,
            1.2,
        ),
        Row(
            "slowest ÷ fastest tenant of these",
            _spread_of_tenants(results),
            2,
            2,
        ),
        Row(
            "run with an empty file ÷ an empty Dagster job",
            results.ratio(("empty file", "run_seconds"), ("empty job", seconds)),
            1.5,
            1.2,
            note="both from the run's creation to its end",
        ),
        Row(
            "staging disk ÷ uncompressed CSV",
            results.figure("parse, plain", "staged_share"),
            1,
            0.4,
        ),
    ]


def _memory(results: Results) -> list[Row]:
    names = {
        "fresh, small": "small file",
        "fresh": "large file",
        "fresh, big": "10 M rows",
        "gz of 5 GB": "gz of 5 GB",
    }
    return [
        Row(
            f"peak memory of the worker, {what}, MB",
            _scaled(results.figure(name, "peak_rss"), 1 / MB),
            768,
            512,
            "{:,.0f}",
            note=_rows_of(results, name),
        )
        for name, what in names.items()
    ]


def _rows_of(results: Results, name: str) -> str:
    found = results.figure(name, "total")
    return f"{found.median:,.0f} rows" if found else "with BIG=1"


def _rate(results: Results, name: str, count: str) -> Figure | None:
    return _each(results, name, lambda one: one[count] / one["seconds"])


def _wal_of_rows(results: Results) -> Figure | None:
    """`Heap2` and `XLOG` are vacuum, and images of pages whose hint bits were set."""

    def size(one: dict[str, Any]) -> float:
        kinds = one["wal_of_tables"]
        assert isinstance(kinds, dict)
        return float(sum(size for kind, size in kinds.items() if kind not in {"Heap2", "XLOG"}))

    return _each(results, "identical", size)


def _spread_of_tenants(results: Results) -> Figure | None:
    return _each(results, "tenants", lambda one: max(one["tenants"]) / min(one["tenants"]))


def _each(results: Results, name: str, value: Callable[[dict[str, Any]], float]) -> Figure | None:
    found = [value(dict(one)) for one in results.measured.get(name, ())]
    return Figure(statistics.median(found), min(found), max(found), len(found)) if found else None


def _scaled(figure: Figure | None, factor: float) -> Figure | None:
    if figure is None:
        return None
    return Figure(
        figure.median * factor, figure.least * factor, figure.greatest * factor, figure.count
    )
