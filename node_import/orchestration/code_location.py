"""`python -m node_import.orchestration.code_location`: `dagster api grpc`, whose runs start warm.

Dagster starts the process of a run as a new Python that imports everything again: two seconds of
CPU, more than many an import takes. Here it is the fork of a process that has imported everything
and done nothing else (the start method `forkserver` of multiprocessing). Behind `dagster api grpc`
itself everything works the same and begins later.
"""

from __future__ import annotations

import logging
import multiprocessing
import tempfile
from multiprocessing import forkserver
from multiprocessing.context import BaseContext
from typing import Any

from dagster._cli.api import grpc_command
from dagster._grpc import server

LOGGER = logging.getLogger("dagster.code_server")  # what its console handler shows

_PRELOADED = (
    "node_import.orchestration.forked_runs",
    "node_import.orchestration.run_queue",
    # multiprocessing runs the program that a process was started from again: this module.
    "node_import.orchestration.code_location",
    # What Dagster imports when it needs it. One that is missing in some version is passed over.
    "dagster._grpc.impl",
    "dagster._core.executor.in_process",
    "dagster._core.instance.factory",
    "dagster._core.storage.local_compute_log_manager",
    "dagster._core.storage.root",
    "dagster._core.utility_ops",
    "psycopg2.extras",
    "upath.implementations.local",
)


class WarmApiServer(server.DagsterApiServer):
    """Dagster's server of a code location, with another way to start the processes of runs."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        origin = options.get("loadable_target_origin")
        context = warm_context(*([origin.module_name] if origin and origin.module_name else []))
        if context is not None:
            self._mp_ctx = context  # type: ignore[assignment]


def warm_context(*modules: str) -> BaseContext | None:
    """Starts processes with these modules, and Dagster's own, imported; None if it cannot."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([*_PRELOADED, *modules])
    try:
        forkserver.ensure_running()  # now, so that the first run need not wait for its imports
    except OSError as error:  # its socket is a file, whose path may be 107 bytes long
        LOGGER.warning(
            "Runs begin two seconds later than they could: no process to fork them from (%s). "
            "A shorter TMPDIR may help; it is %s",
            error,
            tempfile.gettempdir(),
        )
        return None
    return context


def main() -> None:
    """The command."""
    server.DagsterApiServer = WarmApiServer  # type: ignore[misc]  # the command looks it up there
    grpc_command()


if __name__ == "__main__":
    main()
