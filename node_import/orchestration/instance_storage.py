"""Dagster's storage over connections that are kept.

Dagster's own class makes a connection for every statement: 9 ms and 5 ms of CPU, most of them for
the password, for each event of a run and dozens of times a second in the daemon. Here a process
has one pool, which all its instances share.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from dagster._serdes import ConfigurableClassData
from dagster_postgres import DagsterPostgresStorage
from dagster_postgres.utils import (
    create_pg_engine,
    get_token_provider_from_config,
    pg_url_from_config,
)
from sqlalchemy.engine import Engine

if TYPE_CHECKING:
    from dagster_postgres.auth import PgTokenProvider

# A run's process needs one; the threads of the daemon and of the code location take turns.
KEPT_CONNECTIONS = 4

_engines: dict[str, Engine] = {}
_tables_are_there = False


class PooledPostgresStorage(DagsterPostgresStorage):
    """`DagsterPostgresStorage`, configured like it, by `postgres_url` or `postgres_db`.

    Whether the tables are there is asked once a process, as is whether they have the columns
    without which a run cannot be read the short way: Dagster asks before it reads a run.
    """

    def __init__(
        self,
        postgres_url: str,
        should_autocreate_tables: bool = True,
        inst_data: ConfigurableClassData | None = None,
        token_provider: PgTokenProvider | None = None,
    ) -> None:
        is_first = postgres_url not in _engines and not _tables_are_there
        look = should_autocreate_tables and is_first
        super().__init__(postgres_url, look, inst_data, token_provider)
        runs = self._run_storage
        has_columns = _asked_until_true(runs.has_run_stats_index_cols)
        runs.has_run_stats_index_cols = has_columns  # type: ignore[method-assign]
        engine = shared_engine(postgres_url, token_provider)
        for storage in (self._run_storage, self._event_log_storage, self._schedule_storage):
            storage._engine = engine  # noqa: SLF001 - as Dagster's webserver changes it

    @classmethod
    def from_config_value(
        cls, inst_data: ConfigurableClassData | None, config_value: Mapping[str, Any]
    ) -> PooledPostgresStorage:
        """See `dagster.yaml`."""
        return cls(
            pg_url_from_config(config_value),
            config_value.get("should_autocreate_tables", True),
            inst_data,
            get_token_provider_from_config(config_value),
        )


def shared_engine(postgres_url: str, token_provider: PgTokenProvider | None = None) -> Engine:
    """The pool of this process.

    A kept connection is asked whether it lives before it is used, so a restart of the server
    costs nobody a statement. When all are in use more are made, and closed after it.
    """
    if postgres_url not in _engines:
        _engines[postgres_url] = create_pg_engine(
            postgres_url,
            token_provider,
            isolation_level="AUTOCOMMIT",
            pool_size=KEPT_CONNECTIONS,
            max_overflow=-1,
            pool_pre_ping=True,
        )
    return _engines[postgres_url]


def trust_that_tables_are_there() -> None:
    """In a process that was started for a run: the run was read from them."""
    global _tables_are_there  # noqa: PLW0603 - a fact about this process
    _tables_are_there = True


def _asked_until_true(question: Callable[[], bool]) -> Callable[[], bool]:
    """`question`, but not again once the answer was yes."""
    is_true = False

    def answer() -> bool:
        nonlocal is_true
        is_true = is_true or question()
        return is_true

    return answer


def _leave_connections_to_the_parent() -> None:
    for engine in _engines.values():
        engine.dispose(close=False)


os.register_at_fork(after_in_child=_leave_connections_to_the_parent)
