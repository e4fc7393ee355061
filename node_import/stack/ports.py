"""Which loopback ports the stack listens on.

A service takes the port of last time, else its well-known one, else the next free one. All lie
below 32768: above it are the ports that the system gives to clients, and there a client that
retries a dead port can connect to itself.
"""

from __future__ import annotations

import json
import socket
from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from itertools import chain

from node_import.errors import UsageError
from node_import.stack.layout import Layout, write_private

LOOPBACK = "127.0.0.1"
FIRST_CLIENT_PORT = 32768
LOWEST_PORT = 1024


@dataclass(frozen=True, slots=True)
class Ports:
    """The ports of one stack; Kafka's is not here, librdkafka picks it at every start."""

    webserver: int = 3000
    postgres: int = 5432
    s3: int = 9000
    code_location: int = 4000

    def by_name(self) -> dict[str, int]:
        """Service → port."""
        return asdict(self)


def is_free(port: int) -> bool:
    """Whether a server can listen on this loopback port now.

    Asks twice, because on macOS a bind to 127.0.0.1 succeeds beside a listener on all addresses.
    """
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.settimeout(1)
        if probe.connect_ex((LOOPBACK, port)) == 0:
            return False
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((LOOPBACK, port))
        except OSError:
            return False
    return True


def free_port(start: int, taken: Iterable[int] = ()) -> int:
    """The first free port from `start` on, none of `taken`."""
    refused = set(taken)
    for port in chain(range(start, FIRST_CLIENT_PORT), range(LOWEST_PORT, start)):
        if port not in refused and is_free(port):
            return port
    message = "no loopback port below 32768 is free"
    raise UsageError(message)


def choose_ports(wanted: Ports) -> Ports:
    """`wanted`, with the next free port in place of each that is taken."""
    chosen = wanted
    for name, port in wanted.by_name().items():
        others = [other for key, other in chosen.by_name().items() if key != name]
        chosen = replace(chosen, **{name: free_port(port, others)})
    return chosen


def remembered_ports(layout: Layout) -> Ports:
    """The ports of the last time, or the well-known ones."""
    try:
        return Ports(**json.loads(layout.ports_file.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return Ports()


def remember_ports(layout: Layout, ports: Ports) -> None:
    """For the next start."""
    write_private(layout.ports_file, json.dumps(ports.by_name()))
