"""The two objects of rejected records."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from node_import.parsing import block_parser, reject_file
from node_import.parsing.check import check_file
from node_import.parsing.reject_file import RejectFile, reject_file_at
from node_import.parsing.rules import ParseRules
from node_import_tests.unit.parsing.reading import read_whole

DATA = b'\xef\xbb\xbf\nid;"a"\r\nr1;x\n;y\r\nr2\nr3;"x\nr4;\xff\n\nr5;"z\n;" l1\nl2 "\nr6;\0'
REJECTED = b'id;"a"\r\n' + b";y\r\n" + b"r2\n" + b'r3;"x\n' + b"r4;\xff\n" + b'r5;"z\n' + b"r6;\0"


class Objects:
    """Two objects in memory, which know whether they were ever begun."""

    def __init__(self) -> None:
        self.written: dict[str, bytes] = {}

    @contextmanager
    def open(self, name: str) -> Iterator[io.BytesIO]:
        buffer = io.BytesIO()
        yield buffer
        self.written[name] = buffer.getvalue()

    def reject_file(self) -> RejectFile:
        return RejectFile(lambda: self.open("records"), lambda: self.open("reasons"), "the-url")


def reject(data: bytes, **rules: object) -> tuple[Objects, str | None]:
    objects = Objects()
    with objects.reject_file() as rejects:
        result = check_file(
            io.BytesIO(data),
            ParseRules(**rules),  # type: ignore[arg-type]
            rejects=rejects,
        )
    return objects, result.rejects_url


def test_records_stand_under_their_header() -> None:
    """Byte for byte, in file order, without the byte-order mark and the empty lines."""
    data = DATA.replace(b'\n;" l1\nl2 "', b'\nr7;" l1\nl2 "')
    for block_bytes in (1, 64, 1_000):
        objects, url = reject(data, block_bytes=block_bytes)
        assert objects.written["records"] == REJECTED
        assert url == "the-url"


def test_reasons_are_json_lines() -> None:
    """One a record, in the same order, in UTF-8."""
    objects, _ = reject("id,type,größe\nr1,ж,1\n,,x\n".encode())
    assert [json.loads(line) for line in objects.written["reasons"].splitlines()] == [
        {
            "line": 2,
            "code": "INVALID_TYPE",
            "column": "type",
            "message": "The type 'ж' is none of USER, PRODUCT, RESOURCE.",
        },
        {
            "line": 3,
            "code": "MISSING_REFERENCE_ID",
            "column": "id",
            "message": "The row has no reference: its id is empty.",
        },
    ]
    assert "ж".encode() in objects.written["reasons"]


@pytest.mark.parametrize("data", [b"id\nr1\n", b"id\n", b"name\n", b""])
def test_nothing_is_made_without_rejects(data: bytes) -> None:
    """Neither object is begun, and there is no URL."""
    objects, url = reject(data)
    assert objects.written == {}
    assert url is None


def test_a_corrected_reject_file_can_be_imported() -> None:
    """It is a file of the same header; submitted as it is, it rejects the same rows."""
    objects, _ = reject(b"id,a\nr1,x\nr2\n,y\nr4,\xff\n")
    again = read_whole(objects.written["records"])
    assert [code for _, code in again.codes] == [
        "COLUMN_COUNT_MISMATCH",
        "MISSING_REFERENCE_ID",
        "INVALID_UTF8",
    ]


def test_records_too_long_to_be_held(monkeypatch: pytest.MonkeyPatch) -> None:
    """They are spooled piece by piece and stand in their place."""
    monkeypatch.setattr(block_parser, "HELD_BYTES", 64)
    monkeypatch.setattr(reject_file, "_HELD_BYTES", 10)
    long = b"x" * 1_000 + b"\n"
    objects, _ = reject(b"id\n \n" + long + b"r1\n \n", max_record_bytes=32, block_bytes=16)
    assert objects.written["records"] == b"id\n \n" + long + b" \n"
    assert len(objects.written["reasons"].splitlines()) == 3


def test_a_record_without_its_end_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that breaks within a long record: it is no row, so it is in no reject file."""
    monkeypatch.setattr(block_parser, "HELD_BYTES", 64)
    objects, _ = reject(
        b"id\n \n" + b"x" * 1_000, max_record_bytes=32, block_bytes=16, max_decompressed_bytes=500
    )
    assert objects.written["records"] == b"id\n \n"
    assert len(objects.written["reasons"].splitlines()) == 1


def test_on_this_machines_disk(tmp_path: Path) -> None:
    """The reasons lie beside the records."""
    with reject_file_at(tmp_path / "bad.csv") as rejects:
        result = check_file(io.BytesIO(b"id\n \n"), rejects=rejects)
    assert result.rejects_url == str(tmp_path / "bad.csv")
    assert (tmp_path / "bad.csv").read_bytes() == b"id\n \n"
    assert json.loads((tmp_path / "bad.csv.reasons.jsonl").read_text())["line"] == 2
