"""Domains and their matching groups: who may import, and into what."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID, uuid4

from node_import.contracts.node_exchange import parse_uuid
from node_import.database import Connection
from node_import.errors import UsageError
from node_import.sql import statements


@dataclass(frozen=True, slots=True)
class Group:
    """A matching group of one domain."""

    id: UUID
    name: str

    def as_document(self) -> dict[str, Any]:
        """`{"id", "name"}` of the contract."""
        return {"id": str(self.id), "name": self.name}


@dataclass(frozen=True, slots=True)
class Domain:
    """A tenant and its active groups, in order of their names."""

    id: UUID
    name: str
    active: bool
    groups: tuple[Group, ...] = ()

    def as_document(self) -> dict[str, Any]:
        """`{"id", "name", "active", "groups"}` of the contract."""
        groups = [group.as_document() for group in self.groups]
        return {"id": str(self.id), "name": self.name, "active": self.active, "groups": groups}

    def group(self, name_or_id: str) -> Group:
        """The group of that id or, if it is no UUID, of that name: the rule of `groupId`."""
        wanted = parse_uuid(name_or_id)
        for group in self.groups:
            if group.id == wanted or (wanted is None and group.name == name_or_id):
                return group
        message = (
            f"the domain {self.name} has no group {name_or_id}; add one with "
            f"`node-import group add {self.name} NAME`, see them with `node-import domain list`"
        )
        raise UsageError(message)


def all_domains(conn: Connection) -> list[Domain]:
    """Every domain, inactive ones too, in order of their names."""
    return _domains(conn, None)


def find_domain(conn: Connection, name_or_id: str) -> Domain:
    """The domain of that name or id; a name comes first. UsageError if there is none."""
    found = _domains(conn, name_or_id)
    if not found:
        message = (
            f"there is no domain {name_or_id}; add it with `node-import domain add {name_or_id}`, "
            "see them with `node-import domain list`"
        )
        raise UsageError(message)
    return next((domain for domain in found if domain.name == name_or_id), found[0])


def add_domain(conn: Connection, name: str, domain_id: UUID | None = None) -> Domain:
    """A new domain. UsageError if its name or id is taken."""
    parameters = {"id": domain_id or uuid4(), "name": name}
    row = conn.execute(statements("tenants.sql")["add_domain"], parameters).fetchone()
    if row is None:
        message = f"a domain of that name or id exists already: {name}"
        raise UsageError(message)
    return _domain({**row, "groups": []})


def add_group(conn: Connection, domain: Domain, name: str, group_id: UUID | None = None) -> Group:
    """A new group of `domain`. UsageError if its name or id is taken, or nobody could say it."""
    if parse_uuid(name):
        message = "a group's name must not be a UUID: messages could not name it, only by its id"
        raise UsageError(message)
    parameters = {"id": group_id or uuid4(), "domain_id": domain.id, "name": name}
    row = conn.execute(statements("tenants.sql")["add_group"], parameters).fetchone()
    if row is None:
        message = f"a group of that name or id exists already in {domain.name} or elsewhere: {name}"
        raise UsageError(message)
    return Group(row["id"], row["name"])


@dataclass(frozen=True, slots=True)
class NodeCounts:
    """What a group holds: nodes, and metadata rows of them all."""

    nodes: int
    metadata: int


def node_counts(conn: Connection, group_id: UUID) -> NodeCounts:
    """Counted now, inside the tenant's transaction (`Database.tenant`); 1 M nodes take seconds."""
    row = conn.execute(statements("tenants.sql")["node_counts"], {"group_id": group_id}).fetchone()
    return NodeCounts(**row) if row else NodeCounts(0, 0)


def _domains(conn: Connection, wanted: str | None) -> list[Domain]:
    parameters = {"wanted": wanted, "wanted_id": parse_uuid(wanted) if wanted else None}
    rows = conn.execute(statements("tenants.sql")["domains"], parameters)
    return [_domain(row) for row in rows]


def _domain(row: Mapping[str, Any]) -> Domain:
    groups = tuple(Group(UUID(group["id"]), group["name"]) for group in row["groups"])
    return Domain(row["id"], row["name"], row["active"], groups)
