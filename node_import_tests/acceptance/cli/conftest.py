"""The installed `node-import` command, run as a user runs it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from node_import.settings import Settings
from node_import.stack.environment import settings_environment

COMMAND = Path(sys.executable).with_name("node-import")


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a command ended and what it said."""

    status: int
    out: str
    err: str

    @property
    def document(self) -> Any:
        """The one document on standard output."""
        return json.loads(self.out)


class CommandLine:
    """A shell: a working directory, variables, and the command."""

    def __init__(self, folder: Path, variables: dict[str, str]) -> None:
        self.folder = folder
        self.variables = variables

    def __call__(self, *arguments: object, stdin: str | bytes = b"", **variables: str) -> Outcome:
        """Type `node-import …` and wait for its end. No traceback may ever show."""
        inherited = {k: v for k, v in os.environ.items() if not k.startswith("NODE_IMPORT_")}
        done = subprocess.run(
            [COMMAND, *map(str, arguments)],
            input=stdin.encode() if isinstance(stdin, str) else stdin,
            capture_output=True,
            cwd=self.folder,
            env={**inherited, **self.variables, **variables},
            timeout=120,
            check=False,
        )
        outcome = Outcome(done.returncode, done.stdout.decode(), done.stderr.decode())
        assert "Traceback" not in outcome.err
        return outcome

    def document(self, *arguments: object, **more: Any) -> Any:
        """The document of a command that does what it was asked."""
        outcome = self(*arguments, "--json", **more)
        assert outcome.status == 0, outcome.err
        return outcome.document

    def refusal(self, *arguments: object, status: int = 2, **more: Any) -> str:
        """The one line with which a command refuses."""
        outcome = self(*arguments, **more)
        assert outcome.status == status, outcome
        assert outcome.out == ""
        return outcome.err


@pytest.fixture
def bare_cli(tmp_path: Path) -> CommandLine:
    """The command with nothing configured, in an empty folder."""
    return CommandLine(tmp_path, {})


@pytest.fixture
def cli(settings: Settings, tmp_path: Path) -> CommandLine:
    """The command in a shell that knows this test's services."""
    return CommandLine(tmp_path, settings_environment(settings))


@dataclass(frozen=True, slots=True)
class Tenant:
    """A domain with one group, as documents."""

    domain: dict[str, Any]
    group: dict[str, Any]

    @property
    def topic(self) -> str:
        return f"{self.domain['name']}-users"

    @property
    def options(self) -> tuple[str, ...]:
        """The options of `submit` that name it."""
        return ("--domain", self.domain["name"], "--group", self.group["name"])


@pytest.fixture
def tenant(cli: CommandLine, unique_name: Callable[[str], str]) -> Tenant:
    """A new domain and group; its topic is nobody else's."""
    domain = cli.document("domain", "add", unique_name("acme"))
    return Tenant(domain, cli.document("group", "add", domain["name"], "members"))
