"""The Markdown report of one run."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from benchmarks import costs, verdicts
from benchmarks.results import Figure, Results

MB = 1_000_000


def report(results: Results, plot: str | None) -> str:
    """The whole page; `plot` is the name of the picture beside it."""
    parts = [
        "# Benchmark",
        *facts_of(results),
        "",
        "## What it must show",
        "",
        *verdicts_of(results),
    ]
    if plot:
        parts += ["", f"![Seconds of an import, of the floor and of other loaders]({plot})"]
    parts += ["", "## Seconds", "", *_seconds(results)]
    parts += ["", "## Where the time goes", "", *profile_of(results)]
    parts += ["", "## Cost model", "", *cost_model_of(results)]
    if results.skipped:
        parts += ["", "## Not measured", ""]
        parts += [f"- {name}: {why}" for name, why in sorted(results.skipped.items())]
    return "\n".join(parts) + "\n"


def facts_of(results: Results) -> Iterator[str]:
    """Machine, versions, load."""
    facts = results.facts
    yield ""
    yield f"`{facts['command']}` on {facts['date']}, at commit {facts['commit']}."
    yield (
        f"{facts['cores']} cores ({facts['processor']}), {facts['memory_gib']} GiB, "
        f"{facts['system']}; Python {facts['python']}, PostgreSQL {facts.get('postgres', '?')}, "
        + ", ".join(f"{name} {found}" for name, found in facts["versions"].items())
        + "."
    )
    yield (
        "Load average at the beginning: "
        + ", ".join(str(value) for value in facts["load_average"])
        + ". PostgreSQL, Kafka, S3, Dagster and the importer share the machine."
    )
    yield ""
    if "QUICK=1" in facts["command"]:
        yield "**Small files, one round: these figures only show that everything works.**"
        yield ""
    yield (
        "Figures are medians over the rounds, with the least and the greatest. Rounds are "
        "interleaved: each holds every measurement once."
    )


def verdicts_of(results: Results) -> Iterator[str]:
    """The table of goals."""
    yield "| | measured | must | great | |"
    yield "|---|---|---|---|---|"
    for row in verdicts.rows(results):
        measured = row.figure.text(row.form) if row.figure else "–"
        what = f"{row.what} ({row.note})" if row.note else row.what
        must, great = row.goals
        yield f"| {what} | {measured} | {must} | {great} | {row.verdict} |"


def _seconds(results: Results) -> Iterator[str]:
    yield "| | rows | seconds | rows/s | peak memory, MB | WAL, MB |"
    yield "|---|---|---|---|---|---|"
    for name, repetitions in results.measured.items():
        seconds = results.figure(name)
        if seconds is None:
            continue
        rows = _rows(results, name)
        rate = f"{rows / seconds.median:,.0f}" if rows else "–"
        rss = results.figure(name, "peak_rss")
        yield (
            f"| {name} | {f'{rows:,.0f}' if rows else '–'} | {seconds.text('{:.2f}')} | {rate} |"
            f" {_megabytes(rss)} | {_wal(repetitions)} |"
        )
    yield ""
    yield (
        "`fresh`, `identical`, `changed`, `cities` and the like are from the published message to "
        "the status message. `dlt` is `pipeline.run` alone; with its start "
        f"{_text(results.figure('dlt', 'with_start'))} s. `executemany` is a smaller file."
    )


def profile_of(results: Results) -> Iterator[str]:
    """The parts of three kinds of import."""
    for name in ("fresh", "identical", "changed"):
        imports = results.measured.get(name)
        if not imports:
            continue
        yield f"`{name}`, a million rows:"
        yield ""
        yield "| part | seconds | CPU worker | CPU server | CPU others | WAL, MB |"
        yield "|---|---|---|---|---|---|"
        for cost in costs.stage_costs(imports):
            yield (
                f"| {cost.name} | {cost.seconds:.2f} | {cost.worker_cpu:.2f} |"
                f" {cost.server_cpu:.2f} | {cost.other_cpu:.2f} | {cost.wal_bytes / MB:,.1f} |"
            )
        wal = results.figure(name, "wal_fsyncs")
        data = results.figure(name, "data_fsyncs")
        yield ""
        yield f"Flushes to disk: {_text(wal)} of the WAL, {_text(data)} of data files."
        yield ""


def cost_model_of(results: Results) -> Iterator[str]:
    """CPU-seconds, dollars, nodes a second by cores."""
    imports = results.measured.get("fresh")
    if not imports:
        yield "Needs the fresh import."
        return
    found = costs.stage_costs(imports)
    total = sum(cost.cpu for cost in found)
    dollars = costs.dollars_per_million(found)
    yield f"CPU-seconds a million nodes: {_sum_of(found)} = {total:.1f}."
    yield (
        f"At ${costs.VCPU_HOUR_DOLLARS:.2f} a vCPU hour (an assumption): {total:.1f} s ÷ 3,600 ×"
        f" ${costs.VCPU_HOUR_DOLLARS:.2f} = ${dollars:.5f} a million nodes; the goal is"
        f" ${costs.GOAL_DOLLARS:.0f}."
    )
    yield ""
    yield "| cores, all busy | nodes/s |"
    yield "|---|---|"
    for cores in costs.CORES:
        yield f"| {cores} | {costs.nodes_per_second(found, cores):,.0f} |"


def _sum_of(found: Sequence[costs.StageCost]) -> str:
    return " + ".join(f"{cost.cpu:.2f} ({cost.name})" for cost in found)


def _rows(results: Results, name: str) -> float | None:
    for value in ("total", "rows", "messages"):
        figure = results.figure(name, value)
        if figure is not None:
            return figure.median
    if name.startswith("floor") or name in {"dlt", "pgloader"}:
        return float(results.facts["users"])
    return None


def _wal(repetitions: Sequence[object]) -> str:
    first = repetitions[0]
    assert isinstance(first, dict)
    if "parts" in first:
        return f"{sum(part['wal_bytes'] for part in first['parts'].values()) / MB:,.1f}"
    return f"{first['wal_bytes'] / MB:,.1f}" if "wal_bytes" in first else "–"


def _megabytes(figure: Figure | None) -> str:
    return f"{figure.median / MB:,.0f}" if figure else "–"


def _text(figure: Figure | None) -> str:
    return figure.text("{:.1f}") if figure else "–"
