"""What the documents tell a reader to type can be typed."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer.main

from node_import.cli.app import app
from node_import_tests.unit.docs.pages import PAGES, ROOT, commands_of, name_of, text_of

_ENDS_A_COMMAND = {"|", "||", "&", "&&", ";", "<", ">", "2>", ")"}


def every_command(command: Any = None, path: tuple[str, ...] = ()) -> Iterator[tuple[str, Any]]:
    """Each command that does something, by its words, such as `jobs list`."""
    command = command or typer.main.get_command(app)
    children = getattr(command, "commands", None)
    if children is None:
        yield " ".join(path), command
    for name, child in (children or {}).items():
        yield from every_command(child, (*path, name))


COMMANDS = dict(every_command())
TYPED = [
    pytest.param(page, command, id=f"{name_of(page)}: {command[:60]}")
    for page in PAGES
    for command in commands_of(page)
    if "node-import " in command
]


def arguments_of(command: str) -> list[str]:
    """The words behind `node-import`, up to a pipe or the end."""
    words = shlex.split(command.replace("$(", " ").replace(")", " ) "), comments=True)
    words = words[words.index("node-import") + 1 :]
    end = next((at for at, word in enumerate(words) if word in _ENDS_A_COMMAND), len(words))
    return words[:end]


@pytest.mark.parametrize(("page", "command"), TYPED)
def test_a_command_that_is_shown_exists_with_its_options(page: Path, command: str) -> None:
    """No page shows a command or an option that was renamed."""
    words = arguments_of(command)
    name = next((" ".join(words[:n]) for n in (2, 1) if " ".join(words[:n]) in COMMANDS), None)
    assert name is not None, f"{name_of(page)} shows a command that does not exist: {command}"
    known = {option for one in COMMANDS[name].params for option in one.opts} | {"--help"}
    used = {word.partition("=")[0] for word in words if word.startswith("--")}
    assert used <= known


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_the_readme_shows_every_command(name: str) -> None:
    """In a block that can be copied, or in the table of commands."""
    assert f"node-import {name}" in text_of(ROOT / "README.md")


def test_make_targets_that_are_shown_exist() -> None:
    """`make demo` and its like."""
    targets = set(re.findall(r"^([a-z-]+):.*## ", text_of(ROOT / "Makefile"), re.MULTILINE))
    shown = {
        target
        for page in PAGES
        for target in re.findall(r"(?:^\$ |`|&& )make ([a-z-]+)", text_of(page), re.MULTILINE)
    }
    assert shown
    assert shown <= targets
