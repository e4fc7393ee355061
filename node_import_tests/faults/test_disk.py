"""A disk that is full where rows are staged."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from node_import_tests.faults.conductor import Conductor
from node_import_tests.faults.conftest import OpenWorld
from node_import_tests.faults.loads import send_file
from node_import_tests.faults.operating import failed_jobs, finish
from node_import_tests.faults.requests import Producer
from node_import_tests.faults.world import World


@contextmanager
def small_disk(folder: Path, size: str) -> Iterator[None]:
    """A file system of its own, in memory; needs the right to mount."""
    folder.mkdir(parents=True, exist_ok=True)
    options = ["-t", "tmpfs", "-o", f"size={size},mode=777", "tmpfs", str(folder)]
    done = subprocess.run(["mount", *options], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        pytest.skip(f"no file system can be mounted here: {done.stderr.strip()}")
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def grow(folder: Path, size: str) -> None:
    """Somebody makes room."""
    subprocess.run(["mount", "-o", f"remount,size={size}", str(folder)], check=True)


def test_the_disk_for_staged_rows_is_full(new_world: OpenWorld, tmp_path: Path) -> None:
    """The big file fails as an outage and leaves nothing behind: the next, a small one, has room.

    When somebody has made more room the replay goes through.
    """
    staging = tmp_path / "staging"
    with small_disk(staging, "64k"), new_world(staging_dir=staging) as world:
        send_file(world, rows=30_000)
        conductor = Conductor(world)
        conductor.run_until_quiet()
        assert [*failed_jobs(world).values()] == ["OBJECT_STORE_UNAVAILABLE"]
        assert _reason(world).endswith("No space left on device")
        world.send(Producer(2).file(world.domains[0], "h", rows=20))
        conductor.run_until_quiet()
        assert len(failed_jobs(world)) == 1
        grow(staging, "64m")
        assert finish(conductor, frozenset({"OBJECT_STORE_UNAVAILABLE"})) == []


def _reason(world: World) -> str:
    with world.database.connect() as conn:
        query = "SELECT failure_reason FROM nodes_import_job WHERE status = 'FAILED'"
        [(reason,)] = conn.execute(query).fetchall()
    return str(reason)
