"""Other loaders on the same file and the same server, in a database of their own.

dlt and pgloader keep one wide row a user; `executemany` fills the same two tables as the importer.
"""

from __future__ import annotations

import importlib.util
import itertools
import json
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import polars as pl
import psycopg

from benchmarks.data import COLUMNS, KEYS, DataFile
from benchmarks.running_stack import RunningStack, Tenant
from node_import.settings import Settings

DATABASE = "benchmark_peers"
EXECUTEMANY_ROWS = 1_000

UPSERT_NODE = """
INSERT INTO nodes (id, reference_id, group_id, type, domain_id, created_at)
VALUES (gen_random_uuid(), %s, %s, 'USER', %s, now())
ON CONFLICT (group_id, domain_id, reference_id)
  DO UPDATE SET type = EXCLUDED.type, updated_at = now()
RETURNING id
"""
UPSERT_METADATA = """
INSERT INTO node_metadata (node_id, domain_id, metadata_key, metadata_value)
VALUES (%s, %s, %s, %s)
ON CONFLICT (node_id, metadata_key) DO UPDATE SET metadata_value = EXCLUDED.metadata_value
"""


def missing(peer: str) -> str | None:
    """Why a peer cannot be measured here; None if it can."""
    if peer == "dlt" and importlib.util.find_spec("dlt") is None:
        return "dlt is not installed (`make bench` installs it)"
    if peer == "pgloader" and shutil.which("pgloader") is None:
        return "pgloader is not installed (on Debian: apt-get install pgloader)"
    return None


def dlt_merge(stack: RunningStack, file: DataFile) -> dict[str, Any]:
    """dlt into a table that does not exist yet; seconds without and with its start."""
    with (
        stack.database_beside(DATABASE, migrated=False) as settings,
        tempfile.TemporaryDirectory() as folder,
    ):
        dsn = admin_dsn_of(settings)
        command = [sys.executable, "-m", "benchmarks.dlt_load", dsn, file.path, folder]
        started = time.perf_counter()
        done = subprocess.run(
            command, capture_output=True, text=True, check=False, cwd=Path(__file__).parents[1]
        )
        whole = time.perf_counter() - started
    if done.returncode != 0:
        raise RuntimeError(f"dlt failed: {done.stderr[-1_000:]}")
    result = json.loads(done.stdout.strip().splitlines()[-1])
    _check(result["rows"], file)
    return {"seconds": result["seconds"], "with_start": whole}


def pgloader(stack: RunningStack, file: DataFile) -> dict[str, Any]:
    """pgloader into an empty table with a primary key; it reads no gzip, so the plain file."""
    with (
        stack.database_beside(DATABASE, migrated=False) as settings,
        tempfile.TemporaryDirectory() as folder,
        psycopg.connect(admin_dsn_of(settings), autocommit=True) as conn,
    ):
        values = ", ".join(f"{name} text" for name in COLUMNS[1:])
        conn.execute(f"CREATE TABLE users ({COLUMNS[0]} text PRIMARY KEY, {values})")
        script = Path(folder) / "users.load"
        script.write_text(_pgloader_script(file, admin_dsn_of(settings)))
        started = time.perf_counter()
        done = subprocess.run(
            ["pgloader", "--root-dir", folder, str(script)],
            capture_output=True,
            text=True,
            check=False,
        )
        seconds = time.perf_counter() - started
        [(rows,)] = conn.execute("SELECT count(*) FROM users").fetchall()
    if rows != file.rows:
        said = re.sub(r"postgresql://\S+", "…", done.stdout + done.stderr)
        raise RuntimeError(f"pgloader loaded {rows} of {file.rows} rows: {said[-1_000:]}")
    return {"seconds": seconds}


def _pgloader_script(file: DataFile, dsn: str) -> str:
    columns = ", ".join(COLUMNS)
    return (
        f"LOAD CSV FROM '{file.plain_path}' ({columns})"
        f" INTO {dsn} TARGET TABLE users ({columns})"
        " WITH skip header = 1, fields terminated by ',', fields optionally enclosed by '\"';\n"
    )


def executemany(stack: RunningStack, tenant: Tenant, file: DataFile) -> dict[str, Any]:
    """psycopg's executemany with ON CONFLICT DO UPDATE, a thousand rows a transaction."""
    frame = pl.read_csv(file.path, infer_schema=False)
    started = time.perf_counter()
    with stack.connect() as conn:
        conn.execute("SET session_replication_role = replica")
        for rows in _batches(frame):
            with conn.transaction(), conn.cursor() as cursor:
                _upsert(cursor, tenant, rows)
    return {"seconds": time.perf_counter() - started, "rows": frame.height}


def _upsert(cursor: psycopg.Cursor, tenant: Tenant, rows: list[dict[str, str]]) -> None:
    nodes = [(row["reference_id"], tenant.group_id, tenant.domain_id) for row in rows]
    cursor.executemany(UPSERT_NODE, nodes, returning=True)
    ids = []
    for number in itertools.count():
        ids += cursor.fetchall()
        if not cursor.nextset():
            assert number == len(rows) - 1
            break
    cursor.executemany(
        UPSERT_METADATA,
        [
            (node_id, tenant.domain_id, key, row[key])
            for (node_id,), row in zip(ids, rows, strict=True)
            for key in KEYS
        ],
    )


def _batches(frame: pl.DataFrame) -> Iterator[list[dict[str, str]]]:
    for part in frame.iter_slices(EXECUTEMANY_ROWS):
        yield part.to_dicts()


def admin_dsn_of(settings: Settings) -> str:
    """The superuser's, on the database of `settings`."""
    assert settings.postgres_admin_dsn is not None
    return settings.postgres_admin_dsn.get_secret_value()


def _check(rows: int, file: DataFile) -> None:
    if rows != file.rows:
        raise RuntimeError(f"{rows} of {file.rows} rows were loaded")
