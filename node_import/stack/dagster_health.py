"""Asks Dagster whether it is ready: code location loaded, daemons beating."""

from __future__ import annotations

import json
import socket
from http.client import HTTPConnection, HTTPException
from typing import Any

from node_import.stack.ports import LOOPBACK

QUERY = """
query StackHealth {
  workspaceOrError {
    ... on Workspace {
      locationEntries {
        loadStatus
        locationOrLoadError { __typename ... on PythonError { message } }
      }
    }
  }
  instance { daemonHealth { allDaemonStatuses { daemonType required healthy } } }
}
"""
TIMEOUT_SECONDS = 10


def port_answers(port: int) -> bool:
    """Whether somebody listens on this loopback port."""
    try:
        socket.create_connection((LOOPBACK, port), timeout=TIMEOUT_SECONDS).close()
    except OSError:
        return False
    return True


def what_is_missing(webserver_port: int) -> str | None:
    """What Dagster still waits for, in a few words; None when it is ready."""
    try:
        answer = _ask(webserver_port)
    except (OSError, HTTPException, ValueError):
        return "the webserver does not answer yet"
    entries = answer.get("workspaceOrError", {}).get("locationEntries", [])
    if not entries or any(entry["loadStatus"] != "LOADED" for entry in entries):
        return "the code location is not loaded yet"
    for entry in entries:
        found = entry["locationOrLoadError"] or {}
        if found.get("__typename") == "PythonError":
            return f"the code location does not load: {found.get('message', '').strip()}"
    statuses = answer["instance"]["daemonHealth"]["allDaemonStatuses"]
    late = [one["daemonType"] for one in statuses if one["required"] and not one["healthy"]]
    return f"no heartbeat yet of the daemon's {', '.join(sorted(late))}" if late else None


def _ask(webserver_port: int) -> dict[str, Any]:
    # Straight to the loopback interface, whatever proxy the environment names.
    connection = HTTPConnection(LOOPBACK, webserver_port, timeout=TIMEOUT_SECONDS)
    try:
        connection.request(
            "POST", "/graphql", json.dumps({"query": QUERY}), {"Content-Type": "application/json"}
        )
        document: dict[str, Any] = json.load(connection.getresponse())
    finally:
        connection.close()
    data = document.get("data")
    if not isinstance(data, dict):
        message = f"no data in Dagster's answer: {document.get('errors')}"
        raise ValueError(message)  # noqa: TRY004 - a wrong answer, not a wrong argument
    return data
