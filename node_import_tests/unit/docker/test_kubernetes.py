"""The Kubernetes manifests and the values for Dagster's Helm chart.

The chart itself cannot be had from a package, so neither it nor its schema is here: the workflow
renders it. What is checked here is what does not need it.
"""

from __future__ import annotations

import json
from typing import Any

import kubernetes_validate
import pytest
import yaml
from dagster._config import process_config
from dagster._core.run_coordinator.queued_run_coordinator import QueuedRunCoordinator
from dagster_k8s import K8sRunLauncher

from node_import.orchestration.run_queue import PromptRunQueue
from node_import.settings import PREFIX, Settings
from node_import_tests.support.deployment_files import DOCKER, ROOT, image_environment, load_yaml

FOLDER = DOCKER / "kubernetes"
# The oldest and the newest version that Kubernetes' schemas are tried with.
VERSIONS = ("1.30", "1.37")
SETTINGS = {f"{PREFIX}{name.upper()}" for name in Settings.model_fields} | {f"{PREFIX}SECRETS_DIR"}


def manifests() -> list[dict[str, Any]]:
    """Every object of the folder but the values."""
    paths = [path for path in sorted(FOLDER.glob("*.yaml")) if path.name != "values.yaml"]
    return [one for path in paths for one in yaml.safe_load_all(path.read_text(encoding="utf-8"))]


def named(kind: str, name: str) -> dict[str, Any]:
    """One object."""
    [found] = [one for one in manifests() if (one["kind"], one["metadata"]["name"]) == (kind, name)]
    return found


def values() -> dict[str, Any]:
    """What the chart is given."""
    return load_yaml(FOLDER / "values.yaml")


def importer() -> dict[str, Any]:
    """The code location of the values."""
    [deployment] = values()["dagster-user-deployments"]["deployments"]
    return dict(deployment)


@pytest.mark.parametrize("version", VERSIONS)
def test_manifests_follow_kubernetes_schemas(version: str) -> None:
    """Strictly: a field that does not exist is an error."""
    for manifest in manifests():
        kubernetes_validate.validate(manifest, version, strict=True)


def test_pod_parts_of_the_values_follow_kubernetes_schemas() -> None:
    """Security contexts, probes, resources and volumes, in a pod as the chart would make it."""
    for part in (values()["dagsterWebserver"], values()["dagsterDaemon"], importer()):
        container = {
            "name": "dagster",
            "image": "image",
            "securityContext": part["securityContext"],
            "resources": part["resources"],
            "volumeMounts": part["volumeMounts"],
            "envFrom": [{"configMapRef": one} for one in part.get("envConfigMaps", [])],
        }
        for probe in ("readinessProbe", "livenessProbe", "startupProbe"):
            # `enabled` is the chart's own word.
            fields = {k: v for k, v in part.get(probe, {}).items() if k != "enabled"}
            container |= {probe: fields} if fields else {}
        pod = {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": "pod", "labels": part.get("labels", {})},
            "spec": {
                "securityContext": part["podSecurityContext"],
                "volumes": part["volumes"],
                "containers": [container],
            },
        }
        kubernetes_validate.validate(pod, VERSIONS[-1], strict=True)
        assert {one["name"] for one in part["volumeMounts"]} == {
            one["name"] for one in part["volumes"]
        }


def test_the_run_launcher_takes_its_configuration() -> None:
    """dagster-k8s itself says so, of what the chart would write into dagster.yaml."""
    chosen = values()["runLauncher"]["config"]["k8sRunLauncher"]
    runs = chosen["runK8sConfig"]
    config = {
        "load_incluster_config": True,
        "job_namespace": "dagster",
        "service_account_name": "dagster",
        "dagster_home": values()["global"]["dagsterHome"],
        "instance_config_map": "dagster-instance",
        "postgres_password_secret": values()["global"]["postgresqlSecretName"],
        "image_pull_policy": chosen["imagePullPolicy"],
        "labels": chosen["labels"],
        "security_context": chosen["securityContext"],
        "run_k8s_config": {
            "pod_spec_config": runs["podSpecConfig"],
            "job_spec_config": runs["jobSpecConfig"],
        },
    }
    assert set(chosen) == {"imagePullPolicy", "labels", "securityContext", "runK8sConfig"}
    result = process_config(K8sRunLauncher.config_type(), config)
    assert result.success, result.errors


def test_every_variable_is_a_setting() -> None:
    """Of the ConfigMap, of the Job, and the names of secret files."""
    names = set(named("ConfigMap", "node-import-settings")["data"])
    [container] = named("Job", "node-import-migrate")["spec"]["template"]["spec"]["containers"]
    names |= {variable["name"] for variable in container["env"]}
    assert names <= SETTINGS
    files = {
        key
        for name in ("node-import-secrets", "node-import-migrate-secrets")
        for key in named("Secret", name)["stringData"]
    }
    own = {"dagster_postgres_url", "ca.pem"}
    assert files - own <= {name.lower() for name in SETTINGS}


def test_the_settings_load(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    """ConfigMap and Secret together are a complete configuration."""
    for key, text in named("Secret", "node-import-secrets")["stringData"].items():
        (tmp_path / key).write_text(text)
    for name, value in named("ConfigMap", "node-import-settings")["data"].items():
        monkeypatch.setenv(name, value)
    settings = Settings(_secrets_dir=tmp_path)
    assert settings.executor == "k8s"
    assert settings.kafka_client_config()["sasl.mechanism"] == "SCRAM-SHA-512"


def test_the_instance_is_that_of_dagster_yaml() -> None:
    """What the chart writes differs from dagster.yaml only where Kubernetes is another place."""
    ours = load_yaml(ROOT / "dagster.yaml")
    theirs = values()
    daemon = theirs["dagsterDaemon"]
    queue = daemon["runCoordinator"]["config"]["queuedRunCoordinator"]
    # A pod takes seconds to start: how often the queue is looked at does not matter there.
    assert issubclass(PromptRunQueue, QueuedRunCoordinator)
    assert ours["run_coordinator"]["class"] == PromptRunQueue.__name__
    assert daemon["runCoordinator"]["type"] == QueuedRunCoordinator.__name__
    assert ours["run_coordinator"]["config"] == {"max_concurrent_runs": queue["maxConcurrentRuns"]}
    monitoring = daemon["runMonitoring"]
    assert ours["run_monitoring"] | {"start_timeout_seconds": 600} == {
        "enabled": monitoring["enabled"],
        "start_timeout_seconds": monitoring["startTimeoutSeconds"],
        "cancel_timeout_seconds": monitoring["cancelTimeoutSeconds"],
        "poll_interval_seconds": monitoring["pollIntervalSeconds"],
        "free_slots_after_run_end_seconds": monitoring["freeSlotsAfterRunEndSeconds"],
    }
    assert ours["sensors"] == {
        "use_threads": daemon["sensors"]["useThreads"],
        "num_workers": daemon["sensors"]["numWorkers"],
        "num_submit_workers": daemon["sensors"]["numSubmitWorkers"],
    }
    retention = theirs["retention"]
    assert ours["retention"] == {
        name: {"purge_after_days": retention[name]["purgeAfterDays"]}
        for name in ("schedule", "sensor")
    }
    assert ours["backfills"] == theirs["additionalInstanceConfig"]["backfills"]
    assert ours["telemetry"] == theirs["telemetry"]


def test_one_number_of_runs() -> None:
    """Dagster's queue and the importer's agree."""
    queue = values()["dagsterDaemon"]["runCoordinator"]["config"]["queuedRunCoordinator"]
    data = named("ConfigMap", "node-import-settings")["data"]
    assert data["NODE_IMPORT_MAX_CONCURRENT_RUNS"] == str(queue["maxConcurrentRuns"])


def test_paths_and_ports_are_those_of_the_image() -> None:
    """Home, storage, staging, and the port of gRPC and of the webserver."""
    environment = image_environment()
    home = environment["DAGSTER_HOME"]
    assert values()["global"]["dagsterHome"] == home
    mounted = {one["mountPath"] for one in importer()["volumeMounts"]}
    assert {f"{home}/storage", environment["NODE_IMPORT_STAGING_DIR"], "/tmp"} <= mounted
    assert str(importer()["port"]) == environment["CODE_LOCATION_LISTEN_PORT"]
    [server] = values()["dagsterWebserver"]["workspace"]["servers"]
    assert server == {"host": importer()["name"], "port": importer()["port"], "name": "node_import"}
    assert (
        str(values()["dagsterWebserver"]["service"]["port"]) == environment["WEBSERVER_LISTEN_PORT"]
    )


def test_network_policies_name_the_ports_in_use() -> None:
    """Whatever is connected to is let out; whatever listens is let in."""
    policies = [one["spec"] for one in manifests() if one["kind"] == "NetworkPolicy"]
    let_out = {
        port["port"] for one in policies for rule in one.get("egress", ()) for port in rule["ports"]
    }
    let_in = {
        port["port"]
        for one in policies
        for rule in one.get("ingress", ())
        for port in rule["ports"]
    }
    data = named("ConfigMap", "node-import-settings")["data"]
    kafka = int(data["NODE_IMPORT_KAFKA_BOOTSTRAP_SERVERS"].rpartition(":")[2])
    store = int(data["NODE_IMPORT_S3_ENDPOINT_URL"].rpartition(":")[2])
    assert {kafka, store, values()["postgresql"]["service"]["port"], 53, 443} <= let_out
    assert let_in == {importer()["port"], values()["dagsterWebserver"]["service"]["port"]}


def test_secrets_are_templates() -> None:
    """No real one is checked in."""
    for manifest in manifests():
        if manifest["kind"] == "Secret":
            assert "CHANGE-ME" in json.dumps(manifest["stringData"])
