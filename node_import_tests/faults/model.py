"""What must be there, worked out from the requests alone: a plain upsert of the rows as written.

It shares no code with the importer. Where faults leave more than one answer (a job that failed for
an outage has loaded some of its slices), the model keeps every answer that is possible for a node.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

from node_import_tests.faults.requests import Kind, Request, Row

Node: TypeAlias = tuple[str, tuple[tuple[str, str], ...]]
"""A node's type and its metadata, sorted; hashable, so that possible nodes make a set."""


@dataclass(frozen=True, slots=True)
class Rows:
    """What the rows of one request come to, whatever is stored already.

    `last` holds the row that counts of each reference; `failed` the references of bad rows that
    no good row has. Of a file that breaks these are the most that can have been read.
    """

    total: int
    rejected: Mapping[str, int]
    duplicate: int
    last: Mapping[str, Row]
    failed: frozenset[str]

    @property
    def processed(self) -> int:
        """Good rows."""
        return self.total - sum(self.rejected.values())


def rows_of(request: Request) -> Rows:
    """Read a request as the contract says."""
    if request.kind is Kind.CORRUPT_FILE:
        return Rows(len(request.rows), {}, 0, {}, frozenset(row.reference for row in request.rows))
    if request.kind not in {Kind.FILE, Kind.REFERENCES}:
        return Rows(0, {}, 0, {}, frozenset())
    good = [row for row in request.rows if row.code is None]
    bad = [row for row in request.rows if row.code is not None]
    last = {row.reference: row for row in good}
    failed = {row.reference for row in bad if row.reference} - last.keys()
    return Rows(
        total=len(request.rows),
        rejected=Counter(row.code for row in bad if row.code),
        duplicate=len(good) - len(last),
        last=last,
        failed=frozenset(failed),
    )


@dataclass(frozen=True, slots=True)
class Applied:
    """How a request came to the nodes of its group.

    `certain`: as a whole, in its place. Otherwise a fault was in between: each of its references
    was loaded at its place, or after all others (a replay), or (unless `whole`) not at all.
    """

    request: Request
    certain: bool = True
    whole: bool = True


@dataclass
class Group:
    """The nodes of one group; a set of possible states each, None for "not there"."""

    states: dict[str, set[Node | None]] = field(default_factory=dict)
    counts: dict[int, Counter[str]] = field(default_factory=dict)

    def possible(self, reference: str) -> set[Node | None]:
        """What the node may be."""
        return self.states.get(reference, {None})


def nodes_of(history: Sequence[Applied]) -> Group:
    """The nodes of one group after these requests, in this order.

    `counts` has inserted, updated and unchanged of each request (by number), and only if all are
    certain: otherwise they depend on what came when.
    """
    group = Group()
    if all(item.certain for item in history):
        for item in history:
            group.counts[item.request.number] = _apply_all(group, item.request)
        return group
    # Read once: files have many rows, and this looks at each reference of each file.
    read = [(item, rows_of(item.request).last) for item in history]
    for reference in {reference for _, last in read for reference in last}:
        found = [(item, last[reference]) for item, last in read if reference in last]
        group.states[reference] = _possible(found)
    return group


def _apply_all(group: Group, request: Request) -> Counter[str]:
    counts: Counter[str] = Counter()
    for reference, row in rows_of(request).last.items():
        [before] = group.possible(reference)
        after = upsert(before, row)
        counts["inserted" if before is None else "unchanged" if before == after else "updated"] += 1
        group.states[reference] = {after}
    return counts


def _possible(found: Sequence[tuple[Applied, Row]]) -> set[Node | None]:
    """What one node may be after the rows that speak of it, in the order of their requests."""
    states: set[Node | None] = {None}
    for item, row in found:
        after: set[Node | None] = {upsert(state, row) for state in states}
        states = after if item.certain else states | after
    for item, row in found:
        if not item.certain:
            states = states | {upsert(state, row) for state in states}
    must_exist = any(item.certain or item.whole for item, _ in found)
    return states - {None} if must_exist else states


def upsert(before: Node | None, row: Row) -> Node:
    """The contract's upsert: keys that the row does not mention stay; an empty value is none."""
    metadata = dict(before[1]) if before else {}
    metadata.update({name: value for name, value in row.values.items() if value})
    return row.type, tuple(sorted(metadata.items()))


def total_nodes(groups: Iterable[Group]) -> int:
    """How many nodes there must be, where all is certain."""
    return sum(len(group.states) for group in groups)
