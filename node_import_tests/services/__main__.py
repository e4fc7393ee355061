"""`python -m node_import_tests.services`: starts the services and runs pytest against them."""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from node_import.errors import UsageError
from node_import.stack.start_failure import StartFailed
from node_import_tests.services import artefacts
from node_import_tests.services.running import real_services

TESTS = Path("node_import_tests")
# They start the embedded services themselves: others would tell them nothing.
ABOUT_THE_EMBEDDED_STACK = (
    TESTS / "integration/stack",
    TESTS / "acceptance/stack",
    TESTS / "acceptance/cli/test_demo.py",
)


@dataclass(frozen=True, slots=True)
class Suite:
    """What is run against one version of PostgreSQL."""

    postgres: int
    paths: tuple[Path, ...]


SUITES = (
    Suite(15, (TESTS / "integration", TESTS / "acceptance", TESTS / "services")),
    # `make test` has tried all of it on 18, with the embedded Kafka and S3.
    Suite(
        18,
        (
            TESTS / "integration/intake",
            TESTS / "services/test_two_intakes.py",
            TESTS / "services/test_walk.py",
        ),
    ),
)


def main(arguments: Sequence[str]) -> int:
    """0: all passed; 1: a test failed; 2: the services cannot be started here."""
    parser = argparse.ArgumentParser(prog="python -m node_import_tests.services")
    parser.add_argument("--postgres", type=int, choices=(15, 18), help="only this version")
    options, pytest_arguments = parser.parse_known_args(arguments)
    # As Ctrl-C does: pytest is ended first, then the services.
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))
    suites = [suite for suite in SUITES if options.postgres in (None, suite.postgres)]
    try:
        _find_programs(suites)
        statuses = [_run(suite, pytest_arguments) for suite in suites]
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
        chosen = pytest_arguments or [
            *(f"--ignore={path}" for path in ABOUT_THE_EMBEDDED_STACK),
            *map(str, suite.paths),
        ]
        command = [sys.executable, "-m", "pytest", *chosen]
        done = subprocess.run(command, env={**os.environ, **variables}, check=False)
    _say(f"PostgreSQL {suite.postgres}: {time.monotonic() - began:.0f} s in all")
    return done.returncode


def _say(text: str) -> None:
    print(text, flush=True)  # noqa: T201 - what a command says


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
