"""A job record to start from."""

from __future__ import annotations

import uuid
from dataclasses import replace
from typing import Any

from node_import.contracts.identity import MessageIdentity
from node_import.contracts.node_type import NodeType
from node_import.jobs.record import Job, JobKind, JobStatus


def a_job(**changes: Any) -> Job:
    """A PENDING file import, with `changes`."""
    job = Job(
        id=uuid.uuid4(),
        identity=MessageIdentity("c", "acme-users", 0, 0, 0),
        domain_id=uuid.uuid4(),
        group_id=uuid.uuid4(),
        kind=JobKind.FILE,
        node_type=NodeType.USER,
        request={},
        reference_count=0,
        status=JobStatus.PENDING,
        attempt=0,
        total_nodes=0,
        processed_nodes=0,
        failure_code=None,
        failure_reason=None,
        started_at=None,
        finished_at=None,
        partition_key=None,
        dispatch_no=0,
        died_runs=0,
        dagster_run_id=None,
        source_url=None,
        object_version=None,
        plan_fingerprint=None,
    )
    return replace(job, **changes)
