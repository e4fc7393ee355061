"""The floor: COPY of rows that are formatted already, straight into the same two tables.

Ids are made and rows are sorted beforehand, and that is not timed. Indexes, checks and the
table's other parts are the importer's own. The superuser copies, because COPY is refused under
row-level security, with `session_replication_role = replica`, which keeps the two triggers quiet
that never fire for the importer either. Commits flush the WAL.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from queue import Empty, SimpleQueue

import polars as pl
import psycopg

from benchmarks.data import CHUNK_ROWS, KEYS, users
from node_import.loading.node_ids import node_ids

PARTS = 16
BLOCK_BYTES = 1 << 20

COPY_NODES = (
    "COPY nodes (id, reference_id, group_id, type, domain_id, processed, created_at, content_hash)"
    " FROM STDIN"
)
COPY_METADATA = "COPY node_metadata (node_id, domain_id, metadata_key, metadata_value) FROM STDIN"


@dataclass(frozen=True, slots=True)
class FloorFiles:
    """Formatted rows in parts by reference: a file of nodes and one of metadata each."""

    nodes: int
    parts: tuple[tuple[Path, Path], ...]


def make_floor_files(
    folder: Path, count: int, domain_id: str, group_id: str, *, parts: int = PARTS
) -> FloorFiles:
    """Format `count` users; made anew for each tenant, since its ids stand in every row."""
    folder.mkdir(parents=True, exist_ok=True)
    frames = [users(at, min(CHUNK_ROWS, count - at)) for at in range(0, count, CHUNK_ROWS)]
    rows = pl.concat(frames).sort("reference_id")
    rows = rows.with_columns(node_ids(rows.height))
    made = []
    size = -(-count // parts)
    for number, part in enumerate(rows.iter_slices(size)):
        nodes, metadata = folder / f"nodes-{number:03}", folder / f"metadata-{number:03}"
        nodes.write_bytes(_nodes(part, domain_id, group_id))
        metadata.write_bytes(_metadata(part, domain_id))
        made.append((nodes, metadata))
    (folder / "rows.json").write_text(json.dumps({"nodes": count}))
    return FloorFiles(count, tuple(made))


def copy_straight_in(admin_dsn: str, files: FloorFiles, connections: int) -> float:
    """Seconds until all rows are committed, over so many connections."""
    waiting: SimpleQueue[tuple[Path, Path]] = SimpleQueue()
    for part in files.parts:
        waiting.put(part)
    sessions = [psycopg.connect(admin_dsn) for _ in range(connections)]
    for conn in sessions:
        conn.execute("SET session_replication_role = replica")
        conn.commit()
    errors: list[BaseException] = []
    threads = [
        threading.Thread(target=_copy_parts, args=(conn, waiting, errors)) for conn in sessions
    ]
    started = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    seconds = time.perf_counter() - started
    for conn in sessions:
        conn.close()
    if errors:
        raise errors[0]
    return seconds


def _copy_parts(
    conn: psycopg.Connection,
    waiting: SimpleQueue[tuple[Path, Path]],
    errors: list[BaseException],
) -> None:
    try:
        while True:
            nodes, metadata = waiting.get_nowait()
            _copy(conn, COPY_NODES, nodes)
            _copy(conn, COPY_METADATA, metadata)
            conn.commit()
    except Empty:
        return
    except BaseException as error:  # noqa: BLE001 - raised again by the thread that waits
        errors.append(error)


def _copy(conn: psycopg.Connection, statement: str, path: Path) -> None:
    with path.open("rb") as file, conn.cursor() as cursor, cursor.copy(statement) as copy:
        while block := file.read(BLOCK_BYTES):
            copy.write(block)


def _nodes(rows: pl.DataFrame, domain_id: str, group_id: str) -> bytes:
    columns: Sequence[pl.Expr] = [
        pl.col("node_id"),
        pl.col("reference_id"),
        pl.lit(group_id).alias("group"),
        pl.lit("USER").alias("type"),
        pl.lit(domain_id).alias("domain"),
        pl.lit("f").alias("processed"),
        pl.lit("2026-01-01 00:00:00+00").alias("created"),
        (pl.col("reference_id").hash() // 2).cast(pl.Int64).alias("content_hash"),
    ]
    return _text(rows.select(columns))


def _metadata(rows: pl.DataFrame, domain_id: str) -> bytes:
    long = rows.select("node_id", *KEYS).unpivot(index="node_id").sort("node_id", "variable")
    return _text(long.select("node_id", pl.lit(domain_id).alias("domain"), "variable", "value"))


def _text(rows: pl.DataFrame) -> bytes:
    """The text format of COPY; no value here has a tab, a line end or a backslash."""
    return rows.write_csv(include_header=False, separator="\t", quote_style="never").encode()
