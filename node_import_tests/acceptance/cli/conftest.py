"""The command in a shell of its own, with and without settings."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from node_import.settings import Settings
from node_import.stack.environment import settings_environment
from node_import_tests.support.command_line import CommandLine, TypedTenant


@pytest.fixture
def bare_cli(tmp_path: Path) -> CommandLine:
    """The command with nothing configured, in an empty folder."""
    return CommandLine(tmp_path, {})


@pytest.fixture
def cli(settings: Settings, tmp_path: Path) -> CommandLine:
    """The command in a shell that knows this test's services."""
    return CommandLine(tmp_path, settings_environment(settings))


@pytest.fixture
def tenant(cli: CommandLine, unique_name: Callable[[str], str]) -> TypedTenant:
    """A new domain and group; its topic is nobody else's."""
    domain = cli.document("domain", "add", unique_name("acme"))
    return TypedTenant(domain, cli.document("group", "add", domain["name"], "members"))
