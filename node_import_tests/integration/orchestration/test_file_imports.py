"""A file's way through the whole job, on real services."""

from __future__ import annotations

import json

import pytest

from node_import.sizes import KIB
from node_import_tests.support.deployment import (
    Deployment,
    failure_of,
    gzipped,
    metadata_of,
)

CLEAN = "reference_id,name,city\nu-1,Ann,Rome\nu-2,Bob,\nu-3,Çelik,İzmir\n"


def test_a_clean_file_is_completed(deployment: Deployment) -> None:
    """Rows are in PostgreSQL, the status message says so, nothing is left in the staging area."""
    job_id = deployment.ask_for_file(deployment.upload(gzipped(CLEAN), "users.csv.gz"))
    result = deployment.run_one()

    assert result.success
    assert deployment.nodes() == {
        "u-1": {"name": "Ann", "city": "Rome"},
        "u-2": {"name": "Bob"},
        "u-3": {"name": "Çelik", "city": "İzmir"},
    }
    row = deployment.row(job_id)
    assert (row["status"], row["total_nodes"], row["inserted_nodes"]) == ("COMPLETED", 3, 3)
    assert row["dagster_run_id"] == result.run_id
    answer = deployment.answer(job_id)
    assert (answer["status"], answer["processed"], answer["total"]) == ("COMPLETED", 3, 3)
    assert sorted(answer["successList"]) == ["u-1", "u-2", "u-3"]
    assert answer["failedList"] == []
    assert answer["groupId"] == "g"
    assert deployment.letters(job_id) == []
    assert deployment.staged() == []


def test_metadata_mirrors_the_job_table(deployment: Deployment) -> None:
    """Counts, rates, batches, slices, links; and tags by which the run is found."""
    job_id = deployment.ask_for_file(deployment.upload(CLEAN))
    result = deployment.run_one()

    shown = metadata_of(result, "close_job")
    row = deployment.row(job_id)
    for name in ("total", "processed", "inserted", "updated", "unchanged", "duplicate"):
        assert shown[f"{name}_nodes"] == row[f"{name}_nodes"]
    assert shown["job_id"] == str(job_id)
    assert (shown["status"], shown["attempt"], shown["kind"]) == ("COMPLETED", 1, "file")
    assert (shown["batches"], shown["slices"]) == (1, 1)
    assert shown["nodes_per_second"] >= 0
    assert shown["source_url"] == row["source_url"]
    endpoint = deployment.settings.s3_endpoint_url
    assert shown["source_link"] == f"{endpoint}/{deployment.settings.s3_bucket}/in/users.csv"
    run = deployment.instance.get_run_by_id(result.run_id)
    assert run is not None
    assert run.tags["node_import/job_id"] == str(job_id)
    assert run.tags["node_import/domain"] == deployment.tenant.name
    assert run.tags["node_import/status"] == "COMPLETED"
    assert run.tags["node_import/nodes"] == "3 of 3"


def test_rejected_rows_are_told_and_kept(deployment: Deployment) -> None:
    """FAILED `ROWS_REJECTED` with numbers, a reject file to correct, and no dead letter."""
    bad = "u-4,too,many,fields\n,no reference,x\n"
    job_id = deployment.ask_for_file(deployment.upload(CLEAN + bad))
    result = deployment.run_one()

    row = deployment.row(job_id)
    assert (row["status"], row["failure_code"]) == ("FAILED", "ROWS_REJECTED")
    assert (row["total_nodes"], row["processed_nodes"], row["rejected_nodes"]) == (5, 3, 2)
    assert row["rejects_by_code"] == {"COLUMN_COUNT_MISMATCH": 1, "MISSING_REFERENCE_ID": 1}
    assert deployment.object(row["rejects_url"]).decode() == "reference_id,name,city\n" + bad
    reasons = deployment.object(row["rejects_url"] + ".reasons.jsonl").splitlines()
    assert [json.loads(reason)["line"] for reason in reasons] == [5, 6]
    answer = deployment.answer(job_id)
    assert answer["rejectsUrl"] == row["rejects_url"]
    assert answer["failureCode"] == "ROWS_REJECTED"
    assert answer["failedList"] == ["u-4"]
    assert deployment.letters(job_id) == []
    assert not result.success
    assert failure_of(result).startswith(f"ROWS_REJECTED: job {job_id}: 2 of 5 rows were rejected")
    assert metadata_of(result, "close_job")["rejects_by_code"] == [
        {"code": "COLUMN_COUNT_MISMATCH", "rows": 1},
        {"code": "MISSING_REFERENCE_ID", "rows": 1},
    ]


def test_a_reference_with_good_and_bad_rows_succeeds(deployment: Deployment) -> None:
    """It is in the success list alone; one with bad rows only is in the other, once."""
    text = "id,a\nu-1,x,y\nu-1,x\nu-2,x,y\nu-2,z,y\nu-3,x\n"
    answer = deployment.answer(deployment.import_file(text))
    assert sorted(answer["successList"]) == ["u-1", "u-3"]
    assert answer["failedList"] == ["u-2"]
    assert (answer["processed"], answer["total"]) == (2, 5)


def test_the_last_row_of_a_reference_counts(deployment: Deployment) -> None:
    """The earlier ones are duplicates: good rows without effect."""
    row = deployment.row(deployment.import_file("id,a,b\nu-1,1,x\nu-2,2,\nu-1,3,\n"))
    assert deployment.nodes() == {"u-1": {"a": "3"}, "u-2": {"a": "2"}}
    assert (row["status"], row["inserted_nodes"], row["duplicate_nodes"]) == ("COMPLETED", 2, 1)


def test_a_second_import_changes_what_differs(deployment: Deployment) -> None:
    """Inserted, updated and unchanged are told apart."""
    deployment.import_file(CLEAN)
    later = CLEAN.replace("Rome", "Oslo") + "u-4,Dora,Bern\n"
    row = deployment.row(deployment.import_file(later, "later.csv"))
    counts = (row["inserted_nodes"], row["updated_nodes"], row["unchanged_nodes"])
    assert counts == (1, 1, 2)
    assert deployment.nodes()["u-1"] == {"name": "Ann", "city": "Oslo"}


def test_a_header_without_rows_is_completed(deployment: Deployment) -> None:
    """With a total of 0, and an answer with empty lists."""
    job_id = deployment.import_file("reference_id,name\n")
    row = deployment.row(job_id)
    assert (row["status"], row["total_nodes"], row["failure_code"]) == ("COMPLETED", 0, None)
    answer = deployment.answer(job_id)
    assert (answer["total"], answer["successList"], answer["failedList"]) == (0, [], [])


def test_batches_and_slices_do_not_change_what_is_imported(
    deployment: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Cut into many slices and batches, every row is there once and the numbers are the same."""
    monkeypatch.setattr("node_import.staging.plan.SLICE_TARGET_BYTES", 2_000)
    monkeypatch.setattr("node_import.staging.plan.BATCH_TARGET_BYTES", 8_000)
    deployment.configure(block_bytes=1_000)
    rows = [f"u-{n % 1900},name {n},{n}" for n in range(2_000)]
    job_id = deployment.ask_for_file(deployment.upload("\n".join(["id,name,n", *rows])))
    result = deployment.run_one()
    row = deployment.row(job_id)
    assert (row["inserted_nodes"], row["duplicate_nodes"]) == (1_900, 100)
    shown = metadata_of(result, "close_job")
    assert shown["batches"] == 8
    assert shown["slices"] == 32
    assert deployment.nodes()["u-7"] == {"name": "name 1907", "n": "1907"}
    assert len(deployment.answer(job_id)["successList"]) == 1_900


def test_lists_past_the_limit_are_cut_and_whole_in_an_object(deployment: Deployment) -> None:
    """`resultUrl` names an object with every reference of both lists, each once."""
    deployment.configure(status_max_bytes=320 * KIB)
    good = [f"good-{n:0240}" for n in range(1_200)]
    bad = [f"bad-{n:0240}" for n in range(800)]
    lines = ["id,a", *(f"{name},1" for name in good), *(f"{name},1,2" for name in bad)]
    job_id = deployment.import_file("\n".join(lines))
    answer = deployment.answer(job_id)
    assert answer["successListTruncated"] is True
    assert answer["failedListTruncated"] is True
    assert set(answer["successList"]) < set(good)
    assert set(answer["failedList"]) < set(bad)
    whole = json.loads(deployment.object(answer["resultUrl"]))
    assert sorted(whole["successList"]) == good
    assert whole["failedList"] == bad
    assert deployment.row(job_id)["result_url"] == answer["resultUrl"]
