"""Which domains and groups there are, as far as the messages of one tick ask for them."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from uuid import UUID

from node_import.contracts.node_exchange import parse_uuid
from node_import.database import Connection
from node_import.sql import statements


@dataclass(frozen=True, slots=True)
class Directory:
    """Active domains by name, and their active groups by id and by name."""

    domains: Mapping[str, UUID] = field(default_factory=dict)
    group_ids: frozenset[tuple[UUID, UUID]] = frozenset()
    group_names: Mapping[tuple[UUID, str], UUID] = field(default_factory=dict)

    def domain(self, name: str) -> UUID | None:
        """The id of the active domain of that name."""
        return self.domains.get(name)

    def group(self, domain_id: UUID, called: str) -> UUID | None:
        """The id of the domain's group that a request calls so: by its id if it is a UUID."""
        as_id = parse_uuid(called)
        if as_id is not None:
            return as_id if (domain_id, as_id) in self.group_ids else None
        return self.group_names.get((domain_id, called))


def load_directory(
    conn: Connection, domain_names: Collection[str], groups_called: Collection[str]
) -> Directory:
    """What is known of these domains and groups, in two queries. As ni_operator."""
    queries = statements("intake.sql")
    rows = conn.execute(queries["find_domains"], {"names": sorted(domain_names)})
    domains = {row["name"]: row["id"] for row in rows}
    parsed = {called: parse_uuid(called) for called in groups_called}
    parameters = {
        "domain_ids": list(domains.values()),
        "ids": [as_id for as_id in parsed.values() if as_id is not None],
        "names": [called for called, as_id in parsed.items() if as_id is None],
    }
    groups = conn.execute(queries["find_groups"], parameters).fetchall()
    return Directory(
        domains,
        frozenset((row["domain_id"], row["id"]) for row in groups),
        {(row["domain_id"], row["name"]): row["id"] for row in groups},
    )


def find_failed_jobs(conn: Connection, job_ids: Collection[UUID]) -> set[tuple[UUID, UUID]]:
    """(job, its domain) of those jobs that are FAILED. As ni_operator."""
    if not job_ids:
        return set()
    parameters = {"ids": list(job_ids)}
    rows = conn.execute(statements("intake.sql")["find_failed_jobs"], parameters)
    return {(row["id"], row["domain_id"]) for row in rows}
