"""An installation of Dagster as people run it: a code location and a daemon, each a process."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from node_import.stack.dagster_processes import CODE_LOCATION
from node_import_tests.services.machines import Machine
from node_import_tests.services.running import free_ports
from node_import_tests.services.topics import wait_until

ROOT = Path(__file__).parents[2]
START_SECONDS = 120.0


class Installation:
    """Its instance is the project's dagster.yaml; which storage that is, `variables` say."""

    def __init__(self, folder: Path, variables: Mapping[str, str]) -> None:
        [self._port] = free_ports(1)
        self._location = Machine(folder / "location", variables)
        self._daemon = Machine(folder / "daemon", variables)
        for machine in (self._location, self._daemon):
            (machine.dagster_home / "dagster.yaml").write_bytes(
                (ROOT / "dagster.yaml").read_bytes()
            )

    def start(self) -> None:
        """Begin to start both; the daemon waits for the location."""
        module = ("-m", "node_import.definitions", "-a", "defs")
        address = ("-h", "127.0.0.1", "-p", str(self._port))
        self._location.start("python", "-m", CODE_LOCATION, *module, *address)
        server = {"host": "127.0.0.1", "port": self._port, "location_name": "node_import"}
        workspace = self._daemon.folder / "workspace.yaml"
        workspace.write_text(json.dumps({"load_from": [{"grpc_server": server}]}))  # JSON is YAML
        self._daemon.start("dagster-daemon", "run", "-w", str(workspace))

    @property
    def dagster_home(self) -> Path:
        """Where its dagster.yaml is."""
        return self._daemon.dagster_home

    def wait_until_it_ticks(self) -> None:
        """Until its daemon has looked at a sensor; of two daemons one may always be the quicker."""
        looked = "Checking for new runs for sensor: "
        wait_until(lambda: looked in self._daemon.log(), START_SECONDS)

    def log(self) -> str:
        """What both have said."""
        return self._location.log() + self._daemon.log()

    def kill(self) -> None:
        """End both, and their runs, without a warning."""
        for machine in (self._daemon, self._location):
            if machine.process is not None:
                machine.end()
                machine.process.wait(START_SECONDS)
