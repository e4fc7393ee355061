"""`python -m node_import_tests.faults`: the listed faults, then random ones, over several lanes."""

from __future__ import annotations

import argparse
import multiprocessing
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from node_import.errors import UsageError
from node_import.stack.start_failure import StartFailed
from node_import_tests.faults.conftest import SHARD_VARIABLE
from node_import_tests.services import artefacts

LANES = 2
DEFAULT_RUNS = 20
QUICK_RUNS = 4


def main(arguments: Sequence[str]) -> int:
    """0: no difference; 1: a test or a run failed; 2: the services cannot be started here."""
    options, pytest_arguments = _parser().parse_known_args(arguments)
    # As Ctrl-C does: lanes are ended first, with all that runs in them.
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))
    try:
        artefacts.java()
        artefacts.kafka_jars()
        artefacts.minio_program()
        if options.list_points:
            return _list_points()
        began = time.monotonic()
        failed = _listed(options, pytest_arguments) if _wants_listed(options) else False
        runs = _number_of_runs(options)
        if runs:
            failed |= _random(options, runs)
        _say(f"{'FAILED' if failed else 'passed'} in {time.monotonic() - began:.0f} s")
    except (UsageError, StartFailed) as error:
        print(error, file=sys.stderr)  # noqa: T201 - what a command says
        return 2
    return int(failed)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m node_import_tests.faults")
    parser.add_argument("--runs", type=int, help=f"random runs; default {DEFAULT_RUNS}")
    parser.add_argument("--seed", type=int, help="of the first run; leaves out the listed faults")
    parser.add_argument("--lanes", type=int, default=LANES, help="sets of services at once")
    parser.add_argument("--quick", action="store_true", help="what fits into three minutes")
    parser.add_argument("--only-listed", action="store_true", help="no random runs")
    parser.add_argument("--only-random", action="store_true", help="no listed faults")
    parser.add_argument("--list-points", action="store_true", help="print points.py anew")
    return parser


def _wants_listed(options: argparse.Namespace) -> bool:
    return options.seed is None and not options.only_random


def _number_of_runs(options: argparse.Namespace) -> int:
    if options.only_listed:
        return 0
    if options.runs is not None:
        return int(options.runs)
    return QUICK_RUNS if options.quick else DEFAULT_RUNS


def _listed(options: argparse.Namespace, pytest_arguments: Sequence[str]) -> bool:
    """Whether a listed fault failed: a session of pytest a lane, side by side."""
    folder = str(Path(__file__).parent)
    chosen = [*(["-m", "quick"] if options.quick else []), *(pytest_arguments or [folder])]
    sessions = [
        subprocess.Popen(
            [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *chosen],
            env={**os.environ, SHARD_VARIABLE: f"{number}/{options.lanes}"},
        )
        for number in range(1, options.lanes + 1)
    ]
    try:
        statuses = [session.wait() for session in sessions]
    finally:
        for session in sessions:
            session.terminate()
            session.wait()
    # 5: a lane that no test was left for.
    return any(status not in {0, 5} for status in statuses)


def _random(options: argparse.Namespace, runs: int) -> bool:
    """Whether a random run failed."""
    from node_import_tests.faults.random_runs import first_seed, work_off

    seeds = first_seed(options.seed)
    _say(f"{runs} random runs from seed {seeds}; one again: make test-faults SEED=… RUNS=1")
    todo = [[*range(seeds + lane, seeds + runs, options.lanes)] for lane in range(options.lanes)]
    context = multiprocessing.get_context("spawn")
    with tempfile.TemporaryDirectory(prefix="node-import-faults-") as folder:
        lanes = [
            context.Process(target=work_off, args=(seeds, Path(folder) / str(number)))
            for number, seeds in enumerate(todo)
            if seeds
        ]
        for lane in lanes:
            lane.start()
        try:
            for lane in lanes:
                lane.join()
        finally:
            for lane in lanes:
                lane.terminate()
                lane.join()
    return any(lane.exitcode != 0 for lane in lanes)


def _list_points() -> int:
    from node_import_tests.faults.cases import CASES
    from node_import_tests.faults.lane import open_lane
    from node_import_tests.faults.nursery import Nursery
    from node_import_tests.faults.test_points import points_of
    from node_import_tests.faults.world import open_world

    with tempfile.TemporaryDirectory(prefix="node-import-faults-") as name:
        folder = Path(name)
        with open_lane(folder / "lane") as lane, Nursery(folder / "zygote") as nursery:
            for kind, case in CASES.items():
                with open_world(lane, nursery, folder / kind, heartbeat_expiry=8.0) as world:
                    case(world)
                    for of, point, nth in sorted(points_of(world, kind)):
                        _say(f'    ("{of}", "{point}", {nth}),')
    return 0


def _say(text: str) -> None:
    print(text, flush=True)  # noqa: T201 - what a command says


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
