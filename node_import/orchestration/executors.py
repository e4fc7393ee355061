"""The executor that a setting names; the graph is the same under each."""

from __future__ import annotations

import importlib

import dagster as dg

from node_import.errors import UsageError
from node_import.settings import RunSettings

# Where those are made that need a package of their own, imported only when they are asked for.
_OF_AN_EXTRA = {
    "celery": "node_import.orchestration.celery_executor",
    "k8s": "node_import.orchestration.k8s_executor",
}


def executor_of(settings: RunSettings) -> dg.ExecutorDefinition:
    """In process by default: on one machine, parallelism comes from connections inside a step.

    Raises:
        UsageError: the packages for this executor are not installed.
    """
    if settings.executor == "in_process":
        return dg.in_process_executor
    if settings.executor == "multiprocess":
        # A step costs 2 s of CPU in a fork of a warm process, and 5 s in a new one.
        config = {"max_concurrent": settings.load_connections, "start_method": {"forkserver": {}}}
        return dg.multiprocess_executor.configured(config, name="multiprocess")
    return _of_an_extra(settings.executor)


def _of_an_extra(name: str) -> dg.ExecutorDefinition:
    try:
        module = importlib.import_module(_OF_AN_EXTRA[name])
    except ModuleNotFoundError as error:
        message = f"NODE_IMPORT_EXECUTOR={name} needs the package {error.name}"
        raise UsageError(f"{message}: pip install 'node-import[{name}]'") from None
    executor: dg.ExecutorDefinition = module.executor
    return executor
