"""DAGSTER_HOME of the embedded stack."""

from __future__ import annotations

from pathlib import Path

import yaml

from node_import.stack.dagster_home import packaged_dagster_yaml, write_dagster_home
from node_import.stack.layout import Layout


def test_instance_is_the_packaged_one(tmp_path: Path) -> None:
    """The copy differs from dagster.yaml in the limit on runs alone, which is a setting."""
    layout = Layout(tmp_path)
    layout.create()
    write_dagster_home(layout, code_location_port=4001, max_concurrent_runs=7)
    packaged = yaml.safe_load(packaged_dagster_yaml().read_text())
    written = yaml.safe_load((layout.dagster_home / "dagster.yaml").read_text())
    assert written["run_coordinator"]["config"].pop("max_concurrent_runs") == 7
    assert packaged["run_coordinator"]["config"].pop("max_concurrent_runs") == 10
    assert written == packaged


def test_workspace_names_the_code_location(tmp_path: Path) -> None:
    """The webserver and the daemon find the gRPC server on its port."""
    layout = Layout(tmp_path)
    layout.create()
    write_dagster_home(layout, code_location_port=4001, max_concurrent_runs=10)
    workspace = yaml.safe_load((layout.dagster_home / "workspace.yaml").read_text())
    server = {"host": "127.0.0.1", "port": 4001, "location_name": "node_import"}
    assert workspace == {"load_from": [{"grpc_server": server}]}
