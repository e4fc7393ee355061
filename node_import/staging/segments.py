"""Staged rows on their way from the parser to the loader, cut by slice.

A segment is one file: what was buffered at one flush, a chunk a slice, each chunk readable by
itself. Columns: `reference_id` String, `type` String, `v0`…`vN` nullable String, `content_hash`
Int64 (`node_import.staging.content`).

A chunk is Parquet with zstd level 1; one with few rows is an Arrow IPC stream compressed whole,
because Parquet costs some 150 bytes a column and a millisecond for each chunk. Measured as a share
of the CSV: 1 M rows of 80 bytes with five values 0.25 (Arrow IPC with lz4 0.56, with zstd 0.27),
written in 0.16 s; 32 rows of 999 values 0.72 instead of 2.1. Written and read back, in ms a chunk
of Parquet and of IPC: 16 rows of 2 KB 1.0 and 1.2, 0.3 and 0.1; 1,024 rows of 120 bytes 2.2 and
2.2, 1.2 and 0.7, but in 36 % more bytes.
"""

from __future__ import annotations

import io
from bisect import bisect_left
from collections.abc import Collection, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor

import polars as pl
import polars_hash as plh
from backports import zstd

from node_import.contracts.error_codes import ErrorCode
from node_import.errors import TransientError
from node_import.sizes import MIB
from node_import.staging.area import StagingArea
from node_import.staging.content import with_content_hash
from node_import.staging.manifest import Chunk, Segment
from node_import.staging.plan import Plan

# As polars holds it: beside its text each cell of a text column has a view of 16 bytes, which
# `estimated_size` does not count. A file of 1,000 columns, most of them empty, is nearly all views.
FLUSH_BYTES = 64 * MIB
VIEW_BYTES = 16
FEW_ROWS = 256

_SLICE = "slice_no"
_PARQUET_MAGIC = b"PAR1"


class StagedRowsLost(TransientError):
    """A staged file is gone; repeating the read does not help, parsing the source again does."""


class SegmentWriter:
    """Takes rows in file order and writes segments.

    A thread of its own hashes, cuts and writes what was buffered while the next rows come; holds
    about four times `flush_bytes` at most.
    """

    def __init__(
        self,
        area: StagingArea,
        plan: Plan,
        metadata_keys: Sequence[str],
        flush_bytes: int = FLUSH_BYTES,
    ) -> None:
        self._area = area
        self._plan = plan
        self._metadata_keys = tuple(metadata_keys)
        self._flush_bytes = flush_bytes
        self._buffered: list[pl.DataFrame] = []
        self._buffered_bytes = 0
        self._segments: list[Segment] = []
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="stage")
        self._writing: Future[None] | None = None
        self.staged_bytes = 0

    def __enter__(self) -> SegmentWriter:
        return self

    def __exit__(self, *_: object) -> None:
        self._thread.shutdown()

    def add(self, rows: pl.DataFrame) -> None:
        """Stage `rows`: `line`, `reference_id`, `type`, `v0`…`vN`, any number of rows.

        Raises what writing earlier rows has raised.
        """
        if rows.is_empty():
            return
        self._buffered.append(rows)
        self._buffered_bytes += int(rows.estimated_size())
        self._buffered_bytes += VIEW_BYTES * rows.width * rows.height
        if self._buffered_bytes >= self._flush_bytes:
            self._flush()

    def close(self) -> tuple[Segment, ...]:
        """Write what is left; the segments in the order they were written."""
        self._flush()
        self._wait()
        self._thread.shutdown()
        return tuple(self._segments)

    def _flush(self) -> None:
        self._wait()
        if self._buffered:
            self._writing = self._thread.submit(self._write, self._buffered)
            self._buffered, self._buffered_bytes = [], 0

    def _wait(self) -> None:
        if self._writing is not None:
            self._writing.result()
            self._writing = None

    def _write(self, buffered: list[pl.DataFrame]) -> None:
        hashed = (with_content_hash(part, self._metadata_keys) for part in buffered)
        rows = pl.concat(hashed).drop("line")  # the order says as much
        buffered.clear()
        name = f"segment-{len(self._segments):05d}"
        chunks: list[Chunk] = []
        offset = 0
        with self._area.write(name) as file:
            for slice_no, part in _by_slice(rows, self._plan.slices):
                encoded = _encode(part)
                file.write(encoded)
                chunks.append(Chunk(slice_no, offset, len(encoded), part.height))
                offset += len(encoded)
        self._segments.append(Segment(name, tuple(chunks)))
        self.staged_bytes += offset


def slice_number(slices: int) -> pl.Expr:
    """Which slice of `slices` (a power of two) a row of `reference_id` is in: Int32.

    The high bits of XXH64 with seed 0, so neighbouring slices are a range of the hash.
    """
    bits = slices.bit_length() - 1
    if bits == 0:
        return pl.lit(0, dtype=pl.Int32)
    hashed: pl.Expr = plh.col("reference_id").nchash.xxhash64()
    return (hashed // pl.lit(1 << (64 - bits), dtype=pl.UInt64)).cast(pl.Int32)


def read_slice(area: StagingArea, segments: Iterable[Segment], slice_no: int) -> pl.DataFrame:
    """All rows of one slice, in file order; no columns if there are no rows.

    Raises:
        StagedRowsLost: a segment is gone.
    """
    return _concat(frame for _, frame in _read(area, segments, (slice_no,), None))


def read_keys(
    area: StagingArea, segments: Iterable[Segment], slices: Collection[int]
) -> dict[int, pl.DataFrame]:
    """`reference_id`, `type` and `content_hash` of neighbouring slices, each in file order.

    Slices without rows are left out.

    Raises:
        StagedRowsLost: a segment is gone.
    """
    frames: dict[int, list[pl.DataFrame]] = {}
    for slice_no, frame in _read(area, segments, slices, ["reference_id", "type", "content_hash"]):
        frames.setdefault(slice_no, []).append(frame)
    return {slice_no: pl.concat(parts) for slice_no, parts in frames.items()}


def read_references(
    area: StagingArea, segments: Iterable[Segment], slices: Collection[int]
) -> pl.Series:
    """The references of neighbouring slices, those of one in file order, duplicates included.

    Raises:
        StagedRowsLost: a segment is gone.
    """
    rows = _concat(frame for _, frame in _read(area, segments, slices, ["reference_id"]))
    return rows["reference_id"] if rows.width else pl.Series("reference_id", [], pl.String)


def _by_slice(rows: pl.DataFrame, slices: int) -> Iterator[tuple[int, pl.DataFrame]]:
    """Rows of each slice, slices in ascending order, rows in the order they came."""
    ordered = rows.with_columns(slice_number(slices).alias(_SLICE)).sort(
        _SLICE, maintain_order=True
    )
    lengths = ordered[_SLICE].rle().struct.unnest()
    ordered = ordered.drop(_SLICE)
    start = 0
    for length, slice_no in lengths.iter_rows():
        yield slice_no, ordered.slice(start, length)
        start += length


def _read(
    area: StagingArea,
    segments: Iterable[Segment],
    slices: Collection[int],
    columns: list[str] | None,
) -> Iterator[tuple[int, pl.DataFrame]]:
    """The chunks of these slices, each with its slice's number."""
    for segment in segments:
        chunks = _chunks_of(segment, slices)
        if chunks:
            encoded = _bytes_of(area, segment, chunks)
            start = chunks[0].offset
            for chunk in chunks:
                end = chunk.offset + chunk.length
                frame = _decode(encoded[chunk.offset - start : end - start], columns)
                yield chunk.slice_no, frame


def _concat(frames: Iterable[pl.DataFrame]) -> pl.DataFrame:
    parts = [*frames]
    return pl.concat(parts) if parts else pl.DataFrame()


def _chunks_of(segment: Segment, slices: Collection[int]) -> list[Chunk]:
    """Those of `slices`, which are neighbours; a segment of a large file has a thousand chunks."""
    first = bisect_left(segment.chunks, min(slices), key=_slice_of)
    beyond = bisect_left(segment.chunks, max(slices) + 1, lo=first, key=_slice_of)
    return [chunk for chunk in segment.chunks[first:beyond] if chunk.slice_no in slices]


def _slice_of(chunk: Chunk) -> int:
    return chunk.slice_no


def _bytes_of(area: StagingArea, segment: Segment, chunks: Sequence[Chunk]) -> memoryview:
    """From the first to the last of `chunks` in one piece: where staging is far, a request."""
    start = chunks[0].offset
    length = chunks[-1].offset + chunks[-1].length - start
    try:
        encoded = area.read(segment.name, start, length)
    except FileNotFoundError:
        encoded = b""
    if len(encoded) != length:
        message = f"staged file {segment.name} is gone; the source has to be read again"
        raise StagedRowsLost(ErrorCode.OBJECT_STORE_UNAVAILABLE, message)
    return memoryview(encoded)


def _encode(rows: pl.DataFrame) -> bytes:
    buffer = io.BytesIO()
    if rows.height >= max(rows.width, FEW_ROWS):
        rows.write_parquet(buffer, compression="zstd", compression_level=1, statistics=False)
        return buffer.getvalue()
    rows.write_ipc_stream(buffer, compression="uncompressed")
    return zstd.compress(buffer.getvalue(), 1)


def _decode(encoded: memoryview, columns: list[str] | None) -> pl.DataFrame:
    if encoded[: len(_PARQUET_MAGIC)] == _PARQUET_MAGIC:
        return pl.read_parquet(io.BytesIO(encoded), columns=columns)
    return pl.read_ipc_stream(io.BytesIO(zstd.decompress(encoded)), columns=columns)
