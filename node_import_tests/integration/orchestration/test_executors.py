"""The same graph under another executor gives the same rows."""

from __future__ import annotations

import sys

import dagster as dg
import pytest

from node_import.errors import UsageError
from node_import.orchestration.dagster_runs import PARTITION_TAG
from node_import.orchestration.executors import executor_of
from node_import.orchestration.job import JOB_NAME, import_job
from node_import.orchestration.partitions import PARTITIONS_NAME
from node_import.settings import RunSettings, Settings, load_run_settings
from node_import.staging import plan
from node_import_tests.support.deployment import Deployment, resources

TEXT = "id,name\n" + "".join(f"u-{n % 190},name {n}\n" for n in range(200)) + "u-7\n"


def multiprocess_job() -> dg.JobDefinition:
    """The job that each step's process makes for itself; small files have many batches here."""
    plan.SLICE_TARGET_BYTES, plan.BATCH_TARGET_BYTES = 1_000, 2_000
    executor = executor_of(load_run_settings())
    wired = dg.Definitions(jobs=[import_job(executor)], resources=resources())
    return wired.get_job_def(JOB_NAME)


def test_multiprocess_gives_the_same(
    deployment: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A process a step: the same nodes, numbers and answer as in one process."""
    in_process = deployment.import_file(TEXT)
    monkeypatch.setattr("node_import.staging.plan.SLICE_TARGET_BYTES", 1_000)
    monkeypatch.setattr("node_import.staging.plan.BATCH_TARGET_BYTES", 2_000)
    deployment.configure(executor="multiprocess")
    with dg.instance_for_test() as instance:
        deployment.instance = instance
        job_id = deployment.ask_for_file(deployment.upload(TEXT, "again.csv"), "h")
        [due] = deployment.dispatch()
        instance.add_dynamic_partitions(PARTITIONS_NAME, [due.partition_key])
        result = dg.execute_job(
            dg.reconstructable(multiprocess_job),
            instance=instance,
            tags={PARTITION_TAG: due.partition_key},
        )
        workers = {event.pid for event in result.all_events if event.is_step_success}
        steps = {event.step_key for event in result.all_events if event.is_step_success}
    assert {"resolve_file", "stream_parse", "load_batch[batch_01]", "close_job"} <= steps
    assert len(workers) == len(steps)
    one, other = deployment.row(in_process), deployment.row(job_id)
    names = [name for name in one if name.endswith("_nodes")]
    assert [one[name] for name in names] == [other[name] for name in names]
    assert one["failure_code"] == other["failure_code"] == "ROWS_REJECTED"
    assert deployment.nodes("g") == deployment.nodes("h")
    answers = deployment.answer(in_process), deployment.answer(job_id)
    assert sorted(answers[0]["successList"]) == sorted(answers[1]["successList"])


@pytest.mark.parametrize("name", ["in_process", "multiprocess", "celery", "k8s"])
def test_each_executor_has_the_name_of_its_setting(name: str) -> None:
    """It is known by it in Dagster's UI, and takes no connection from run configuration."""
    executor = executor_of(RunSettings(executor=name))
    assert executor.name == name
    schema = str(executor.config_schema.as_field())
    assert not any(word in schema for word in ("broker", "backend"))


@pytest.mark.parametrize(
    ("name", "package"), [("celery", "dagster_celery"), ("k8s", "dagster_k8s")]
)
def test_an_executor_whose_packages_are_missing(
    name: str, package: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A line that says how to install them."""
    monkeypatch.setitem(sys.modules, package, None)
    monkeypatch.delitem(sys.modules, f"node_import.orchestration.{name}_executor", raising=False)
    for module in [module for module in sys.modules if module.startswith(f"{package}.")]:
        monkeypatch.delitem(sys.modules, module)
    with pytest.raises(UsageError, match=rf"pip install 'node-import\[{name}\]'"):
        executor_of(RunSettings(executor=name))


def test_celery_without_a_broker(settings: Settings) -> None:
    """The missing setting is named."""
    from node_import.orchestration.celery_executor import CelerySteps

    with pytest.raises(UsageError, match="NODE_IMPORT_CELERY_BROKER_URL"):
        CelerySteps(settings)
