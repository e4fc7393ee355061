"""The installed `node-import` command, run as a user runs it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

COMMAND = Path(sys.executable).with_name("node-import")
PATIENCE = 240.0  # seconds


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

    def __init__(self, folder: Path, variables: Mapping[str, str]) -> None:
        self.folder = folder
        self.variables = dict(variables)

    def __call__(self, *arguments: object, stdin: str | bytes = b"", **variables: str) -> Outcome:
        """Type `node-import …` and wait for its end. No traceback may ever show."""
        done = subprocess.run(
            [COMMAND, *map(str, arguments)],
            input=stdin.encode() if isinstance(stdin, str) else stdin,
            capture_output=True,
            cwd=self.folder,
            env=self.environment(**variables),
            timeout=PATIENCE,
            check=False,
        )
        outcome = Outcome(done.returncode, done.stdout.decode(), done.stderr.decode())
        assert "Traceback" not in outcome.err
        return outcome

    def environment(self, **variables: str) -> dict[str, str]:
        """What the command sees: no setting of the developer's own shell."""
        inherited = {k: v for k, v in os.environ.items() if not k.startswith("NODE_IMPORT_")}
        return {**inherited, **self.variables, **variables}

    def document(self, *arguments: object, **more: Any) -> Any:
        """The document of a command that does what it was asked."""
        outcome = self(*arguments, "--json", **more)
        assert outcome.status == 0, outcome.err
        return outcome.document

    def refusal(self, *arguments: object, status: int = 2, **more: Any) -> str:
        """What a command that refuses says on standard error."""
        outcome = self(*arguments, **more)
        assert outcome.status == status, outcome
        assert outcome.out == ""
        return outcome.err


@dataclass(frozen=True, slots=True)
class TypedTenant:
    """A domain with one group, as the commands that made them printed them."""

    domain: dict[str, Any]
    group: dict[str, Any]

    @property
    def topic(self) -> str:
        """Where its requests go."""
        return f"{self.domain['name']}-users"

    @property
    def options(self) -> tuple[str, ...]:
        """The options of `submit` that name it."""
        return ("--domain", self.domain["name"], "--group", self.group["name"])
