"""What a forked process does: a tick of a sensor, a run, or a command of `node-import`.

Each opens its own connections and ends with its task. What Dagster's daemon does with the answer
of a sensor (adding partitions, submitting runs) the tick's process does as well, so that it can
die in the middle of that too; see `sensor daemon` in Dagster's `dagster/_daemon/sensor.py`.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from typing import Any

import dagster as dg
from dagster._cli.api import _execute_run_command_body
from dagster._core.definitions.reconstruct import ReconstructableJob, ReconstructableRepository
from dagster._utils.interrupts import capture_interrupts, setup_interrupt_handlers

from node_import.definitions import defs
from node_import.orchestration.dagster_runs import PARTITION_TAG, RUN_KEY_TAG
from node_import.orchestration.job import JOB_NAME
from node_import.orchestration.partitions import PARTITIONS_NAME
from node_import_tests.faults.injector import Injector

REPOSITORY = defs.get_repository_def()
# Resolved here once, so that no fork has to.
JOB = defs.resolve_job_def(JOB_NAME)
Order = Mapping[str, Any]
Answer = dict[str, Any]


def tick(order: Order, injector: Injector) -> Answer:
    """One tick of a sensor, and what the daemon makes of it."""
    with dg.DagsterInstance.get() as instance:
        sensor = REPOSITORY.get_sensor_def(order["sensor"])
        context = dg.SensorEvaluationContext(
            instance.get_ref(),
            last_tick_completion_time=None,
            last_run_key=None,
            cursor=order["cursor"],
            repository_name=REPOSITORY.name,
            instance=instance,
            repository_def=REPOSITORY,
            sensor_name=order["sensor"],
            resources=REPOSITORY.get_top_level_resources(),
        )
        with context:
            data = sensor.evaluate_tick(context)
        injector.reached("daemon: tick evaluated")
        for request in data.dynamic_partitions_requests or ():
            instance.add_dynamic_partitions(PARTITIONS_NAME, [*request.partition_keys])
        for wanted in data.run_requests or ():
            injector.reached("daemon: before a run is submitted")
            _submit(instance, wanted)
            injector.reached("daemon: after a run is submitted")
        return {"cursor": data.cursor, "runs": len(data.run_requests or ())}


def run(order: Order, _: Injector) -> Answer:
    """As `dagster api execute_run`, which the launcher starts."""
    setup_interrupt_handlers()
    with capture_interrupts(), dg.DagsterInstance.get() as instance:
        code = _execute_run_command_body(
            order["run_id"], instance, lambda _: None, set_exit_code_on_failure=False
        )
    return {"code": code}


def command(order: Order, _: Injector) -> Answer:
    """`node-import …`; what it prints is in the log."""
    from node_import.cli.app import app

    sys.argv = ["node-import", *order["arguments"]]
    try:
        app()
    except SystemExit as end:
        return {"code": end.code or 0}
    return {"code": 0}


ROLES: Mapping[str, Callable[[Order, Injector], Answer]] = {
    "tick": tick,
    "run": run,
    "command": command,
}


def _submit(instance: dg.DagsterInstance, wanted: dg.RunRequest) -> None:
    """A run that waits for its launch, unless its run key was used."""
    assert wanted.run_key is not None
    known = dg.RunsFilter(job_name=JOB_NAME, tags={RUN_KEY_TAG: wanted.run_key})
    if instance.get_runs(known, limit=1):
        return
    tags = {**wanted.tags, RUN_KEY_TAG: wanted.run_key, PARTITION_TAG: str(wanted.partition_key)}
    create_run(instance, tags)


def create_run(instance: dg.DagsterInstance, tags: Mapping[str, str]) -> None:
    """A run that waits for its launch."""
    repository = ReconstructableRepository.for_module(
        "node_import.definitions", "defs", working_directory=None
    )
    instance.create_run_for_job(
        JOB,
        tags=tags,
        status=dg.DagsterRunStatus.NOT_STARTED,
        job_code_origin=ReconstructableJob(repository, JOB_NAME).get_python_origin(),
    )
