"""Pages that lead through an installation, as scripts: their commands, typed literally."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from node_import.stack.guardian import stop_group
from node_import.stack.python_process import environment_without_settings

ROOT = Path(__file__).parents[2]
SECONDS = 240.0


def section(page: str, heading: str) -> str:
    """What stands on the page below a heading of the second level."""
    text = (ROOT / page).read_text(encoding="utf-8")
    [found] = re.findall(
        rf"^## {re.escape(heading)}\n(.*?)(?=^## |\Z)", text, re.DOTALL | re.MULTILINE
    )
    return str(found)


def blocks(text: str, language: str) -> str:
    """All code blocks of a language, one after the other."""
    return "\n".join(re.findall(rf"^```{language}\n(.*?)^```", text, re.DOTALL | re.MULTILINE))


def typed(console: str) -> str:
    """The commands of a console: the lines behind a prompt, and those that go on from them."""
    lines, goes_on = [], False
    for line in console.splitlines():
        if goes_on or line.startswith("$ "):
            lines.append(line if goes_on else line.removeprefix("$ "))
            goes_on = line.endswith("\\")
    return "\n".join(lines)


def replaced(text: str, examples: Mapping[str, str]) -> str:
    """The text with this session's addresses and secrets in place of the page's examples."""
    for example, actual in examples.items():
        assert example in text, example
        text = text.replace(example, actual)
    return text


def follow(script: str, folder: Path, **variables: str) -> tuple[int, str, str]:
    """Type it all into a shell in `folder`, and end what it left running."""
    environment = {
        **environment_without_settings(),
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        # The cluster is full of other tests' topics.
        "NODE_IMPORT_REQUEST_TOPIC_PATTERN": "^(?P<domain>acme)-users$",
        **variables,
    }
    with (folder / "out").open("w") as out, (folder / "err").open("w") as err:
        shell = subprocess.Popen(
            ["bash", "-euo", "pipefail", "-c", script],
            cwd=folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=err,
            start_new_session=True,
        )
        try:
            status = shell.wait(SECONDS)
        finally:
            stop_group(shell.pid, signal.SIGTERM, 20, reap=shell.poll)
    return status, (folder / "out").read_text(), (folder / "err").read_text()
