"""What a command does with terminals and pipes."""

from __future__ import annotations

import os
import pty
import subprocess
from pathlib import Path

import pytest

from node_import_tests.support.command_line import COMMAND, CommandLine


@pytest.fixture
def users(bare_cli: CommandLine) -> Path:
    """A clean file."""
    path = bare_cli.folder / "users.csv"
    path.write_text("id,name\n" + "".join(f"{n},name {n}\n" for n in range(1_000)))
    return path


def test_progress_is_drawn_on_a_terminal(bare_cli: CommandLine, users: Path) -> None:
    """On standard error, so that standard output stays a document."""
    ours, theirs = pty.openpty()
    done = subprocess.run(
        [COMMAND, "check", users, "--json"],
        stdout=subprocess.PIPE,
        stderr=theirs,
        env=bare_cli.environment(TERM="xterm"),
        check=True,
        timeout=60,
    )
    os.close(theirs)
    assert b"checking users.csv" in os.read(ours, 100_000)
    os.close(ours)
    assert done.stdout.startswith(b"{\n")


def test_no_progress_is_drawn_into_a_pipe(bare_cli: CommandLine, users: Path) -> None:
    """A log file holds no bars, even where a user forces colours."""
    assert bare_cli("check", users, FORCE_COLOR="1", TTY_COMPATIBLE="1").err == ""


def test_a_reader_that_leaves_is_no_error_to_read_of(bare_cli: CommandLine) -> None:
    """`node-import … | head -1` says nothing of broken pipes."""
    for command in (["--help"], ["check", "-", "--json"]):
        ours, theirs = os.pipe()
        os.close(ours)
        done = subprocess.run(
            [COMMAND, *command],
            input=b"id\n1\n",
            stdout=theirs,
            stderr=subprocess.PIPE,
            env=bare_cli.environment(),
            check=False,
            timeout=60,
        )
        os.close(theirs)
        assert done.stderr == b""
