"""An operator finds every code that the importer may say."""

from __future__ import annotations

import re

from node_import.contracts.error_codes import ErrorCode
from node_import_tests.unit.docs.pages import ROOT, text_of

_ROW = re.compile(r"^\| `([A-Z_0-9]+)` \| (\S.*) \| (\S.*) \|$", re.MULTILINE)


def test_every_code_is_explained_once_with_what_to_do() -> None:
    """What happened, and what to do, in one of the tables of `docs/operations.md`."""
    rows = _ROW.findall(text_of(ROOT / "docs" / "operations.md"))
    codes = [code for code, _, _ in rows if code in set(ErrorCode)]
    assert sorted(codes) == sorted(ErrorCode)
