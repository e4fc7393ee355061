"""Every error code of a file: FAILED under that code, a status message, and a dead letter."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest

from node_import.objects.location import ObjectLocation
from node_import.objects.pinned import PinnedObject
from node_import.objects.store import ObjectStore
from node_import_tests.support.deployment import Deployment, failure_of, gzipped
from node_import_tests.support.ports import random_ports

GOOD = "id,name\nu-1,Ann\nu-2,Bob\n"


@dataclass(frozen=True)
class Case:
    """What is asked for, under which settings, and the code that it ends with."""

    code: str
    content: str | bytes = GOOD
    url: Callable[[str], str] = str
    settings: dict[str, Any] = field(default_factory=dict)
    total: int = 0
    failed: tuple[str, ...] = ()


CASES = [
    Case("PATH_NOT_ALLOWED", url=lambda _: "http://elsewhere:9000/bucket/users.csv"),
    Case("PATH_NOT_ALLOWED", url=lambda _: "/etc/passwd"),
    Case("FILE_NOT_FOUND", url=lambda url: url + ".missing"),
    Case("FILE_TOO_LARGE", settings={"max_file_bytes": 10}),
    Case("CORRUPT_GZIP", content=gzipped(GOOD)[:-12], failed=("u-1",), total=1),
    Case("CORRUPT_GZIP", content=gzipped(GOOD) + b"x", total=2, failed=("u-1", "u-2")),
    Case(
        "DECOMPRESSED_TOO_LARGE",
        content=gzip.compress(GOOD.encode() + b"u-3,x\n" * 1_000),
        settings={"max_decompressed_bytes": 100},
        total=-1,
    ),
    Case("EMPTY_FILE", content=b""),
    Case("EMPTY_FILE", content="\n\r\n\n"),
    Case("NO_REFERENCE_COLUMN", content="name,city\nAnn,Rome\n"),
    Case("DUPLICATE_HEADER", content="id,First Name,first_name\nu-1,a,b\n"),
    Case("UNSUPPORTED_ENCODING", content=GOOD.encode("utf-16")),
    Case("SCHEMA_VIOLATION", content='id,"name\nu-1,Ann\n'),
    Case(
        "TOO_MANY_REJECTS",
        content=GOOD + "u-3\nu-4\n",
        settings={"max_rejects": 1},
        total=-1,
    ),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.code)
def test_a_file_that_cannot_be_imported(deployment: Deployment, case: Case) -> None:
    """Nothing is imported, and everybody is told why."""
    deployment.configure(**case.settings)
    job_id = deployment.ask_for_file(case.url(deployment.upload(case.content)))
    result = deployment.run_one()

    row = deployment.row(job_id)
    assert (row["status"], row["failure_code"]) == ("FAILED", case.code)
    assert row["processed_nodes"] == 0
    assert deployment.nodes() == {}
    answer = deployment.answer(job_id)
    assert (answer["status"], answer["failureCode"]) == ("FAILED", case.code)
    assert answer["failureReason"] == row["failure_reason"]
    assert answer["total"] == row["total_nodes"]
    if case.total >= 0:
        assert row["total_nodes"] == case.total
        assert sorted(answer["failedList"]) == sorted(case.failed)
    [letter] = deployment.letters(job_id)
    assert letter.header("node-import-error-code") == case.code.encode()
    assert failure_of(result) == f"{case.code}: job {job_id}: {row['failure_reason']}"
    assert deployment.staged() == []


def test_a_file_that_changes_while_it_is_imported(
    deployment: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`FILE_CHANGED`: what was pinned is not what is read."""
    pin = ObjectStore.pin

    def pin_and_change(store: ObjectStore, location: ObjectLocation) -> PinnedObject:
        pinned = pin(store, location)
        deployment.upload(GOOD + "u-3,Cem\n")
        return pinned

    monkeypatch.setattr(ObjectStore, "pin", pin_and_change)
    job_id = deployment.import_file(GOOD)
    assert deployment.row(job_id)["failure_code"] == "FILE_CHANGED"
    assert deployment.nodes() == {}
    assert len(deployment.letters(job_id)) == 1


def test_a_store_that_is_away_for_good(deployment: Deployment) -> None:
    """`OBJECT_STORE_UNAVAILABLE`, after the last try."""
    url = deployment.upload(GOOD)
    nobody = f"http://127.0.0.1:{random_ports().s3}"
    deployment.configure(max_attempts=1, s3_endpoint_url=nobody)
    job_id = deployment.ask_for_file(url)
    deployment.run_one()
    row = deployment.row(job_id)
    assert (row["status"], row["failure_code"]) == ("FAILED", "OBJECT_STORE_UNAVAILABLE")
    assert deployment.answer(job_id)["failureCode"] == "OBJECT_STORE_UNAVAILABLE"


def test_rows_read_before_a_file_broke_are_counted(deployment: Deployment) -> None:
    """They failed: none is imported, all are in the list, the bad ones in the reject file."""
    deployment.configure(block_bytes=64)
    lines = [f"u-{n},name {n}" for n in range(500)]
    lines[3] = "u-3,one,too many"
    broken = gzipped("\n".join(["id,name", *lines]))[:-500]
    job_id = deployment.import_file(broken, "users.csv.gz")
    row = deployment.row(job_id)
    assert row["failure_code"] == "CORRUPT_GZIP"
    assert 4 < row["total_nodes"] < 500
    assert (row["rejected_nodes"], row["processed_nodes"]) == (1, 0)
    answer = deployment.answer(job_id)
    read = {f"u-{n}" for n in range(row["total_nodes"])}
    assert set(answer["failedList"]) == read
    assert answer["successList"] == []
    assert deployment.object(answer["rejectsUrl"]).decode() == "id,name\nu-3,one,too many\n"
