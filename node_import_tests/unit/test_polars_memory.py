"""What polars' allocator is told."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from node_import.polars_memory import VARIABLE, configure_allocator


def test_polars_is_told_before_it_is_imported() -> None:
    """In a process that imports the package, what it asks for stands behind polars' own options."""
    program = f"import node_import.loading.loader, os; print(os.environ['{VARIABLE}'])"
    environment = {name: text for name, text in os.environ.items() if name != VARIABLE}

    done = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        check=True,
        env=environment,
    )

    decays = [option for option in done.stdout.strip().split(",") if "dirty" in option]
    assert decays[-1] == "dirty_decay_ms:2000"
    assert len(decays) == 2, "polars' own option comes first; it was imported before ours"


@pytest.mark.parametrize("given", ["dirty_decay_ms:0", "thp:always"])
def test_an_operators_own_options_come_last(given: str) -> None:
    """Of two options with one name jemalloc takes the last, so an operator's overrule ours."""
    environment = {VARIABLE: given}

    configure_allocator(environment)

    assert environment[VARIABLE].endswith("," + given)
    assert "narenas:" in environment[VARIABLE]


def test_a_child_does_not_add_them_again() -> None:
    """A process that is started by one that has done this leaves the variable as it is."""
    environment: dict[str, str] = {}
    configure_allocator(environment)
    told = environment[VARIABLE]

    configure_allocator(environment)

    assert environment[VARIABLE] == told
