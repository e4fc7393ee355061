"""Links lead somewhere, and no page speaks of one machine."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from node_import_tests.unit.docs.pages import PAGES, name_of, prose_of, text_of

_LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
_CODE = re.compile(r"`[^`\n]*`")
_MACHINE = re.compile(r"(?<![\w.])/(?:tmp|work|root|home|Users|private)/\S*")


def links_of(page: Path) -> list[str]:
    """Targets inside the checkout."""
    targets = _LINK.findall(prose_of(page))
    return [target for target in targets if not re.match(r"[a-z]+:", target)]


def anchors_of(page: Path) -> set[str]:
    """The anchors that a page's headings get on GitHub."""
    headings = re.findall(r"^#+ (.+)$", prose_of(page), re.MULTILINE)
    lowered = (re.sub(r"[^\w\- ]", "", heading.lower()) for heading in headings)
    return {heading.replace(" ", "-") for heading in lowered}


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_links_lead_to_files_and_headings_that_exist(page: Path) -> None:
    """Relative links, with their anchors."""
    for target in links_of(page):
        path, _, anchor = target.partition("#")
        linked = (page.parent / path).resolve() if path else page
        assert linked.exists(), f"{target} leads nowhere"
        if anchor and linked.suffix == ".md":
            assert anchor in anchors_of(linked), f"{target} names no heading"


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_no_page_names_a_path_of_somebodys_machine(page: Path) -> None:
    """What a reader copies must work on another machine."""
    assert _MACHINE.findall(text_of(page)) == []


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_tables_have_as_many_cells_as_their_header(page: Path) -> None:
    """A bar that is not escaped would tear a row."""
    width = 0
    for line in prose_of(page).splitlines():
        cells = _CODE.sub("", line).replace("\\|", "").count("|") if line.startswith("|") else 0
        assert not (width and cells) or cells == width, line
        width = cells
