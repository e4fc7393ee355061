"""`python -m benchmarks.parse_only FILE`: read, validate and stage one file on one core, no more.

Prints a line of JSON: rows, seconds, CPU seconds, bytes staged. A process of its own, so that
polars has one thread and nothing else is in its memory.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from benchmarks.data import DataFile


def parse_on_one_core(file: DataFile) -> dict[str, Any]:
    """Run this module on `file`."""
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.parse_only", file.path],
        check=True,
        capture_output=True,
        text=True,
        env={**os.environ, "POLARS_MAX_THREADS": "1"},
        cwd=Path(__file__).parents[1],
    )
    result: dict[str, Any] = json.loads(done.stdout)
    if result["rows"] != file.rows + file.bad_rows or result["accepted"] != file.rows:
        raise RuntimeError(f"{file.name} was read wrong: {result}")
    return {**result, "staged_share": result["staged_bytes"] / file.csv_bytes}


def _parse(path: Path) -> dict[str, Any]:
    import time

    from node_import.parsing.reject_file import reject_file_at
    from node_import.parsing.rules import ParseRules
    from node_import.parsing.stage import stage_file
    from node_import.staging.area import LocalStagingArea
    from node_import.staging.plan import ASSUMED_RATIO, plan_for

    size = path.stat().st_size
    with tempfile.TemporaryDirectory() as folder, path.open("rb") as stream:
        area = LocalStagingArea(Path(folder) / "area")
        wall, cpu = time.perf_counter(), time.process_time()
        with reject_file_at(Path(folder) / "rejects.csv") as sink:
            manifest = stage_file(
                stream,
                rules=ParseRules(),
                plan=plan_for(size * ASSUMED_RATIO),
                area=area,
                job_id="job",
                domain_id="domain",
                object_version="version",
                compressed_bytes=size,
                source_url=str(path),
                rejects=sink,
            )
        return {
            "rows": manifest.total_rows,
            "accepted": manifest.accepted_rows,
            "seconds": time.perf_counter() - wall,
            "cpu": time.process_time() - cpu,
            "staged_bytes": manifest.staged_bytes,
        }


if __name__ == "__main__":
    os.sched_setaffinity(0, [max(os.sched_getaffinity(0))])
    print(json.dumps(_parse(Path(sys.argv[1]))))
