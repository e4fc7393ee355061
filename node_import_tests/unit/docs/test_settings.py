"""The page of settings is made from the code."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from node_import.settings import PREFIX, Settings
from node_import_tests.generate_docs import SETTINGS_PAGE, generated_parts, with_parts
from node_import_tests.unit.docs.pages import PAGES, name_of, text_of

# Read outside `Settings`, and explained on the page by hand.
OTHERS = {"SECRETS_DIR", "DATA_DIR", "DEBUG"}


def test_generated_parts_are_fresh() -> None:
    """`make docs` would change nothing."""
    for path, parts in generated_parts().items():
        text = text_of(path)
        assert with_parts(text, parts) == text, f"{name_of(path)} is stale: run `make docs`"


def test_every_setting_is_on_its_page() -> None:
    """With what it means."""
    page = text_of(SETTINGS_PAGE)
    rows = dict(re.findall(rf"^\| `{PREFIX}(\w+)` \| .* \| (.+) \|$", page, re.MULTILINE))
    assert rows.keys() == {name.upper() for name in Settings.model_fields}


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_settings_that_a_page_names_exist(page: Path) -> None:
    """None that was renamed or never came."""
    known = {name.upper() for name in Settings.model_fields} | OTHERS
    named = set(re.findall(rf"{PREFIX}([A-Z][A-Z0-9_]*[A-Z0-9])", text_of(page)))
    assert named <= known


def test_a_page_without_markers_is_refused() -> None:
    """A part that has nowhere to go is an error, not silence."""
    with pytest.raises(ValueError, match="settings"):
        with_parts("no markers here", {"settings": "a table"})
