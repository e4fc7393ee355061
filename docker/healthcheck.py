#!/usr/bin/env python
"""Is this container well? `healthcheck [ROLE]`; exit code 0: yes.

By default the role is that which the entry point began as. Each is asked in its own way.

webserver      its own page answers
code-location  gRPC's health service says SERVING (a twentieth of the CPU that
               `dagster api grpc-health-check` takes, which imports Dagster each time)
daemon         `dagster-daemon liveness-check`: every daemon has a fresh heartbeat in the database
               (it imports Dagster, so ask once a minute or less)
anything else  a one-shot command is well as long as it runs
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import urllib.request
from pathlib import Path

SECONDS = 5


def role() -> str:
    """What the caller says, or what the entry point began as."""
    if len(sys.argv) > 1:
        return sys.argv[1]
    try:
        return (Path(tempfile.gettempdir()) / "node-import.role").read_text("ascii").strip()
    except OSError:
        return ""


def webserver() -> bool:
    """The page that load balancers ask for."""
    url = f"http://127.0.0.1:{os.environ['WEBSERVER_LISTEN_PORT']}/server_info"
    with urllib.request.urlopen(url, timeout=SECONDS) as answer:
        return bool(answer.status == 200)


def code_location() -> bool:
    """Dagster registers itself under this name with gRPC's health service."""
    import grpc
    from grpc_health.v1 import health_pb2, health_pb2_grpc

    with grpc.insecure_channel(f"127.0.0.1:{os.environ['CODE_LOCATION_LISTEN_PORT']}") as channel:
        request = health_pb2.HealthCheckRequest(service="DagsterApi")
        answer = health_pb2_grpc.HealthStub(channel).Check(request, timeout=SECONDS)
    return bool(answer.status == health_pb2.HealthCheckResponse.SERVING)


def daemon() -> bool:
    """By way of the entry point, which knows where Dagster's database is."""
    entry_point = Path(__file__).with_name("entrypoint")
    done = subprocess.run([entry_point, "dagster-daemon", "liveness-check"], check=False)
    return done.returncode == 0


CHECKS = {"webserver": webserver, "code-location": code_location, "daemon": daemon}


def main() -> int:
    """One line on standard error says what is wrong; `docker inspect` shows it."""
    check = CHECKS.get(role())
    if check is None:
        return 0
    try:
        well = check()
    except Exception as error:  # noqa: BLE001 - whatever it is, the answer is no
        sys.stderr.write(f"{type(error).__name__}: {error}\n")
        return 1
    return 0 if well else 1


if __name__ == "__main__":
    sys.exit(main())
