"""What a job's source turned out to hold, and where its rows are staged."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from node_import.contracts.error_codes import ErrorCode
from node_import.staging.plan import Plan


@dataclass(frozen=True, slots=True)
class Chunk:
    """Rows of one slice inside a segment file: `length` bytes from `offset`, `rows` rows."""

    slice_no: int
    offset: int
    length: int
    rows: int


@dataclass(frozen=True, slots=True)
class Segment:
    """A staged file: chunks (see `staging.segments`), at most one a slice, in slice order."""

    name: str  # inside the staging area of the job
    chunks: tuple[Chunk, ...]


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a job failed as a whole: a code from the contract and a sentence."""

    code: ErrorCode
    message: str


@dataclass(frozen=True, slots=True)
class Manifest:
    """The outcome of parsing one job's source; small, and all that later steps need to know.

    `total_rows == accepted_rows + sum(rejects_by_code.values())`: rows read, of a file that
    broke up to where it broke. Accepted rows include the earlier ones of a duplicate reference.
    `metadata_keys[i]` is the key of staged column `v{i}`. With `failure` set nothing is loaded.
    """

    job_id: str
    domain_id: str
    object_version: str
    plan: Plan
    segments: tuple[Segment, ...] = ()
    metadata_keys: tuple[str, ...] = ()
    total_rows: int = 0
    accepted_rows: int = 0
    rejects_by_code: dict[str, int] = field(default_factory=dict)
    rejects_url: str | None = None
    rejected_references: str | None = None  # name of the staged list, see staging.area
    source_url: str | None = None
    compressed_bytes: int = 0
    csv_bytes: int = 0
    staged_bytes: int = 0
    parse_seconds: float = 0.0
    read_retries: int = 0  # connections to the source that broke and were taken up
    failure: Failure | None = None
    area: str = ""  # name of the staging area, see pipeline.workshop

    @property
    def rejected_rows(self) -> int:
        """Rows in the reject file."""
        return sum(self.rejects_by_code.values())

    def rows_by_slice(self) -> dict[int, int]:
        """Staged rows of each slice that has any."""
        rows: dict[int, int] = {}
        for segment in self.segments:
            for chunk in segment.chunks:
                rows[chunk.slice_no] = rows.get(chunk.slice_no, 0) + chunk.rows
        return rows

    def only(self, slices: range) -> Manifest:
        """The same manifest, knowing the chunks of these slices alone."""
        segments = (
            Segment(s.name, tuple(chunk for chunk in s.chunks if chunk.slice_no in slices))
            for s in self.segments
        )
        return replace(self, segments=tuple(segment for segment in segments if segment.chunks))
