"""What goes to standard output."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from uuid import UUID

import pytest

from node_import.cli.output import print_document, print_table, printable


def test_documents_are_utf8_json(capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    """UUIDs as text, times as ISO 8601, bytes as base64, and every character of Unicode."""
    job_id = UUID("3f0c4a7e-58c5-5a61-8f4e-d8a0e0a4b1c2")
    moment = datetime(2024, 12, 12, 9, 30, 0, 123000, tzinfo=UTC)
    print_document({"id": job_id, "at": moment, "raw": b"\x00\xff", "名": "ü\ud800", "no": None})
    out = capfdbinary.readouterr().out
    assert "名".encode() in out
    assert json.loads(out) == {
        "id": str(job_id),
        "at": "2024-12-12T09:30:00.123000+00:00",
        "raw": "AP8=",
        "名": "ü\ud800",
        "no": None,
    }


def test_what_is_no_json_is_an_error() -> None:
    """A document is never made of representations."""
    with pytest.raises(TypeError, match="object"):
        print_document({"what": object()})


def test_tables_keep_long_values_whole(capsys: pytest.CaptureFixture[str]) -> None:
    """Ids can be copied, and a pipe has no width; nothing is drawn around, nothing trails."""
    long = "x" * 120
    print_table(("NAME", "COUNT", "OK"), [(long, 1_234, True), ("[b]y[/b]", None, False)])
    assert capsys.readouterr().out.splitlines() == [
        f"{'NAME':120}  COUNT  OK",
        f"{long}  1,234  yes",
        f"{'[b]y[/b]':120}  –      no",
    ]


def test_control_characters_are_spelled_out() -> None:
    """Names from strangers cannot steer a terminal; other scripts stay readable."""
    assert printable("a\x1b[2J\x07\r\u202e\x9b\nü名") == "a\\x1b[2J\\x07\\r\\u202e\\x9b\nü名"
