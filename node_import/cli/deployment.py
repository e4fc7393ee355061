"""Which deployment a command talks to: the one of its settings, or the embedded stack."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from node_import.cli.failure import CommandFailed
from node_import.cli.output import note
from node_import.errors import UsageError

if TYPE_CHECKING:
    from node_import.database import Connection, Database
    from node_import.settings import Settings
    from node_import.stack.state import StackState

# The setting without which nothing is configured; see `Settings`.
_NOTHING_CONFIGURED = "NODE_IMPORT_POSTGRES_DSN is not set"


def deployment_settings() -> Settings:
    """The settings of this process or, if it has none, those of the embedded stack that runs.

    What the environment sets halfway is never mixed with a stack: only a process without
    NODE_IMPORT_POSTGRES_DSN takes the stack's settings, and then all of them.
    """
    from node_import.settings import load_settings

    try:
        return load_settings()
    except UsageError as error:
        if _NOTHING_CONFIGURED not in str(error) or not _adopt_running_stack():
            raise
    return load_settings()


def deployment_database(settings: Settings) -> Database:
    """The importer's database of these settings."""
    from node_import.database import Database

    return Database.from_settings(settings)


@contextmanager
def as_operator(database: Database) -> Iterator[Connection]:
    """`Database.operator`, with a word on what to do about a database that is not ready for it."""
    import psycopg.errors as refusals

    not_migrated = (
        refusals.UndefinedTable,
        refusals.UndefinedColumn,
        refusals.InvalidParameterValue,  # a role that does not exist
    )
    try:
        with database.operator() as conn:
            yield conn
    except not_migrated as error:
        message = "the database has no schema, or an old one; run `node-import migrate`"
        raise UsageError(message) from error
    except refusals.InsufficientPrivilege as error:
        message = (
            "the role of NODE_IMPORT_POSTGRES_DSN may not act as ni_operator; connect as "
            "ni_importer, or run `node-import migrate`"
        )
        raise UsageError(message) from error


def _adopt_running_stack() -> bool:
    try:
        from node_import.stack.state import running_stack, stack_environment
    except ImportError:  # installed without the extra `embedded`
        return False
    stack = running_stack()
    if stack is None:
        return False
    note(f"no settings found: using the embedded stack in {stack.data_dir}")
    os.environ.update(stack_environment(_ready(stack)))
    return True


def _ready(stack: StackState) -> StackState:
    """The stack when it has come up, if it is only starting."""
    from node_import.stack.background import wait_until_ready
    from node_import.stack.start_failure import StartFailed

    if stack.phase == "ready":
        return stack
    note("waiting until it has come up")
    try:
        return wait_until_ready(stack.data_dir)
    except StartFailed as error:
        message = f"the embedded stack did not come up: {error.detail}"
        raise CommandFailed(message) from error
