"""Machines of a deployment without a shared disk: processes that know the same services.

Each has a folder of its own for everything that a machine keeps on its disk: Dagster's home, staged
rows, temporary files. Only the environment says where the services are.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from node_import.jobs.dispatch import Dispatch
from node_import.orchestration.dagster_runs import PARTITION_TAG, RUN_KEY_TAG
from node_import.orchestration.job import JOB_NAME
from node_import.stack.python_process import environment_without_settings

PROGRAMS = Path(sys.executable).parent
# What steps print stays with the machine that runs them.
INSTANCE = """\
storage:
  postgres:
    postgres_url:
      env: DAGSTER_POSTGRES_URL
compute_logs:
  module: dagster._core.storage.noop_compute_log_manager
  class: NoOpComputeLogManager
telemetry:
  enabled: false
"""
# What is there before any work: of the tests, and of `dagster-celery worker start`.
CONFIGURATION = {"log", "dagster.yaml", "dagster_celery_config.py"}


class Machine:
    """A folder, and one process in it."""

    def __init__(self, folder: Path, variables: Mapping[str, str]) -> None:
        self.folder = folder
        self.staging = folder / "staging"
        self._variables = variables
        self._log = folder / "log"
        for name in ("dagster", "tmp", "home"):
            (folder / name).mkdir(parents=True)
        self.dagster_home = folder / "dagster"
        (self.dagster_home / "dagster.yaml").write_text(INSTANCE)
        self.process: subprocess.Popen[bytes] | None = None

    def start(self, *command: str, **variables: str) -> None:
        """Run a program, in a process group of its own."""
        own = {
            "PATH": f"{PROGRAMS}{os.pathsep}{os.environ['PATH']}",
            "HOME": str(self.folder / "home"),
            "TMPDIR": str(self.folder / "tmp"),
            "DAGSTER_HOME": str(self.dagster_home),
            "NODE_IMPORT_STAGING_DIR": str(self.staging),
        }
        with self._log.open("ab") as output:
            self.process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env={**environment_without_settings(), **self._variables, **own, **variables},
                cwd=self.folder,
                start_new_session=True,
            )

    def start_run(self, due: Dispatch, **variables: str) -> None:
        """Run one dispatch of the job table, as a run worker of Dagster's would."""
        tags = {PARTITION_TAG: due.partition_key, RUN_KEY_TAG: due.run_key}
        job = ("-m", "node_import.definitions", "-j", JOB_NAME)
        self.start("dagster", "job", "execute", *job, "--tags", json.dumps(tags), **variables)

    def start_worker(self, name: str) -> None:
        """A Celery worker that works at one step at a time."""
        app = ("-A", "node_import.orchestration.celery_app")
        options = ("--", "--concurrency", "1")
        self.start("dagster-celery", "worker", "start", *app, "-n", name, *options)

    def wait(self, seconds: float) -> int:
        """The exit code of the process."""
        assert self.process is not None
        try:
            return self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            raise AssertionError(self.log()) from None

    def end(self, number: int = signal.SIGKILL) -> None:
        """Send a signal to all of its processes; without a warning, unless another is named."""
        assert self.process is not None
        os.killpg(self.process.pid, number)

    def log(self) -> str:
        """What it has said."""
        return self._log.read_text(errors="replace")

    def files(self) -> list[str]:
        """What lies on its disk beside its configuration and its log, by relative path."""
        files = (path.relative_to(self.folder) for path in self.folder.rglob("*") if path.is_file())
        return sorted(str(path) for path in files if path.name not in CONFIGURATION)
