"""`node-import check`, with nothing configured."""

from __future__ import annotations

import gzip
import json
import re
from pathlib import Path
from typing import Any

import pytest

from node_import_tests.support.command_line import CommandLine

CLEAN = b"reference_id;Full Name;userID\n1;\xc3\x85sa;x\n2;Bo;y\n1;Cy;z\n"
DIRTY = b"id,name\n1,one\n,nobody\n2,two,three\n3,M\xfcller\n4,four\n"


def test_a_clean_file_is_told_of_and_exits_0(bare_cli: CommandLine) -> None:
    """Rows, columns and delimiter, as one document."""
    (bare_cli.folder / "users.csv").write_bytes(CLEAN)
    assert bare_cli.document("check", "users.csv") == {
        "rows": 3,
        "accepted": 3,
        "rejected": 0,
        "duplicates": 1,
        "columns": ["reference_id", "full_name", "user_id"],
        "referenceColumn": "reference_id",
        "delimiter": ";",
        "rejects": {},
        "error": None,
    }


def test_a_file_with_rejects_exits_1(bare_cli: CommandLine) -> None:
    """Rejects by code; gzip is told by content, whatever the name."""
    (bare_cli.folder / "users.csv").write_bytes(gzip.compress(DIRTY))
    outcome = bare_cli("check", "users.csv", "--json")
    assert outcome.status == 1
    assert outcome.document["rejects"] == {
        "MISSING_REFERENCE_ID": 1,
        "COLUMN_COUNT_MISMATCH": 1,
        "INVALID_UTF8": 1,
    }


def test_rejects_become_two_files(bare_cli: CommandLine) -> None:
    """The rejected rows byte for byte under the header, and beside them the reason of each."""
    (bare_cli.folder / "users.csv").write_bytes(DIRTY)
    bare_cli("check", "users.csv", "--rejects", "bad.csv")
    rejected = (bare_cli.folder / "bad.csv").read_bytes()
    assert rejected == b"id,name\n,nobody\n2,two,three\n3,M\xfcller\n"
    reasons = (bare_cli.folder / "bad.csv.reasons.jsonl").read_text().splitlines()
    assert [(json.loads(line)["line"], json.loads(line)["code"]) for line in reasons] == [
        (3, "MISSING_REFERENCE_ID"),
        (4, "COLUMN_COUNT_MISMATCH"),
        (5, "INVALID_UTF8"),
    ]


def test_a_file_without_rejects_leaves_no_reject_file(bare_cli: CommandLine) -> None:
    """Not even that of an earlier check: it would be taken for this one's."""
    (bare_cli.folder / "users.csv").write_bytes(CLEAN)
    for name in ("bad.csv", "bad.csv.reasons.jsonl"):
        (bare_cli.folder / name).write_text("old")
    assert bare_cli("check", "users.csv", "--rejects", "bad.csv").status == 0
    assert [path.name for path in bare_cli.folder.iterdir()] == ["users.csv"]


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (b"", "EMPTY_FILE"),
        (b"name,mail\na,b\n", "NO_REFERENCE_COLUMN"),
        (b"id,ID\na,b\n", "DUPLICATE_HEADER"),
        (gzip.compress(DIRTY)[:-9], "CORRUPT_GZIP"),
        ("id\n1\n".encode("utf-16"), "UNSUPPORTED_ENCODING"),
    ],
    ids=["empty", "no reference", "one header twice", "cut gzip", "UTF-16"],
)
def test_a_file_that_cannot_be_read_has_an_error(
    bare_cli: CommandLine, content: bytes, code: str
) -> None:
    """The document names the code of the contract, and the exit code is 1."""
    (bare_cli.folder / "users.csv").write_bytes(content)
    outcome = bare_cli("check", "users.csv", "--json")
    assert outcome.status == 1
    assert outcome.document["error"]["code"] == code
    assert code in bare_cli("check", "users.csv").out


def test_limits_in_the_environment_count(bare_cli: CommandLine) -> None:
    """A check finds what an import with the same settings would find."""
    (bare_cli.folder / "users.csv").write_bytes(DIRTY)

    def code(**variables: str) -> str:
        error = bare_cli("check", "users.csv", "--json", **variables).document["error"]
        return str(error["code"])

    assert code(NODE_IMPORT_MAX_REJECTS="2") == "TOO_MANY_REJECTS"
    assert code(NODE_IMPORT_MAX_FILE_BYTES="10") == "FILE_TOO_LARGE"
    assert code(NODE_IMPORT_REFERENCE_COLUMNS="key") == "NO_REFERENCE_COLUMN"


def test_a_wrong_limit_is_wrong_usage(bare_cli: CommandLine) -> None:
    """The setting is named, and only it."""
    (bare_cli.folder / "users.csv").write_bytes(CLEAN)
    said = bare_cli.refusal("check", "users.csv", NODE_IMPORT_MAX_REJECTS="many")
    assert "NODE_IMPORT_MAX_REJECTS" in said
    assert "POSTGRES" not in said


def test_standard_input_and_fifos_are_files_too(bare_cli: CommandLine) -> None:
    """`-` and a pipe under a path, as a shell's `<(zcat …)`, are read to their end."""
    assert bare_cli.document("check", "-", stdin=gzip.compress(CLEAN))["rows"] == 3
    assert bare_cli.document("check", "/dev/stdin", stdin=CLEAN)["rows"] == 3


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["missing.csv"], "missing.csv"),
        (["."], "folder"),
        (["users.csv", "--rejects", "users.csv"], "must not name the file"),
        (["users.csv", "--rejects", "nowhere/bad.csv"], "nowhere/bad.csv"),
        (["users.csv", "--rejects", "."], "must be a file"),
        ([], "FILE"),
        (["users.csv", "other.csv"], "other.csv"),
    ],
)
def test_wrong_usage_exits_2(bare_cli: CommandLine, arguments: list[str], said: str) -> None:
    """Before anything is read, and with a line that says what was wrong."""
    (bare_cli.folder / "users.csv").write_bytes(CLEAN)
    assert said in bare_cli.refusal("check", *arguments)
    assert (bare_cli.folder / "users.csv").read_bytes() == CLEAN


def test_an_object_is_checked_where_it_lies(cli: CommandLine, s3_client: Any, bucket: str) -> None:
    """A URL of the configured store is read as an import would read it."""
    s3_client.put_object(Bucket=bucket, Key="users.csv", Body=CLEAN)
    assert cli.document("check", f"s3://{bucket}/users.csv")["rows"] == 3
    missing = cli("check", f"s3://{bucket}/missing.csv", "--json")
    assert missing.status == 1
    assert missing.document["error"]["code"] == "FILE_NOT_FOUND"
    elsewhere = cli("check", "https://example.com/users.csv", "--json")
    assert elsewhere.document["error"]["code"] == "PATH_NOT_ALLOWED"


def test_text_for_people_holds_no_control_characters(bare_cli: CommandLine) -> None:
    """A file cannot steer the terminal of whoever looks at it."""
    name = "evil\x1b[2J.csv"
    (bare_cli.folder / name).write_bytes(b"id,\x1b[31mred\n1,2,3\n")
    outcome = bare_cli("check", name, "--rejects", "bad.csv")
    assert not re.search(r"[\x00-\x09\x0b-\x1f]", outcome.out + outcome.err)


def test_the_reject_file_can_be_checked_again(bare_cli: CommandLine) -> None:
    """It is an import file: what was wrong in the one is wrong in the other, and no more."""
    (bare_cli.folder / "users.csv").write_bytes(DIRTY)
    first = bare_cli("check", "users.csv", "--rejects", Path("bad.csv"), "--json").document
    second = bare_cli("check", "bad.csv", "--json").document
    assert second["rejects"] == first["rejects"]
    assert second["accepted"] == 0
