"""Run workers as a launcher starts them: `dagster api execute_run` in a process of its own."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import dagster as dg
from dagster._core.definitions.reconstruct import ReconstructableJob, ReconstructableRepository
from dagster._grpc.types import ExecuteRunArgs
from dagster._serdes import serialize_value

from node_import.jobs.dispatch import Dispatch
from node_import.orchestration.dagster_runs import PARTITION_TAG, RUN_KEY_TAG
from node_import.orchestration.job import JOB_NAME
from node_import.orchestration.partitions import PARTITIONS_NAME
from node_import.stack.python_process import own_environment, python_command

PATIENCE_SECONDS = 120
REPOSITORY = Path(__file__).parents[2]


@dataclass
class RunWorker:
    """One run and its process."""

    instance: dg.DagsterInstance
    run_id: str
    process: subprocess.Popen[bytes]

    def send(self, number: int) -> None:
        """A signal to the process alone."""
        self.process.send_signal(number)

    def wait(self) -> dg.DagsterRun:
        """The run as it stands when its process has ended."""
        self.process.wait(PATIENCE_SECONDS)
        return self.run()

    def run(self) -> dg.DagsterRun:
        """The run as it stands now."""
        run = self.instance.get_run_by_id(self.run_id)
        assert run is not None
        return run

    def log(self) -> str:
        """What the run's log says."""
        entries = self.instance.all_logs(self.run_id)
        return "\n".join(entry.user_message for entry in entries)

    def until_it_says(self, words: str) -> None:
        """Wait for a line in the run's log."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while words not in self.log():
            assert time.monotonic() < deadline, self.log()
            assert self.process.poll() is None, self.log()
            time.sleep(0.05)


@contextmanager
def run_worker(
    instance: dg.DagsterInstance, job: dg.JobDefinition, module: str, due: Dispatch
) -> Iterator[RunWorker]:
    """A worker for a run that was dispatched; `module` has the definitions with `job`.

    It is killed if it outlives the block.
    """
    run = _create_run(instance, job, module, due)
    assert run.job_code_origin is not None
    order = ExecuteRunArgs(run.job_code_origin, run.run_id, instance.get_ref())
    command = python_command("dagster", "api", "execute_run", serialize_value(order))
    with subprocess.Popen(command, env=own_environment()) as process:
        try:
            yield RunWorker(instance, run.run_id, process)
        finally:
            process.kill()


def _create_run(
    instance: dg.DagsterInstance, job: dg.JobDefinition, module: str, due: Dispatch
) -> dg.DagsterRun:
    """A run that is not started, as Dagster's daemon makes it of a run request."""
    instance.add_dynamic_partitions(PARTITIONS_NAME, [due.partition_key])
    repository = ReconstructableRepository.for_module(module, "defs", str(REPOSITORY))
    return instance.create_run_for_job(
        job,
        tags={PARTITION_TAG: due.partition_key, RUN_KEY_TAG: due.run_key},
        job_code_origin=ReconstructableJob(repository, JOB_NAME).get_python_origin(),
    )
