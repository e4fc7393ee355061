"""A job's source into staged rows, a reject file, and a manifest that says what came of it."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import BinaryIO

from node_import.errors import PermanentError
from node_import.parsing.block import Block
from node_import.parsing.file_reader import FileReader
from node_import.parsing.header import Header
from node_import.parsing.reference_list import HEADER, reference_blocks
from node_import.parsing.reject_file import RejectSink
from node_import.parsing.rejected_references import RejectedReferences
from node_import.parsing.rules import ParseRules
from node_import.staging.area import StagingArea
from node_import.staging.manifest import Failure, Manifest
from node_import.staging.plan import Plan
from node_import.staging.segments import SegmentWriter


def stage_file(
    stream: BinaryIO,
    *,
    rules: ParseRules,
    plan: Plan,
    area: StagingArea,
    job_id: str,
    domain_id: str,
    object_version: str,
    compressed_bytes: int | None,
    source_url: str | None,
    rejects: RejectSink,
    on_progress: Callable[[int, int], None] = lambda _bytes, _rows: None,
) -> Manifest:
    """Read a file once, from start to end, and stage its good rows in `area`.

    A file that cannot be imported gives a manifest with `failure` and the counts up to where it
    broke. `on_progress` gets the raw bytes and the rows read so far after every block. Errors of
    the stream, the area and the sink pass through.
    """
    started = time.perf_counter()
    reader = FileReader(stream, rules, compressed_bytes=compressed_bytes)
    manifest = Manifest(job_id, domain_id, object_version, plan, source_url=source_url)
    failure = None
    try:
        header = reader.header
    except PermanentError as error:
        failure = Failure(error.code, error.message)
    else:
        blocks = _reporting(reader, on_progress)
        manifest = _stage(manifest, header, blocks, area, rejects)
    return replace(
        manifest,
        compressed_bytes=reader.bytes_read if compressed_bytes is None else compressed_bytes,
        csv_bytes=reader.csv_bytes,
        parse_seconds=time.perf_counter() - started,
        failure=failure or manifest.failure,
    )


def stage_references(
    references: Sequence[str],
    *,
    rules: ParseRules,
    plan: Plan,
    area: StagingArea,
    job_id: str,
    domain_id: str,
    object_version: str,
    rejects: RejectSink,
) -> Manifest:
    """Stage the entries of a reference list as if they were a file of one column."""
    started = time.perf_counter()
    manifest = Manifest(job_id, domain_id, object_version, plan)
    manifest = _stage(manifest, HEADER, reference_blocks(references, rules), area, rejects)
    return replace(manifest, parse_seconds=time.perf_counter() - started)


def _reporting(reader: FileReader, on_progress: Callable[[int, int], None]) -> Iterator[Block]:
    rows = 0
    for block in reader.blocks():
        yield block
        rows += block.rows.height + len(block.rejects)
        on_progress(reader.bytes_read, rows)


def _stage(
    manifest: Manifest,
    header: Header,
    blocks: Iterator[Block],
    area: StagingArea,
    rejects: RejectSink,
) -> Manifest:
    """Stage `blocks`; `manifest` with what they hold."""
    accepted, codes, failure = 0, Counter[str](), None
    rejects.begin(header.raw)
    segments = SegmentWriter(area, manifest.plan, header.metadata_keys)
    with RejectedReferences() as references, segments as writer:
        try:
            for block in blocks:
                writer.add(block.rows)
                rejects.add(block)
                references.add(block.rejects)
                accepted += block.rows.height
                codes.update(str(reject.code) for reject in block.rejects)
        except PermanentError as error:
            failure = Failure(error.code, error.message)
        return replace(
            manifest,
            segments=writer.close(),  # of a file that broke too: their references failed
            metadata_keys=header.metadata_keys,
            total_rows=accepted + codes.total(),
            accepted_rows=accepted,
            rejects_by_code=dict(codes),
            rejects_url=rejects.finish(),
            rejected_references=references.stage(area),
            staged_bytes=writer.staged_bytes,
            failure=failure,
        )
