"""Many messages: how fast they are taken in, and how soon they are answered."""

from __future__ import annotations

import time
import uuid
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from benchmarks.data import make_users
from benchmarks.running_stack import RunningStack, Tenant, make_tenant
from node_import.database import Database
from node_import.intake.tick import intake_tick

# One message in so many is bad, each in another way than the one before.
BAD_ONE_IN = 10
_BAD = (
    b"{not json",
    b'{"domainId": 5}',
    b'{"domainId": "DOMAIN", "groupId": "nobody", "referenceIds": ["r"]}',
)


def intake_rate(stack: RunningStack, count: int) -> dict[str, Any]:
    """From a topic of `count` messages to the inbox, by the engine of the request sensor.

    The topic is one that the stack's own sensor does not read, and the inbox is in a database
    beside, so that no run begins meanwhile. The time is that of the ticks one after the other;
    the sensor makes a tick every few seconds and reads at most `intake_max_messages` in each.
    """
    name = f"intake-{uuid.uuid4().hex[:8]}"
    with stack.database_beside("benchmark_intake") as settings:
        own = settings.model_copy(
            update={"request_topic_pattern": rf"^(?P<domain>{name})-requests$"}
        )
        database = Database.from_settings(own)
        tenant = make_tenant(database, name)
        topic = f"{name}-requests"
        stack.publish((topic, value) for value in _messages(tenant, count))
        started = time.perf_counter()
        accepted = rejected = ticks = 0
        while accepted + rejected < count and ticks < count:
            report = intake_tick(database, own, store=stack.store)
            accepted, rejected = accepted + report.accepted, rejected + report.rejected
            ticks += 1
        seconds = time.perf_counter() - started
        with database.operator() as conn:
            row = conn.execute("SELECT count(*) AS jobs FROM nodes_import_job").fetchone()
    if row is None or row["jobs"] != accepted or rejected != count // BAD_ONE_IN:
        raise RuntimeError(f"{row} jobs, {accepted} accepted, {rejected} rejected of {count}")
    return {"seconds": seconds, "messages": count, "rejected": rejected, "ticks": ticks}


def burst(stack: RunningStack, tenant: Tenant, count: int, references: int) -> dict[str, Any]:
    """`count` messages of `references` ids each, published at once, until the last status."""
    stamp = uuid.uuid4().hex[:8]
    began = stack.publish(
        (tenant.topic, tenant.reference_request(f"{stamp}-{n}-{at}" for at in range(references)))
        for n in range(count)
    )
    statuses = stack.wait_for_statuses(count)
    _all_completed(statuses)
    return {
        "seconds": statuses[-1].time - began,
        "first": statuses[0].time - began,
        "messages": count,
    }


def tenants_at_once(
    stack: RunningStack, tenants: Sequence[Tenant], files_each: int, rows: int, data: Path
) -> dict[str, Any]:
    """Files of `rows` users from every tenant, published at once; seconds of each tenant's last."""
    messages = []
    files = [
        make_users(data, rows, start=number * rows) for number in range(len(tenants) * files_each)
    ]
    urls = iter([stack.upload(Path(file.path)) for file in files])
    for _ in range(files_each):  # in turn: no tenant is first with all of its files
        messages += [(tenant.topic, tenant.file_request(next(urls))) for tenant in tenants]
    began = stack.publish(messages)
    statuses = stack.wait_for_statuses(len(messages))
    _all_completed(statuses)
    ended: dict[str, float] = defaultdict(float)
    for status in statuses:
        ended[status.value["domainId"]] = status.time - began
    return {
        "seconds": statuses[-1].time - began,
        "tenants": sorted(ended.values()),
        "files": len(messages),
        "rows": rows * len(messages),
    }


def _messages(tenant: Tenant, count: int) -> Iterator[bytes]:
    good = tenant.reference_request(f"reference-{n}" for n in range(10))
    bad = [text.replace(b"DOMAIN", tenant.domain_id.encode()) for text in _BAD]
    for number in range(count):
        is_bad = number % BAD_ONE_IN == BAD_ONE_IN - 1
        yield bad[number // BAD_ONE_IN % len(bad)] if is_bad else good


def _all_completed(statuses: Sequence[Any]) -> None:
    others = [status.value for status in statuses if status.value["status"] != "COMPLETED"]
    if others:
        raise RuntimeError(f"{len(others)} imports did not complete, the first: {others[0]}")
