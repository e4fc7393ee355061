"""What a process of Dagster imports before it can do anything: every run pays for it."""

from __future__ import annotations

import inspect
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from dagster._grpc.server import DagsterApiServer

LOADED = "import sys, node_import.definitions; print(*sys.modules)"
STARTED = """
from node_import.orchestration.code_location import warm_context
if __name__ == "__main__":
    context = warm_context()
    print(context and context.get_start_method())
"""
FROZEN = """
from node_import.orchestration.code_location import warm_context
if __name__ == "__main__":
    print_count = "import gc; print(gc.get_freeze_count())"
    process = warm_context().Process(target=exec, args=(print_count,))
    process.start()
    process.join()
"""
NOWHERE = {
    "NODE_IMPORT_POSTGRES_DSN": "postgresql://nobody@localhost/none",
    "NODE_IMPORT_KAFKA_BOOTSTRAP_SERVERS": "localhost:1",
}


@pytest.fixture
def short_folder() -> Iterator[Path]:
    """A folder whose path leaves room for more."""
    with tempfile.TemporaryDirectory(dir="/tmp") as folder:
        yield Path(folder)


def loaded(**settings: str) -> set[str]:
    """The modules of a process that has loaded the definitions."""
    done = subprocess.run(
        [sys.executable, "-c", LOADED],
        env={**os.environ, **NOWHERE, **settings},
        capture_output=True,
        text=True,
        check=True,
    )
    return set(done.stdout.split())


def test_the_bucket_of_step_outputs_is_no_part_of_a_run_on_a_shared_disk() -> None:
    """dagster-aws takes as long to import as Dagster itself."""
    assert "dagster_aws" not in loaded()


def test_dagster_still_starts_runs_where_they_are_made_to_start_warm() -> None:
    """A newer Dagster that does it otherwise is noticed here, and not by runs that begin late."""
    assert "self._mp_ctx.Process(" in inspect.getsource(DagsterApiServer.StartRun)


def test_a_run_does_not_look_for_garbage_among_what_was_imported_for_it() -> None:
    """It would copy the pages that it shares with the process it was forked from."""
    done = subprocess.run(
        [sys.executable, "-c", FROZEN],
        env={**os.environ, "TMPDIR": "/tmp"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert int(done.stdout) > 100_000


@pytest.mark.parametrize(("length", "method"), [(1, "forkserver"), (120, None)])
def test_a_deep_folder_for_temporary_files_only_costs_time(
    length: int, method: str | None, short_folder: Path
) -> None:
    """The socket of the process that runs are forked from does not fit in there."""
    folder = short_folder / ("x" * length)
    folder.mkdir()
    done = subprocess.run(
        [sys.executable, "-c", STARTED],
        env={**os.environ, "TMPDIR": str(folder)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.split() == [str(method)]
    assert ("A shorter TMPDIR may help" in done.stderr) is (method is None)
