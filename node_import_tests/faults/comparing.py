"""Compares what is there with what must be there; each difference is a sentence."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from typing import Any

from node_import_tests.faults.model import Applied, Group, Rows, nodes_of, rows_of
from node_import_tests.faults.observed import COUNTS, Event, Letter, Observed, Place, observe
from node_import_tests.faults.requests import FAILING, REFUSED, Kind, Request, header, record_lines
from node_import_tests.faults.world import World

INFRASTRUCTURE = frozenset(
    {
        "OBJECT_STORE_UNAVAILABLE",
        "DATABASE_UNAVAILABLE",
        "KAFKA_UNAVAILABLE",
        "TIMEOUT",
        "RUN_DIED",
        "CANCELED",
    }
)


@dataclass
class Expectation:
    """What the faults of a case allow beside a clean end.

    `codes`: with which codes of the infrastructure a job may have failed. `ends`: how many final
    events a job has, where it was opened again; one otherwise. `reopened`: whether it ran again
    after others of its group may have. `letters_again`: how many letters a refused message has
    beside its first, because it was replayed.
    """

    codes: Collection[str] = frozenset()
    ends: dict[Place, int] = field(default_factory=dict)
    codes_before: dict[Place, list[str]] = field(default_factory=dict)
    reopened: set[Place] = field(default_factory=set)
    left_failed: dict[Place, str] = field(default_factory=dict)


def differences(world: World, expectation: Expectation | None = None) -> list[str]:
    """All of them; none is what a test wants."""
    return [*_Comparison(world, expectation or Expectation(), observe(world)).all()]


class _Comparison:
    """One look at one world."""

    def __init__(self, world: World, expectation: Expectation, observed: Observed) -> None:
        self._world = world
        self._expectation = expectation
        self._observed = observed
        self._wanted = {place: r for place, r in world.sent.items() if r.makes_job}
        self._refused = {place: r for place, r in world.sent.items() if not r.makes_job}

    def all(self) -> Iterator[str]:
        yield from self._observed.oddities
        yield from self._positions()
        jobs = self._observed.jobs
        for place in self._wanted.keys() - jobs.keys():
            yield f"{place}: its message is no job"
        for place in jobs.keys() - self._wanted.keys():
            yield f"{place}: a job that nobody asked for"
        for place in self._wanted.keys() & jobs.keys():
            yield from self._job(place, self._wanted[place], jobs[place])
        yield from self._groups()
        yield from self._letters()
        known = {str(row["id"]) for row in jobs.values()}
        for job_id in self._observed.events.keys() - known:
            yield f"status events of a job that is not there: {job_id}"

    def _positions(self) -> Iterator[str]:
        with self._world.database.connect() as conn:
            rows = conn.execute("SELECT topic, partition_no, next_offset FROM intake_position")
            for topic, partition, offset in rows:
                if partition == 0 and offset < self._sent_to(topic):
                    yield f"{topic}: read up to {offset}, {self._sent_to(topic)} were sent"

    def _sent_to(self, topic: str) -> int:
        return 1 + max((offset for name, offset in self._world.sent if name == topic), default=-1)

    # One job

    def _job(self, place: Place, request: Request, row: dict[str, Any]) -> Iterator[str]:
        rows = rows_of(request)
        name = f"{place} ({request.kind}, job {row['id']})"
        code = row["failure_code"]
        if self._failed_for_an_outage(place, row):
            yield from self._lists_of_failed(name, row)
        else:
            wanted = _end_of(request, rows)
            wanted = self._expectation.left_failed.get(place, wanted)
            if code != wanted or row["status"] != ("FAILED" if wanted else "COMPLETED"):
                reason = row["failure_reason"]
                yield f"{name}: {row['status']} {code}, expected {wanted}: {reason}"
                return
            yield from self._counts(name, request, rows, row)
            yield from self._ledger(name, rows, row)
            yield from self._rejects(name, request, rows, row)
        yield from self._events(place, name, request, row)

    def _failed_for_an_outage(self, place: Place, row: dict[str, Any]) -> bool:
        """As the faults allow, or as before a replay that had to leave it alone."""
        allowed = {*self._expectation.codes, self._expectation.left_failed.get(place)}
        return row["failure_code"] in INFRASTRUCTURE & allowed

    def _counts(
        self, name: str, request: Request, rows: Rows, row: dict[str, Any]
    ) -> Iterator[str]:
        if request.kind is Kind.CORRUPT_FILE:
            if row["failed_nodes"] != row["total_nodes"] or row["total_nodes"] > rows.total:
                yield f"{name}: {row['failed_nodes']} of {row['total_nodes']} rows failed"
            return
        wanted = {
            "total_nodes": rows.total,
            "processed_nodes": rows.processed,
            "rejected_nodes": sum(rows.rejected.values()),
            "duplicate_nodes": rows.duplicate,
            "failed_nodes": 0,
            "rejects_by_code": dict(rows.rejected),
        }
        for column, value in wanted.items():
            if row[column] != value:
                yield f"{name}: {column} is {row[column]}, expected {value}"

    def _ledger(self, name: str, rows: Rows, row: dict[str, Any]) -> Iterator[str]:
        """The slices of the version that the job closed with come to its counts."""
        mine = [
            entry
            for entry in self._observed.ledger.get(row["id"], [])
            if entry["object_version"] == row["object_version"]
            and entry["plan_fingerprint"] == row["plan_fingerprint"]
        ]
        for count in COUNTS[:4]:
            column = f"{count}_nodes"
            total = sum(entry[column] for entry in mine)
            if total != row[column]:
                yield f"{name}: {column} is {row[column]}, the ledger has {total}"
        if any(entry["attempt"] > row["attempt"] for entry in mine):
            yield f"{name}: the ledger has a slice of an attempt that never was"
        if bool(mine) != bool(rows.last):
            yield f"{name}: {len(mine)} slices in the ledger for {len(rows.last)} nodes"

    def _rejects(
        self, name: str, request: Request, rows: Rows, row: dict[str, Any]
    ) -> Iterator[str]:
        url = row["rejects_url"]
        if not rows.rejected:
            if url is not None:
                yield f"{name}: a reject file without rejects: {url}"
            return
        if request.kind is Kind.REFERENCES or url is None:
            if url is None:
                yield f"{name}: no reject file"
            return
        bad = [bad for bad in request.rows if bad.code is not None]
        wanted = header(request.fields) + "".join(record_lines(bad, request.fields))
        if self._object(url).decode() != wanted:
            yield f"{name}: its reject file is not its bad rows"
        reasons = [json.loads(line) for line in self._object(url + ".reasons.jsonl").splitlines()]
        if [reason["code"] for reason in reasons] != [row.code for row in bad]:
            yield f"{name}: the reasons are not those of its bad rows"

    def _object(self, url: str) -> bytes:
        bucket, _, key = url.removeprefix("s3://").partition("/")
        return self._world.s3.get_object(Bucket=bucket, Key=key)["Body"].read()

    def _lists_of_failed(self, name: str, row: dict[str, Any]) -> Iterator[str]:
        """A job that failed for an outage says exactly how many rows it has loaded."""
        entries = self._observed.ledger.get(row["id"], [])
        loaded = sum(entry[f"{count}_nodes"] for entry in entries for count in COUNTS[:4])
        if row["object_version"] is not None and loaded != row["processed_nodes"]:
            yield f"{name}: {row['processed_nodes']} processed, the ledger has {loaded}"

    # Status events

    def _events(
        self, place: Place, name: str, request: Request, row: dict[str, Any]
    ) -> Iterator[str]:
        kept = self._observed.outbox.get(row["id"], [])
        events = self._observed.events.get(str(row["id"]), [])
        wanted = self._expectation.ends.get(place, 1)
        if len(kept) != wanted:
            yield f"{name}: {len(kept)} final events, expected {wanted}"
        if [str(entry["id"]) for entry in kept] != [event.ce_id for event in events]:
            yield f"{name}: the topic has other events, or in another order, than the outbox"
        attempts = [event.value["attempt"] for event in events]
        if attempts != sorted(set(attempts)):
            yield f"{name}: events of the attempts {attempts}"
        if any(entry["published_at"] is None for entry in kept):
            yield f"{name}: an event that is not stamped"
        if events:
            yield from self._last_event(name, request, row, events[-1])

    def _last_event(
        self, name: str, request: Request, row: dict[str, Any], event: Event
    ) -> Iterator[str]:
        value = event.value
        said = {
            "jobId": str(row["id"]),
            "domainId": str(row["domain_id"]),
            "status": row["status"],
            "processed": row["processed_nodes"],
            "total": row["total_nodes"],
            "attempt": row["attempt"],
            "failureCode": row["failure_code"],
            "rejectsUrl": row["rejects_url"],
        }
        for field_name, wanted in said.items():
            if value.get(field_name) != wanted:
                yield f"{name}: {field_name} is {value.get(field_name)}, the job has {wanted}"
        if row["failure_code"] in INFRASTRUCTURE:
            return
        rows = rows_of(request)
        broken = request.kind is Kind.CORRUPT_FILE
        lists = {"successList": set(rows.last), "failedList": set(rows.failed)}
        for field_name, references in lists.items():
            listed = Counter(value[field_name])
            if not (listed <= Counter(references) if broken else listed == Counter(references)):
                yield f"{name}: {field_name} is not what was imported or rejected"

    # Nodes

    def _groups(self) -> Iterator[str]:
        ids = {
            (domain, group): group_id
            for domain, tenant in self._world.tenants.items()
            for group, group_id in tenant.groups.items()
        }
        for (domain, group), group_id in ids.items():
            history = self._history(domain, group)
            model = nodes_of(history)
            found = self._observed.nodes.get(group_id, {})
            yield from _nodes(f"{domain}/{group}", model, found)
            yield from self._group_counts(model, domain, group)
            inserted = self._inserted(domain, group)
            if inserted != len(found):
                yield f"{domain}/{group}: {len(found)} nodes, the ledger inserted {inserted}"
        for stray in self._observed.nodes.keys() - set(ids.values()):
            yield f"nodes of a group that is not there: {stray}"

    def _of_group(self, domain: str, group: str) -> list[tuple[Place, Request]]:
        return [
            (place, request)
            for place, request in sorted(self._wanted.items())
            if (request.domain, request.group) == (domain, group) and place in self._observed.jobs
        ]

    def _history(self, domain: str, group: str) -> list[Applied]:
        history = []
        for place, request in self._of_group(domain, group):
            row = self._observed.jobs[place]
            failed = row["failure_code"] in INFRASTRUCTURE
            certain = not failed and place not in self._expectation.reopened
            history.append(Applied(request, certain=certain, whole=not failed))
        return history

    def _group_counts(self, model: Group, domain: str, group: str) -> Iterator[str]:
        """Lists of one group share a run, and come in any order with it."""
        summed: Counter[str] = Counter()
        for place, request in self._of_group(domain, group):
            counts = model.counts.get(request.number)
            if counts is None:
                return
            row = self._observed.jobs[place]
            difference = {count: row[f"{count}_nodes"] - counts[count] for count in COUNTS[:3]}
            summed.update(difference)
            if request.is_file and any(difference.values()):
                yield f"{place} (job {row['id']}): counts differ from the model by {difference}"
        if any(summed.values()):
            yield f"{domain}/{group}: counts differ from the model by {dict(summed)}"

    def _inserted(self, domain: str, group: str) -> int:
        return sum(
            entry["inserted_nodes"]
            for place, _ in self._of_group(domain, group)
            for entry in self._observed.ledger.get(self._observed.jobs[place]["id"], [])
        )

    # Dead letters

    def _letters(self) -> Iterator[str]:
        found: dict[tuple[Place, str, str | None], list[Letter]] = {}
        for letter in self._observed.letters:
            found.setdefault((letter.place, letter.code, letter.job_id), []).append(letter)
            yield from self._content(letter)
        wanted = {(place, REFUSED[r.kind], None) for place, r in self._refused.items()}
        for place, request in self._wanted.items():
            row = self._observed.jobs.get(place)
            for kept in self._observed.letters_kept.get(row["id"], []) if row else ():
                wanted.add((place, kept["error_code"], str(kept["job_id"])))
            if row:
                yield from self._kept_letters(place, request, row)
        for place, codes in self._expectation.codes_before.items():
            wanted |= {(place, code, None) for code in codes}
        for key in wanted - found.keys():
            yield f"no dead letter: {key}"
        for key in found.keys() - wanted:
            yield f"a dead letter that must not be: {key}"

    def _content(self, letter: Letter) -> Iterator[str]:
        request = self._world.sent.get(letter.place)
        if request is None:
            yield f"a dead letter of a message that nobody sent: {letter.place}"
            return
        tenant = self._world.tenants[request.domain]
        value = request.value(tenant.domain_id, self._world.settings.s3_bucket)
        if (letter.key, letter.value) != (b"k", value):
            yield f"{letter.place}: its dead letter has another key or value"

    def _kept_letters(self, place: Place, request: Request, row: dict[str, Any]) -> Iterator[str]:
        """A letter for each end that is FAILED, but for rows alone."""
        ends = self._observed.outbox.get(row["id"], [])
        failed = [
            entry["attempt"]
            for entry in ends
            if entry["status"] == "FAILED"
            and entry["details"].get("failureCode") != "ROWS_REJECTED"
        ]
        kept = self._observed.letters_kept.get(row["id"], [])
        if [entry["attempt"] for entry in kept] != failed:
            yield f"{place}: letters of the attempts {[e['attempt'] for e in kept]}, not {failed}"


def _end_of(request: Request, rows: Rows) -> str | None:
    """The failure code that a job ends with; None is COMPLETED."""
    if request.kind in FAILING:
        return FAILING[request.kind]
    return "ROWS_REJECTED" if rows.rejected else None


def _nodes(name: str, model: Group, found: dict[str, Any]) -> Iterator[str]:
    wrong = [
        reference
        for reference in model.states.keys() | found.keys()
        if found.get(reference) not in model.possible(reference)
    ]
    for reference in sorted(wrong)[:5]:
        possible = model.possible(reference)
        yield f"{name}: {reference} is {found.get(reference)}, may be {possible}"
    if len(wrong) > 5:
        yield f"{name}: {len(wrong)} nodes differ in all"
