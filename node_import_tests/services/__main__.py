"""`python -m node_import_tests.services`: starts the services and runs pytest against them."""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from node_import.errors import UsageError
from node_import.stack.start_failure import StartFailed
from node_import_tests.services import artefacts
from node_import_tests.services.lanes import run_side_by_side
from node_import_tests.services.running import real_services
from node_import_tests.services.suites import SUITES, Suite

GOODBYE_SECONDS = 60.0


def main(arguments: Sequence[str]) -> int:
    """0: all passed; 1: a test failed; 2: the services cannot be started here."""
    parser = argparse.ArgumentParser(prog="python -m node_import_tests.services")
    parser.add_argument("--postgres", type=int, choices=(15, 18), help="only this version")
    names = [suite.name for suite in SUITES]
    parser.add_argument("--suite", choices=names, action="append", help="only this; repeatable")
    options, pytest_arguments = parser.parse_known_args(arguments)
    # As Ctrl-C does: pytest is ended first, then the services.
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))
    suites = [
        suite
        for suite in SUITES
        if options.postgres in (None, suite.postgres)
        and (options.suite is None or suite.name in options.suite)
    ]
    try:
        _find_programs(suites)
        if pytest_arguments:
            # Which of its tests a suite has does not matter then, but which PostgreSQL.
            by_postgres = {suite.postgres: suite for suite in suites}
            statuses = [_run(suite, pytest_arguments) for suite in by_postgres.values()]
        elif len(suites) == 1:
            statuses = [_run(suites[0], [*suites[0].pytest_arguments()])]
        else:
            this = [sys.executable, "-m", __package__]
            commands = [(one.name, [*this, "--suite", one.name]) for one in suites]
            statuses = run_side_by_side(commands)
    except (UsageError, StartFailed) as error:
        print(error, file=sys.stderr)  # noqa: T201 - what a command says
        return 2
    return 1 if any(statuses) else 0


def _find_programs(suites: Sequence[Suite]) -> None:
    """All of them first: a missing one should not be noticed after minutes of tests."""
    artefacts.java()
    for suite in suites:
        artefacts.postgres_programs(suite.postgres)
    artefacts.kafka_jars()
    artefacts.minio_program()


def _run(suite: Suite, pytest_arguments: Sequence[str]) -> int:
    began = time.monotonic()
    with (
        tempfile.TemporaryDirectory(prefix="node-import-services-") as folder,
        real_services(Path(folder), suite.postgres) as variables,
    ):
        _say(f"Kafka, MinIO and PostgreSQL {suite.postgres} up in {time.monotonic() - began:.0f} s")
        command = [sys.executable, "-m", "pytest", *pytest_arguments]
        code = _code_of(command, {**os.environ, **variables})
    _say(f"PostgreSQL {suite.postgres}: {time.monotonic() - began:.0f} s in all")
    return code


def _code_of(command: Sequence[str], environment: Mapping[str, str]) -> int:
    """Run pytest. Interrupted, it may end what its tests have started before it goes."""
    process = subprocess.Popen(command, env=environment)
    try:
        return process.wait()
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGINT)
            try:
                process.wait(GOODBYE_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _say(text: str) -> None:
    print(text, flush=True)  # noqa: T201 - what a command says


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
