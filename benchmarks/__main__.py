"""`python -m benchmarks`: measure, and write a report with a plot to benchmarks/results/.

    make bench              about twenty minutes on two quiet cores
    make bench QUICK=1      a small one, to see that everything works; its figures say nothing
    make bench DOCUMENT=1   the same, and puts the figures into docs/performance.md
    make bench BIG=1        more: 10 M rows, a 5 GB gz, a table that holds 10 M (an hour, 60 GB)

Stopped and started again with the same `--folder`, it goes on where it was. `--add` goes on with
a run that was finished: with BIG=1 after one without.
"""

from __future__ import annotations

import argparse
import signal
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from benchmarks.big import QUICK_BIG, BigBench, BigSizes
from benchmarks.document import write_into_page
from benchmarks.machine import machine_facts
from benchmarks.plan import FULL, PARTS, QUICK, Bench
from benchmarks.plot import draw
from benchmarks.report import report
from benchmarks.results import Results
from benchmarks.running_stack import running_stack

RESULTS = Path(__file__).with_name("results")


def main() -> int:
    """Measure and write the report."""
    options = _options()
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # the stack is stopped then too
    folder = options.folder.absolute()
    folder.mkdir(parents=True, exist_ok=True)
    tell = _teller()
    name = "quick" if options.quick else "latest"
    results = Results(folder / f"{name}.json", tell)
    if results.facts.get("finished") and not options.add:
        results = Results.anew(folder / f"{name}.json", tell)
    sizes = QUICK if options.quick else FULL
    if not results.facts:
        results.facts = {**machine_facts(_command(options)), "users": sizes.users}
    tell(f"working in {folder}; load average {results.facts['load_average']}")
    try:
        with running_stack(folder / "stack") as stack:
            results.facts["postgres"] = stack.query("SHOW server_version")[0][0]
            with stack.connect() as conn:
                conn.execute("CREATE EXTENSION IF NOT EXISTS pg_walinspect")
            Bench(stack, results, sizes, folder, tell).run(options.only)
            if options.big:
                big = QUICK_BIG if options.quick else BigSizes()
                BigBench(stack, results, big, folder, tell).run()
        results.facts["finished"] = True
        results.write()
    finally:
        _write(results, options.results, name, tell)
        if options.document and not options.quick:
            write_into_page(results)
    return 1 if any("failed" in why for why in results.skipped.values()) else 0


def _write(results: Results, folder: Path, name: str, tell: Callable[[str], None]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    picture = f"{name}.png"
    drawn = draw(results, folder / picture)
    page = folder / f"{name}.md"
    page.write_text(report(results, picture if drawn else None), encoding="utf-8")
    tell(f"the report is in {page}")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="small sizes, one round")
    parser.add_argument("--big", action="store_true", help="the long ones too")
    parser.add_argument(
        "--only", nargs="*", choices=PARTS, default=PARTS, help="some parts (none: BIG's alone)"
    )
    parser.add_argument(
        "--folder",
        type=Path,
        default=Path(tempfile.gettempdir()) / "node-import-bench",
        help="for data, the stack and what was measured so far",
    )
    parser.add_argument("--add", action="store_true", help="go on with a finished run")
    parser.add_argument(
        "--document", action="store_true", help="put the figures into docs/performance.md too"
    )
    parser.add_argument("--results", type=Path, default=RESULTS, help="where the report goes")
    return parser.parse_args()


def _command(options: argparse.Namespace) -> str:
    words = ["make bench"]
    words += ["QUICK=1"] if options.quick else []
    words += ["BIG=1"] if options.big else []
    return " ".join(words)


def _teller() -> Callable[[str], None]:
    began = time.monotonic()

    def tell(text: str) -> None:
        minutes, seconds = divmod(int(time.monotonic() - began), 60)
        print(f"[{minutes:3}:{seconds:02}] {text}", flush=True)

    return tell


if __name__ == "__main__":
    sys.exit(main())
