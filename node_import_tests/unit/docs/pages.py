"""The documents that people read, and what is shown in them as code."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[3]
_TOP_LEVEL = ("README.md", "CHANGELOG.md", "docker/README.md")
PAGES = [*(ROOT / name for name in _TOP_LEVEL), *sorted((ROOT / "docs").rglob("*.md"))]

_BLOCK = re.compile(r"^```(?P<kind>\w*)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL)
_SHELL = {"console", "sh", "bash", "shell"}


@dataclass(frozen=True, slots=True)
class Block:
    """A fenced block of a page."""

    kind: str
    text: str


def text_of(page: Path) -> str:
    """The page as it stands."""
    return page.read_text(encoding="utf-8")


def blocks_of(page: Path) -> list[Block]:
    """The fenced blocks of a page, in order."""
    return [Block(match["kind"], match["text"]) for match in _BLOCK.finditer(text_of(page))]


def prose_of(page: Path) -> str:
    """The page without its fenced blocks."""
    return _BLOCK.sub("", text_of(page))


def commands_of(page: Path) -> list[str]:
    """What a reader types: in a `console` block the lines behind `$`, in a `sh` block all lines.

    A line that ends in a backslash goes on in the next one; comments are left out.
    """
    commands: list[str] = []
    for block in blocks_of(page):
        if block.kind not in _SHELL:
            continue
        text = block.text.replace("\\\n", " ")
        for line in text.splitlines():
            if block.kind == "console" and not line.startswith("$ "):
                continue
            command = line.removeprefix("$ ").strip()
            if command and not command.startswith("#"):
                commands.append(command)
    return commands


def name_of(page: Path) -> str:
    """Its path in the checkout, for messages and test ids."""
    return str(page.relative_to(ROOT))
