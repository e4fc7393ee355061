"""How manifests become batches, and plans come from sources."""

from __future__ import annotations

import uuid
from dataclasses import replace

from node_import.contracts.error_codes import ErrorCode
from node_import.contracts.node_type import NodeType
from node_import.jobs.record import Claim, JobKind
from node_import.objects.location import S3Location
from node_import.objects.pinned import PinnedObject
from node_import.parsing.rules import ParseRules
from node_import.pipeline.resolve_file import ResolvedJob, object_version_of_list
from node_import.pipeline.stream_parse import Parsed, plan_of
from node_import.sizes import GIB, MIB
from node_import.staging.manifest import Chunk, Failure, Manifest, Segment
from node_import.staging.plan import Plan

RULES = ParseRules()


def a_job(key: str | None = None, size: int = 0) -> ResolvedJob:
    """A claimed job; a file if it has a key."""
    claim = Claim(uuid.uuid4(), uuid.uuid4(), "run", 1)
    source = PinnedObject(S3Location("b", key), size, "v") if key else None
    kind = JobKind.FILE if key else JobKind.REFERENCES
    return ResolvedJob(claim, uuid.uuid4(), kind, NodeType.USER, "v", source)


def a_manifest(job: ResolvedJob, plan: Plan, rows: dict[int, int]) -> Manifest:
    """One segment with so many rows of each slice."""
    chunks = tuple(Chunk(number, 0, 1, count) for number, count in rows.items())
    segments = (Segment("segment-00000", chunks),)
    return Manifest(job.job_id, "d", "v", plan, segments, accepted_rows=sum(rows.values()))


def test_a_batch_holds_neighbouring_slices_that_have_rows() -> None:
    """Batches without rows are left out; each knows its own part of the manifest alone."""
    job = a_job("k.csv")
    manifest = a_manifest(job, Plan(slices=8, batches=4), {0: 5, 1: 6, 5: 7})
    first, second = Parsed((job,), (manifest,)).batches()
    assert (first.number, first.units[0].slices) == (0, (0, 1))
    assert (second.number, second.units[0].slices) == (2, (5,))
    assert first.units[0].manifest.rows_by_slice() == {0: 5, 1: 6}
    assert second.units[0].manifest.rows_by_slice() == {5: 7}


def test_jobs_share_batches() -> None:
    """Batch n holds the n-th batch of every job, however many there are."""
    jobs = tuple(a_job() for _ in range(200))
    plan = Plan(slices=1, batches=1)
    manifests = tuple(a_manifest(job, plan, {0: 1}) for job in jobs)
    [batch] = Parsed(jobs, manifests).batches()
    assert [unit.job for unit in batch.units] == list(jobs)


def test_nothing_of_a_file_that_failed_is_loaded() -> None:
    """Its rows are staged for their references alone."""
    job = a_job("k.csv")
    manifest = a_manifest(job, Plan(slices=1, batches=1), {0: 3})
    failed = replace(manifest, failure=Failure(ErrorCode.CORRUPT_GZIP, "broken"))
    assert list(Parsed((job,), (failed,)).batches()) == []
    assert Parsed((job,), (failed,)).as_metadata()["failures"] == "CORRUPT_GZIP: broken"


def test_the_plan_comes_from_the_size() -> None:
    """The same source is always cut the same way; a compressed one into more for its bytes."""
    plain, packed = a_job("k.csv", 100 * MIB), a_job("k.csv.GZ", 100 * MIB)
    assert plan_of(plain, RULES) == plan_of(plain, RULES)
    assert plan_of(packed, RULES).slices > plan_of(plain, RULES).slices
    assert plan_of(a_job("k.csv", 5 * GIB), RULES).batches <= 32
    assert plan_of(a_job(), RULES, references=10).slices == 1


def test_a_list_is_named_by_its_content() -> None:
    """Another order or another entry is another version in the ledger; lone surrogates too."""
    version = object_version_of_list(["a", "b"])
    assert version == object_version_of_list(["a", "b"])
    assert version.startswith("sha256:")
    assert version not in {object_version_of_list(["b", "a"]), object_version_of_list(["a,b"])}
    assert object_version_of_list(["\ud800"])


def test_a_source_that_is_read_by_other_rules_is_loaded_anew() -> None:
    """Rows that were too long then may be good now; how much is read at once decides nothing."""
    job = a_job("k.csv", GIB)
    longer, in_pieces = replace(RULES, max_value_bytes=MIB), replace(RULES, block_bytes=MIB)
    assert plan_of(job, longer).fingerprint != plan_of(job, RULES).fingerprint
    assert plan_of(job, in_pieces).fingerprint == plan_of(job, RULES).fingerprint


def test_who_works_side_by_side_gets_more_batches_of_the_same_slices() -> None:
    """So that the ledger of one way of working counts for the other."""
    job = a_job("k.csv", GIB)
    in_turn, side_by_side = plan_of(job, RULES), plan_of(job, RULES, side_by_side=True)
    assert side_by_side.batches > in_turn.batches
    assert side_by_side.fingerprint == in_turn.fingerprint
