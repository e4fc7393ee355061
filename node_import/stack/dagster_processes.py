"""Dagster's three processes: the code location, the webserver and the daemon."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from node_import.stack.child import Child
from node_import.stack.dagster_home import LOCATION, workspace_file
from node_import.stack.environment import child_environment
from node_import.stack.layout import Layout
from node_import.stack.ports import LOOPBACK, Ports
from node_import.stack.python_process import python_command

DEFINITIONS = "node_import.definitions"
CODE_LOCATION = "node_import.orchestration.code_location"
# A sensor tick holds a thread as long as it lasts, and the UI needs some beside.
CODE_LOCATION_THREADS = 16
# Ticks that are on their way get this long when the stack stops.
SHUTDOWN_SECONDS = 3
# Run workers get this long: the default of NODE_IMPORT_SHUTDOWN_GRACE_SECONDS, and time to end.
WORKER_SECONDS = 25


@dataclass(frozen=True, slots=True)
class DagsterProcesses:
    """Not started yet; in the order in which they start."""

    code_location: Child
    webserver: Child
    daemon: Child


def dagster_processes(
    layout: Layout, ports: Ports, variables: Mapping[str, str], definitions: str = DEFINITIONS
) -> DagsterProcesses:
    """The commands; `definitions` is the module that holds the Definitions object `defs`."""
    env = {
        **child_environment(variables),
        "DAGSTER_GRPC_SHUTDOWN_GRACE_PERIOD": str(SHUTDOWN_SECONDS),
    }
    workspace = ["-w", str(workspace_file(layout))]

    def child(name: str, command: list[str], grace: float) -> Child:
        return Child(
            name=name,
            argv=python_command(*command),
            log=layout.logs / f"{name}.log",
            env=env,
            # Not the user's folder: Dagster and the settings would read a `.env` there.
            cwd=layout.dagster_home,
            grace=grace,
        )

    location = [CODE_LOCATION, "-h", LOOPBACK, "-p", str(ports.code_location)]
    location += ["-m", definitions, "-a", "defs", "--location-name", LOCATION]
    location += ["--empty-working-directory", "--use-python-environment-entry-point"]
    location += ["--max-workers", str(CODE_LOCATION_THREADS)]
    webserver = ["dagster_webserver", "-h", LOOPBACK, "-p", str(ports.webserver), *workspace]
    return DagsterProcesses(
        # Run workers live in its group, and the code location tells them nothing: the whole group
        # is asked to end. Their slices may end, and their jobs go on at the next start.
        code_location=child("code-location", location, WORKER_SECONDS),
        webserver=child("webserver", webserver, 5),
        daemon=child("daemon", ["dagster._daemon", "run", *workspace], 10),
    )
