"""Which ports a stack takes."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from node_import.stack.layout import Layout
from node_import.stack.ports import (
    FIRST_CLIENT_PORT,
    LOOPBACK,
    Ports,
    choose_ports,
    free_port,
    is_free,
    remember_ports,
    remembered_ports,
)
from node_import_tests.support.ports import random_ports


@pytest.fixture
def taken_port() -> Iterator[int]:
    """A port on which somebody listens."""
    with socket.socket() as listener:
        listener.bind((LOOPBACK, random_ports().s3))
        listener.listen()
        yield listener.getsockname()[1]


def test_taken_port_is_not_free(taken_port: int) -> None:
    """A listener is noticed."""
    assert not is_free(taken_port)


def test_next_port_is_taken_instead(taken_port: int) -> None:
    """The search goes upwards from the wanted port and stays below the client ports."""
    assert taken_port < free_port(taken_port) < FIRST_CLIENT_PORT


def test_only_the_taken_port_moves(taken_port: int) -> None:
    """A service whose port is taken gets another, the others keep theirs."""
    free = random_ports()
    wanted = Ports(taken_port, free.postgres, free.s3, free.code_location)
    chosen = choose_ports(wanted)
    assert chosen.webserver != taken_port
    assert (chosen.postgres, chosen.s3, chosen.code_location) == (
        wanted.postgres,
        wanted.s3,
        wanted.code_location,
    )


def test_no_two_services_share_a_port() -> None:
    """Even when all want the same one."""
    port = random_ports().webserver
    chosen = choose_ports(Ports(port, port, port, port))
    assert len(set(chosen.by_name().values())) == 4


def test_ports_are_remembered(tmp_path: Path) -> None:
    """The next start asks for the ports of this one."""
    layout = Layout(tmp_path)
    remember_ports(layout, Ports(3001, 5433, 9001, 4001))
    assert remembered_ports(layout) == Ports(3001, 5433, 9001, 4001)


@pytest.mark.parametrize("text", ["", "[]", '{"webserver": 1, "unknown": 2}', "not JSON"])
def test_damaged_memory_means_well_known_ports(tmp_path: Path, text: str) -> None:
    """Ports are a convenience: a damaged file is no error."""
    Layout(tmp_path).ports_file.write_text(text)
    assert remembered_ports(Layout(tmp_path)) == Ports()
