"""What Dagster keeps of old imports goes; what is young, at work, or somebody else's stays."""

from __future__ import annotations

import time
from datetime import datetime, timedelta
from pathlib import Path

import dagster as dg
import pytest

from node_import.database import Database
from node_import.objects.store import ObjectStore
from node_import.orchestration import retention
from node_import.orchestration.partitions import PARTITIONS_NAME
from node_import.orchestration.retention import Pruned, prune
from node_import.orchestration.step_outputs import remove_outputs_of
from node_import_tests.support.deployment import Deployment, partition_of
from node_import_tests.support.tenants import put

MONTH = 30


@pytest.fixture
def later(deployment: Deployment, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is two months later."""

    class Later(datetime):
        @classmethod
        def now(cls, tz: object = None) -> datetime:  # type: ignore[override]
            return datetime.now(tz) + timedelta(days=2 * MONTH)  # type: ignore[arg-type]

    monkeypatch.setattr(retention, "datetime", Later)


def prune_now(deployment: Deployment, seconds: float = 60) -> Pruned:
    """As the sensor does."""
    return prune(
        deployment.instance,
        Database.from_settings(deployment.settings),
        days=MONTH,
        deadline=time.monotonic() + seconds,
    )


def keys(deployment: Deployment) -> set[str]:
    """The partitions that Dagster has."""
    return set(deployment.instance.get_dynamic_partitions(PARTITIONS_NAME))


def test_young_imports_stay(deployment: Deployment) -> None:
    """Their runs and their partitions."""
    deployment.import_file("id\nu-1\n")
    before = keys(deployment)
    assert prune_now(deployment) == Pruned(complete=True)
    assert keys(deployment) == before
    assert deployment.instance.get_runs_count() == 1


@pytest.mark.usefixtures("later")
def test_old_imports_go_with_all_that_their_runs_left(deployment: Deployment) -> None:
    """Runs, events, logs, outputs and partition; the job's row stays, and it can run again."""
    job_id = deployment.ask_for_file(deployment.upload("id\nu-1\n"))
    result = deployment.run_one()
    waits = deployment.ask_for_references(["u-2"])
    put(deployment.database, waits, partition_key="waits")
    deployment.instance.add_dynamic_partitions(PARTITIONS_NAME, ["waits"])
    other = deployment.instance.create_run_for_job(dg.GraphDefinition("other").to_job())
    deployment.instance.report_run_canceled(other)
    storage = Path(deployment.instance.storage_directory()) / result.run_id
    (storage / "resolve_file").mkdir(parents=True, exist_ok=True)

    assert prune_now(deployment) == Pruned(runs=1, partitions=1, complete=True)

    assert deployment.instance.get_run_by_id(result.run_id) is None
    assert deployment.instance.get_run_by_id(other.run_id) is not None
    assert not storage.exists()
    assert partition_of(result) not in keys(deployment)
    assert "waits" in keys(deployment)
    assert deployment.row(job_id)["status"] == "COMPLETED"


@pytest.mark.usefixtures("later")
def test_what_is_not_done_in_time_is_done_later(deployment: Deployment) -> None:
    """A tick has a minute."""
    for number in range(3):
        deployment.import_file(f"id\nu-{number}\n")
    assert prune_now(deployment, seconds=-1) == Pruned()
    assert deployment.instance.get_runs_count() == 3
    assert prune_now(deployment).complete


def test_too_many_partitions_go_sooner(
    deployment: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Those that ended first; Dagster loads all keys at once."""
    jobs = [deployment.import_file(f"id\nu-{number}\n") for number in range(3)]
    monkeypatch.setattr(retention, "MAX_PARTITIONS", 1)
    assert prune_now(deployment).partitions == 2
    assert keys(deployment) == {deployment.row(jobs[-1])["partition_key"]}


def test_outputs_in_the_bucket_go_with_their_run(deployment: Deployment) -> None:
    """Where steps share no disk; those of other runs stay."""
    store = ObjectStore.from_settings(deployment.settings)
    for run in ("gone", "stays"):
        with store.write(f"step-outputs/storage/{run}/close_job/result", "x/y") as file:
            file.write(b"x")
    remove_outputs_of(store.own, "gone")
    left = [found.key for found in store.own.objects("step-outputs/")]
    assert left == ["step-outputs/storage/stays/close_job/result"]
