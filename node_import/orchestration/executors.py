"""The executor that a setting names; the graph is the same under each."""

from __future__ import annotations

import dagster as dg

from node_import.errors import UsageError
from node_import.settings import RunSettings


def executor_of(settings: RunSettings) -> dg.ExecutorDefinition:
    """In process by default: on one machine, parallelism comes from connections inside a step.

    Raises:
        UsageError: an executor that this version does not support.
    """
    if settings.executor == "in_process":
        return dg.in_process_executor
    if settings.executor == "multiprocess":
        # A step costs 2 s of CPU in a fork of a warm process, and 5 s in a new one.
        config = {"max_concurrent": settings.load_connections, "start_method": {"forkserver": {}}}
        return dg.multiprocess_executor.configured(config, name="multiprocess")
    # Their steps run on machines that share no disk, and staged rows lie on a disk so far.
    message = f"NODE_IMPORT_EXECUTOR={settings.executor} is not supported by this version"
    raise UsageError(f"{message}; use in_process or multiprocess")
