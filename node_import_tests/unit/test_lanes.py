"""Several suites of the tests on real services at a time."""

from __future__ import annotations

import pytest

from node_import_tests.services.lanes import run_side_by_side


def test_a_failed_suite_is_told_of_at_the_very_end(capfd: pytest.CaptureFixture[str]) -> None:
    """Who sees only the end of a long log sees what failed, though another suite ended later."""
    failing = ["sh", "-c", "echo what went wrong; exit 3"]
    passing = ["sh", "-c", "sleep 1; echo all is well"]

    codes = run_side_by_side([("one", failing), ("other", passing)])

    assert sorted(codes) == [0, 3]
    printed = capfd.readouterr().out.splitlines()
    assert printed[-1] == "what went wrong"
    assert "all is well" in printed
