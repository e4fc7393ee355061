"""Reference lists share a run, and each is answered by itself."""

from __future__ import annotations

from node_import_tests.support.deployment import Deployment, failure_of, metadata_of


def test_two_hundred_lists_are_one_run(deployment: Deployment) -> None:
    """One partition, one run; every job is COMPLETED and answered with its own references."""
    asked = {
        deployment.ask_for_references([f"u-{n}", f"v-{n}", f"u-{n}"], "gh"[n % 2]): n
        for n in range(200)
    }
    result = deployment.run_one()

    assert result.success
    for job_id, number in asked.items():
        row = deployment.row(job_id)
        assert (row["status"], row["inserted_nodes"], row["duplicate_nodes"]) == ("COMPLETED", 2, 1)
        assert row["dagster_run_id"] == result.run_id
        assert number >= 0
    answers = deployment.all_answers()
    assert answers.keys() == {str(job_id) for job_id in asked}
    for job_id, number in asked.items():
        assert sorted(answers[str(job_id)]["successList"]) == [f"u-{number}", f"v-{number}"]
    assert deployment.nodes("g") == {f"{p}-{n}": {} for p in "uv" for n in range(0, 200, 2)}
    assert deployment.nodes("h") == {f"{p}-{n}": {} for p in "uv" for n in range(1, 200, 2)}
    shown = metadata_of(result, "close_job")
    assert (shown["jobs_completed"], shown["total_nodes"]) == (200, 600)
    assert len(shown["jobs"]) + shown["jobs_not_in_table"] == 200
    assert deployment.staged() == []


def test_bad_entries_are_rejected_rows(deployment: Deployment) -> None:
    """An entry that is empty or too long fails by itself; its job alone is FAILED."""
    bad = deployment.ask_for_references(["u-1", "  ", "x" * 256])
    good = deployment.ask_for_references(["u-2"])
    result = deployment.run_one()

    row = deployment.row(bad)
    assert (row["status"], row["failure_code"]) == ("FAILED", "ROWS_REJECTED")
    assert row["rejects_by_code"] == {"MISSING_REFERENCE_ID": 1, "REFERENCE_ID_TOO_LONG": 1}
    assert deployment.answer(bad)["successList"] == ["u-1"]
    assert deployment.row(good)["status"] == "COMPLETED"
    assert failure_of(result).startswith(f"ROWS_REJECTED: job {bad}")
    assert metadata_of(result, "close_job")["jobs"][0]["id"] == str(bad)
    assert deployment.run_tags(result)["node_import/status"] == "1 FAILED, 1 COMPLETED"


def test_a_replayed_member_is_not_red_for_the_sake_of_others(deployment: Deployment) -> None:
    """A run shows the jobs it worked on, not those of its partition that had failed before."""
    first = deployment.ask_for_references(["u-1", ""])
    other = deployment.ask_for_references(["u-2", ""])
    deployment.run_one()
    deployment.reopen(first)
    result = deployment.run_one()
    assert deployment.row(first)["attempt"] == 2
    assert deployment.row(other)["attempt"] == 1
    assert failure_of(result).startswith(f"ROWS_REJECTED: job {first}")
    assert "more" not in failure_of(result)
