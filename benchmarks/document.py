"""Puts the figures of a full run into docs/performance.md, between the two marks of each table."""

from __future__ import annotations

from pathlib import Path

from benchmarks import report
from benchmarks.results import Results

PAGE = Path(__file__).parents[1] / "docs" / "performance.md"


def write_into_page(results: Results, page: Path = PAGE) -> None:
    """Replace what stands between `<!-- NAME -->` and `<!-- end of NAME -->` for each table."""
    text = page.read_text(encoding="utf-8")
    tables = {
        "machine": "\n".join(report.facts_of(results)),
        "goals": "\n".join(report.verdicts_of(results)),
        "profile": "\n".join(report.profile_of(results)),
        "costs": "\n".join(report.cost_model_of(results)),
    }
    for name, table in tables.items():
        begin, end = f"<!-- {name} -->", f"<!-- end of {name} -->"
        before, found, rest = text.partition(begin)
        _, found_end, behind = rest.partition(end)
        if not (found and found_end):
            raise RuntimeError(f"{page} has no marks of {name}")
        text = f"{before}{begin}\n\n{table.strip()}\n\n{end}{behind}"
    page.write_text(text, encoding="utf-8")
