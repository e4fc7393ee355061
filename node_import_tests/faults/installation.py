"""Dagster itself over a world, as people run it: a daemon and a code location, to be killed."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import yaml

from node_import.stack.dagster_processes import CODE_LOCATION
from node_import_tests.faults.world import World
from node_import_tests.services.machines import Machine
from node_import_tests.services.running import free_ports

ROOT = Path(__file__).parents[2]


class Installation:
    """Both are processes of the project's own dagster.yaml; runs are children of the location."""

    def __init__(self, world: World, *, max_concurrent_runs: int) -> None:
        [self._port] = free_ports(1)
        self.location = Machine(world.folder / "location", world.environment)
        self.daemon = Machine(world.folder / "daemon", world.environment)
        document = yaml.safe_load((ROOT / "dagster.yaml").read_text())
        document["run_coordinator"]["config"]["max_concurrent_runs"] = max_concurrent_runs
        for machine in (self.location, self.daemon):
            (machine.dagster_home / "dagster.yaml").write_text(yaml.safe_dump(document))
        # Outputs of steps lie under DAGSTER_HOME, so a run needs the same one after a restart.
        self._staging = {"NODE_IMPORT_STAGING_DIR": str(world.settings.staging_dir)}

    def start_location(self) -> None:
        """Begin to start it."""
        module = ("-m", "node_import.definitions", "-a", "defs", "--location-name", "node_import")
        address = ("-h", "127.0.0.1", "-p", str(self._port))
        self.location.start("python", "-m", CODE_LOCATION, *module, *address, **self._staging)

    def start_daemon(self) -> None:
        """Begin to start it; it waits for the location."""
        server = {"host": "127.0.0.1", "port": self._port, "location_name": "node_import"}
        workspace = self.daemon.folder / "workspace.yaml"
        workspace.write_text(json.dumps({"load_from": [{"grpc_server": server}]}))  # JSON is YAML
        self.daemon.start("dagster-daemon", "run", "-w", str(workspace), **self._staging)

    def start(self, name: str) -> None:
        """`daemon` or `location`."""
        (self.start_daemon if name == "daemon" else self.start_location)()

    def kill(self, name: str, *, with_runs: bool = True) -> None:
        """SIGKILL to that process and, of the location, to its runs or not."""
        machine = self.daemon if name == "daemon" else self.location
        process = machine.process
        if process is None or process.poll() is not None:
            return
        if with_runs:
            machine.end()
        else:
            os.kill(process.pid, signal.SIGKILL)
        process.wait(60)

    def log(self) -> str:
        """What both have said last."""
        return "\n".join(machine.log()[-4_000:] for machine in (self.location, self.daemon))


@contextmanager
def installed(world: World, *, max_concurrent_runs: int = 3) -> Iterator[Installation]:
    """Started, and killed at the end."""
    installation = Installation(world, max_concurrent_runs=max_concurrent_runs)
    try:
        installation.start_location()
        installation.start_daemon()
        yield installation
    finally:
        for name in ("daemon", "location"):
            installation.kill(name)
