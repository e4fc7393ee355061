"""The dry run."""

from __future__ import annotations

import gzip
import io

import pytest

from node_import.parsing import check
from node_import.parsing.check import check_file
from node_import.parsing.reference_tally import ReferenceTally
from node_import.parsing.rules import ParseRules


def test_document() -> None:
    """The fields of the contract, and nothing else."""
    data = b"userName;id;type\na;r1;\nb;r2;user\nc;r1;\n;;\nd;r3;what\ne\n"
    assert check_file(io.BytesIO(gzip.compress(data))).as_document() == {
        "rows": 6,
        "accepted": 3,
        "rejected": 3,
        "duplicates": 1,
        "columns": ["user_name", "id", "type"],
        "referenceColumn": "id",
        "delimiter": ";",
        "rejects": {"MISSING_REFERENCE_ID": 1, "INVALID_TYPE": 1, "COLUMN_COUNT_MISMATCH": 1},
        "error": None,
    }


def test_an_error_is_an_answer() -> None:
    """What is wrong with the file as a whole is in the document, not raised."""
    document = check_file(io.BytesIO(b"name\n")).as_document()
    assert document["error"] == {
        "code": "NO_REFERENCE_COLUMN",
        "message": "The header has no reference column;"
        " name one of its columns reference_id, ref_id, external_id, id.",
    }


def test_an_error_in_the_middle() -> None:
    """A file with too many rejects has an error."""
    result = check_file(io.BytesIO(b"id\n \n \nr\n"), ParseRules(max_rejects=1))
    assert result.error is not None
    assert result.error.code == "TOO_MANY_REJECTS"


def test_progress() -> None:
    """Reported in raw bytes, ascending to the file's size."""
    data = gzip.compress(b"id\n" + b"".join(b"r%d\n" % n for n in range(1_000)))
    seen: list[int] = []
    check_file(io.BytesIO(data), ParseRules(block_bytes=500), on_progress=seen.append)
    assert len(seen) > 5
    assert seen == sorted(seen)
    assert seen[-1] == len(data)


def test_duplicates_are_of_trimmed_good_rows() -> None:
    """White space around a reference does not make another one; bad rows do not count."""
    result = check_file(io.BytesIO(b"id,type\nr1,\n r1 ,\nr1,bad\nR1,\n"))
    assert (result.accepted, result.duplicates) == (3, 1)


def test_many_references_are_counted_on_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    """Past a limit they are counted part by part; the number is the same."""
    data = b"id\n" + b"".join(b"r%d\n" % (n % 700) for n in range(1_000))
    assert check_file(io.BytesIO(data)).duplicates == 300
    monkeypatch.setattr(check, "ReferenceTally", lambda: ReferenceTally(100))
    assert check_file(io.BytesIO(data), ParseRules(block_bytes=600)).duplicates == 300
