"""The executor `k8s` with processes standing in for pods.

What is real: Dagster's executor, the Kubernetes jobs that it asks for, and the command of each.
There is no Kubernetes here: jobs are checked against its schema, and started as processes.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import dagster as dg
import kubernetes_validate
import pytest
from dagster_k8s.client import DagsterKubernetesClient
from kubernetes.client import ApiClient, V1JobStatus

from node_import.jobs.recovery import recover
from node_import.orchestration.dagster_runs import PARTITION_TAG, DagsterRuns
from node_import.orchestration.executors import executor_of
from node_import.orchestration.job import JOB_NAME, import_job
from node_import.orchestration.partitions import PARTITIONS_NAME
from node_import.orchestration.step_outputs import bucket_io_manager
from node_import.settings import load_run_settings
from node_import.staging import plan
from node_import_tests.support.deployment import Deployment, resources

KUBERNETES = "1.37"
TEXT = "id,name\n" + "".join(f"u-{n},name {n}\n" for n in range(100))


def job_of_a_pod() -> dg.JobDefinition:
    """The job that each pod makes for itself; a small file has several batches here."""
    plan.SLICE_TARGET_BYTES, plan.BATCH_TARGET_BYTES = 500, 1_000
    job = import_job(executor_of(load_run_settings()))
    wired = dg.Definitions(jobs=[job], resources={**resources(), "io_manager": bucket_io_manager})
    return wired.get_job_def(JOB_NAME)


@dataclass
class FakeKubernetes:
    """What dagster-k8s asks of a cluster."""

    folder: Path
    jobs: dict[str, dict[str, Any]] = field(default_factory=dict)
    pods: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)
    lost: str = ""  # the pod of this step dies at once

    def create_namespaced_job_with_retries(self, body: Any, namespace: str) -> None:
        """Start the command of a job's only container."""
        job = ApiClient().sanitize_for_serialization(body)
        kubernetes_validate.validate(job, KUBERNETES, strict=True)
        assert namespace == "imports"
        [container] = job["spec"]["template"]["spec"]["containers"]
        name = job["metadata"]["name"]
        self.jobs[name] = job
        own = {item["name"]: item["value"] for item in container["env"] if "value" in item}
        own.pop("DAGSTER_HOME")  # of the image
        command = ["false"] if self.lost == own["DAGSTER_RUN_STEP_KEY"] else container["args"]
        with (self.folder / f"{name}.log").open("wb") as log:
            self.pods[name] = subprocess.Popen(
                command, env={**os.environ, **own}, stdout=log, stderr=subprocess.STDOUT
            )

    def get_job_status(self, namespace: str, job_name: str) -> V1JobStatus:
        """Whether its pod failed."""
        code = self.pods[job_name].poll()
        return V1JobStatus(active=code is None, succeeded=code == 0, failed=1 if code else None)

    def delete_job(self, job_name: str, namespace: str) -> None:
        """End its pod."""
        self.pods[job_name].kill()


@pytest.fixture
def cluster(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, deployment: Deployment
) -> Iterator[FakeKubernetes]:
    """A deployment whose steps are pods of this cluster."""
    made = FakeKubernetes(tmp_path)
    monkeypatch.setattr(DagsterKubernetesClient, "production_client", lambda **_: made)
    monkeypatch.setattr("dagster_k8s.launcher.load_kubernetes_config", lambda **_: None)
    monkeypatch.setattr("kubernetes.config.load_incluster_config", lambda: None)
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    deployment.configure(executor="k8s")
    yield made
    for pod in made.pods.values():
        pod.kill()
        pod.wait()


def execute(deployment: Deployment, instance: dg.DagsterInstance) -> dg.JobExecutionResult:
    """One run of what is due."""
    deployment.instance = instance
    [due] = deployment.dispatch()
    instance.add_dynamic_partitions(PARTITIONS_NAME, [due.partition_key])
    return dg.execute_job(
        dg.reconstructable(job_of_a_pod),
        instance=instance,
        tags={PARTITION_TAG: due.partition_key},
    )


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    """An instance as Dagster's Helm chart configures it."""
    launcher = {
        "module": "dagster_k8s",
        "class": "K8sRunLauncher",
        "config": {
            "service_account_name": "dagster",
            "instance_config_map": "dagster-instance",
            "dagster_home": "/opt/dagster/home",
            "job_image": "node-import:1",
            "job_namespace": "imports",
            "env_secrets": ["node-import"],
            "env_config_maps": ["node-import"],
            "load_incluster_config": True,
        },
    }
    with dg.instance_for_test(overrides={"run_launcher": launcher}) as made:
        yield made


def test_each_step_is_a_job_of_kubernetes(
    deployment: Deployment, cluster: FakeKubernetes, instance: dg.DagsterInstance
) -> None:
    """Rows come by way of the bucket; pods have their settings from Secrets and ConfigMaps."""
    job_id = deployment.ask_for_file(deployment.upload(TEXT))
    result = execute(deployment, instance)

    assert result.success
    steps = {event.step_key for event in result.all_events if event.is_step_success}
    assert {"resolve_file", "stream_parse", "load_batch[batch_01]", "publish_status"} <= steps
    assert len(cluster.jobs) == len(steps)
    row = deployment.row(job_id)
    assert (row["status"], row["inserted_nodes"]) == ("COMPLETED", 100)
    assert deployment.nodes()["u-7"] == {"name": "name 7"}
    assert deployment.staged() == []
    settings = deployment.settings
    assert settings.s3_secret_key is not None
    for job in cluster.jobs.values():
        [container] = job["spec"]["template"]["spec"]["containers"]
        assert container["image"] == "node-import:1"
        assert {"secretRef": {"name": "node-import"}} in container["envFrom"]
        assert settings.s3_secret_key.get_secret_value() not in json.dumps(job)
        assert settings.postgres_dsn.get_secret_value() not in json.dumps(job)


def test_a_pod_that_is_lost_ends_its_run(
    deployment: Deployment,
    cluster: FakeKubernetes,
    instance: dg.DagsterInstance,
) -> None:
    """Dagster asks after it; recovery then finds the run over and puts the job back."""
    cluster.lost = "stream_parse"
    job_id = deployment.ask_for_file(deployment.upload(TEXT))
    result = execute(deployment, instance)

    assert not result.success
    assert deployment.row(job_id)["status"] == "RUNNING"
    done = recover(deployment.tenant.database, deployment.settings, DagsterRuns(instance, JOB_NAME))
    assert done.put_back == (job_id,)
    assert deployment.row(job_id)["status"] == "PENDING"
