"""The options by which dead letters are chosen."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Annotated
from uuid import UUID

import typer

from node_import.contracts.error_codes import ErrorCode
from node_import.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from node_import.database import Database
    from node_import.replaying.letter import LetterFilter

Topics = Annotated[
    list[str] | None,
    typer.Option(
        metavar="TOPIC", help="Only of this topic, or of this dead-letter topic; several allowed."
    ),
]
Codes = Annotated[
    list[ErrorCode] | None,
    typer.Option(
        metavar="CODE", case_sensitive=False, help="Only of this error code; several allowed."
    ),
]
Domain = Annotated[str | None, typer.Option(help="Only this domain's, by name or id.")]
Since = Annotated[
    str | None, typer.Option(help="Failed since then: 90m, 24h, 7d (ago) or ISO 8601.")
]
Until = Annotated[str | None, typer.Option(help="Failed before then, said in the same way.")]
Jobs = Annotated[
    list[UUID] | None, typer.Option(metavar="ID", help="Only of this job; several allowed.")
]
Letters = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="LETTER",
        help="topic/partition/offset, as `list` prints it, or a job's id; several allowed.",
        show_default=False,
    ),
]

# Kafka's rule for topic names.
_NAME = re.compile(r"[A-Za-z0-9._-]{1,249}/\d{1,10}/\d{1,19}")


def letter_filter(
    database: Database,
    topics: Sequence[str] | None = None,
    codes: Sequence[ErrorCode] | None = None,
    domain: str | None = None,
    since: str | None = None,
    until: str | None = None,
    jobs: Sequence[UUID] | None = None,
    letters: Sequence[str] | None = None,
) -> LetterFilter:
    """What the options ask for. UsageError for one that means nothing."""
    from node_import.cli.since import parse_since
    from node_import.contracts.node_exchange import parse_uuid
    from node_import.replaying.letter import LetterFilter

    names = {text for text in letters or () if parse_uuid(text) is None}
    for name in names:
        if not _NAME.fullmatch(name):
            message = f"{name!r} is neither topic/partition/offset nor the id of a job"
            raise UsageError(message)
    named_jobs = {found for text in letters or () if (found := parse_uuid(text))}
    return LetterFilter(
        topics=frozenset(topics or ()),
        domains=frozenset({_domain_name(database, domain)} if domain else ()),
        codes=frozenset(codes or ()),
        since=parse_since(since) if since else None,
        until=parse_since(until) if until else None,
        names=frozenset(names),
        jobs=frozenset({*(jobs or ()), *named_jobs}),
    )


def _domain_name(database: Database, name_or_id: str) -> str:
    """A name need not be one of a domain: letters of an unknown domain are looked for by it."""
    from node_import.cli.deployment import as_operator
    from node_import.contracts.node_exchange import parse_uuid
    from node_import.jobs.tenants import find_domain

    if parse_uuid(name_or_id) is None:
        return name_or_id
    with as_operator(database) as conn:
        return find_domain(conn, name_or_id).name
