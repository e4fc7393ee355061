"""Where the reject file of a job lies in the object store."""

from __future__ import annotations

import re
from contextlib import AbstractContextManager

from node_import.parsing.reject_file import REASONS_SUFFIX, RejectFile
from node_import.pipeline.resolve_file import ResolvedJob
from node_import.pipeline.workshop import Workshop

# A key that every S3 tool and shell takes as it is.
_UNUSUAL = re.compile(r"[^A-Za-z0-9._-]+")
_COMPRESSION = re.compile(r"\.(gz|gzip|zst|zstd)$", re.IGNORECASE)


def reject_file_key(job: ResolvedJob) -> str:
    """`rejects/JOB/attempt-N/NAME`: of one attempt, under the name of the file it came from."""
    source = job.source.url if job.source is not None else "references.csv"
    name = _UNUSUAL.sub("_", _COMPRESSION.sub("", source.rsplit("/", 1)[-1]))[-100:]
    return f"rejects/{job.job_id}/attempt-{job.claim.attempt}/{name or 'rejects.csv'}"


def reject_objects(workshop: Workshop, job: ResolvedJob) -> AbstractContextManager[RejectFile]:
    """The two objects of the job's rejected records, made only if there are any."""
    key, store = reject_file_key(job), workshop.store
    return RejectFile(
        open_records=lambda: store.write(key, "text/csv"),
        open_reasons=lambda: store.write(key + REASONS_SUFFIX, "application/x-ndjson"),
        url=store.url_of(key),
    )
