"""Every command explains itself, by example, and is in the README."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import typer.main

from node_import.cli.app import app
from node_import_tests.support.command_line import CommandLine

if TYPE_CHECKING:
    from collections.abc import Iterator


README = Path(__file__).parents[3] / "README.md"


def commands(command: Any = None, path: tuple[str, ...] = ()) -> Iterator[str]:
    """The names of all commands, such as `jobs list`."""
    command = command or typer.main.get_command(app)
    children = getattr(command, "commands", None)
    if children is None:
        yield " ".join(path)
    for name, child in sorted((children or {}).items()):
        yield from commands(child, (*path, name))


EVERY_COMMAND = list(commands())


def test_the_commands_are_those_of_the_contract() -> None:
    """No command is missing."""
    wanted = {"stack up", "stack down", "stack env", "demo", "migrate", "domain add"}
    wanted |= {"domain list", "group add", "submit", "check", "jobs list", "jobs show"}
    wanted |= {"jobs watch", "dlq list", "dlq show", "dlq replay", "backfill"}
    assert wanted <= set(EVERY_COMMAND)


@pytest.mark.parametrize("command", EVERY_COMMAND)
def test_help_teaches_by_example(bare_cli: CommandLine, command: str) -> None:
    """What it does, an example that can be typed, and `--json`; with nothing configured."""
    outcome = bare_cli(*command.split(), "--help")
    assert outcome.status == 0
    assert re.search(r"Examples?:\n +\S.*", outcome.out)
    assert f"node-import {command}" in outcome.out
    assert "--json" in outcome.out


@pytest.mark.parametrize("command", EVERY_COMMAND)
def test_the_readme_knows_every_command(command: str) -> None:
    """A command that nobody reads of does not exist."""
    assert f"node-import {command}" in README.read_text(encoding="utf-8")


def test_without_a_command_there_is_help(bare_cli: CommandLine) -> None:
    """Exit code 2: nothing was asked for."""
    outcome = bare_cli()
    assert outcome.status == 2
    assert "node-import demo" in outcome.out + outcome.err


def test_an_unknown_command_is_wrong_usage(bare_cli: CommandLine) -> None:
    """It is named."""
    assert "frobnicate" in bare_cli.refusal("frobnicate")


def test_missing_settings_are_named_in_one_line(bare_cli: CommandLine) -> None:
    """All of them at once, and how to get a working set."""
    said = bare_cli.refusal("domain", "list")
    assert "NODE_IMPORT_POSTGRES_DSN" in said
    assert "NODE_IMPORT_KAFKA_BOOTSTRAP_SERVERS" in said
    assert "node-import stack" in said
    assert len(said.splitlines()) == 1


def test_the_command_starts_without_the_heavy_packages(bare_cli: CommandLine) -> None:
    """Help must not wait for polars, boto3, confluent-kafka or dagster."""
    outcome = bare_cli("--help", PYTHONPROFILEIMPORTTIME="1")
    imported = {line.rpartition("|")[2].strip() for line in outcome.err.splitlines()}
    assert "typer" in imported
    assert not imported & {"polars", "boto3", "confluent_kafka", "dagster", "psycopg", "pydantic"}
