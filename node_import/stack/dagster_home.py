"""DAGSTER_HOME of the embedded stack: dagster.yaml and workspace.yaml."""

from __future__ import annotations

import re
from pathlib import Path

from node_import.stack.layout import Layout
from node_import.stack.ports import LOOPBACK

LOCATION = "node_import"
_RUN_LIMIT = re.compile(r"^(\s*max_concurrent_runs:) \d+$", re.MULTILINE)


def packaged_dagster_yaml() -> Path:
    """dagster.yaml: beside this file in a wheel, at the top level of a checkout."""
    packaged = Path(__file__).with_name("dagster.yaml")
    return packaged if packaged.is_file() else Path(__file__).parents[2] / "dagster.yaml"


def workspace_file(layout: Layout) -> Path:
    """The workspace that the webserver and the daemon load."""
    return layout.dagster_home / "workspace.yaml"


def write_dagster_home(layout: Layout, code_location_port: int, max_concurrent_runs: int) -> None:
    """Write both files anew, so that a newer package's settings hold."""
    instance = packaged_dagster_yaml().read_text(encoding="utf-8")
    instance = _RUN_LIMIT.sub(rf"\g<1> {max_concurrent_runs}", instance)
    (layout.dagster_home / "dagster.yaml").write_text(instance, encoding="utf-8")
    workspace_file(layout).write_text(
        "# Written by `node-import stack up` at every start.\n"
        "load_from:\n"
        "  - grpc_server:\n"
        f"      host: {LOOPBACK}\n"
        f"      port: {code_location_port}\n"
        f"      location_name: {LOCATION}\n",
        encoding="utf-8",
    )
