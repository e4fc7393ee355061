"""compose.yaml: what can be told without an engine."""

from __future__ import annotations

import re
import subprocess
import sys
from typing import Any

import pytest

from node_import.settings import PREFIX, Settings
from node_import.stack.postgres_settings import tuned_settings
from node_import_tests.support.deployment_files import (
    DOCKER,
    ROOT,
    compose,
    example_variables,
    image_environment,
    interpolated,
    variables_in,
)

ROLES = ("migrate", "code-location", "webserver", "daemon")
SETTINGS = {f"{PREFIX}{name.upper()}" for name in Settings.model_fields} | {f"{PREFIX}SECRETS_DIR"}
# What the embedded server has for being embedded: loopback, no socket, no followers.
NOT_OF_A_CONTAINER = {
    "listen_addresses",
    "port",
    "unix_socket_directories",
    "wal_level",
    "max_wal_senders",
    "dynamic_shared_memory_type",
}
# They depend on the machine's memory and disk, and on what the server was built with.
OF_THIS_MACHINE = {
    "shared_buffers",
    "effective_cache_size",
    "maintenance_work_mem",
    "work_mem",
    "max_wal_size",
    "wal_buffers",
    "wal_compression",
}


def services() -> dict[str, Any]:
    """All services, by name."""
    found: dict[str, Any] = compose()["services"]
    return found


def test_it_follows_the_compose_specification() -> None:
    """The JSON Schema of the Compose Specification, as check-jsonschema ships it."""
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec"]
    done = subprocess.run(
        [*command, str(DOCKER / "compose.yaml")], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout


def test_the_example_names_every_variable_with_its_default() -> None:
    """`.env.example` and compose.yaml say the same, so that copying it changes nothing."""
    text = (DOCKER / "compose.yaml").read_text(encoding="utf-8")
    assert variables_in(text) == example_variables()


@pytest.mark.parametrize("service", [*ROLES, "buckets"])
def test_every_variable_of_the_importer_is_a_setting(service: str) -> None:
    """A misspelt variable would be ignored without a word."""
    names = set(services()[service].get("environment", {}))
    assert {name for name in names if name.startswith(PREFIX)} <= SETTINGS
    assert {name for name in names if not name.startswith(PREFIX)} <= set(image_environment())


def test_every_variable_of_the_image_is_known() -> None:
    """Of the importer's own, ENV sets none that does not exist."""
    assert {name for name in image_environment() if name.startswith(PREFIX)} <= SETTINGS


@pytest.mark.parametrize("service", ROLES)
def test_every_secret_of_a_role_is_read(service: str) -> None:
    """A secret file is named after a setting, or is the one that the entry point reads."""
    known = {name.lower() for name in SETTINGS} | {"dagster_postgres_url"}
    assert set(services()[service]["secrets"]) <= known


def test_only_migrate_knows_the_admin() -> None:
    """And the webserver and the daemon know Dagster's database alone."""
    of = {name: set(service.get("secrets", ())) for name, service in services().items()}
    admin = "node_import_postgres_admin_dsn"
    assert [name for name, secrets in of.items() if admin in secrets] == ["migrate"]
    assert of["webserver"] == of["daemon"] == {"dagster_postgres_url"}


def test_every_secret_is_declared() -> None:
    """Each that a service mounts has a file, and none is declared for nobody."""
    used = {name for service in services().values() for name in service.get("secrets", ())}
    assert used == set(compose()["secrets"])


def test_networks_and_volumes_are_declared() -> None:
    """No name is misspelt, and none is left over."""
    document = compose()
    used_networks = {name for one in services().values() for name in one["networks"]}
    mounts = [mount for one in services().values() for mount in one.get("volumes", ())]
    named = {mount.split(":")[0] for mount in mounts if not mount.startswith(".")}
    assert used_networks == set(document["networks"])
    assert named == set(document["volumes"])


def test_mounted_files_are_there() -> None:
    """The scripts that other images run."""
    mounts = [mount for one in services().values() for mount in one.get("volumes", ())]
    for mount in mounts:
        if mount.startswith("."):
            assert (DOCKER / mount.split(":")[0]).is_file()
            assert mount.endswith(":ro")


def test_services_wait_for_what_they_need() -> None:
    """Each condition can come true: one-shots end for good, the others have a health check."""
    every = services()
    for service in every.values():
        for name, dependency in service.get("depends_on", {}).items():
            if dependency["condition"] == "service_completed_successfully":
                assert every[name]["restart"] == "no"
            else:
                assert dependency["condition"] == "service_healthy"
                # Roles have the image's own.
                assert "healthcheck" in every[name] or name in ROLES


def test_images_are_pinned() -> None:
    """By a tag that names one release: at least two numbers, or a date."""
    for name, service in services().items():
        tag = interpolated(service["image"], {}).partition(":")[2]
        assert re.search(r"\d+\.\d+|\d{4}-\d{2}-\d{2}", tag), name


def test_ports_are_published_to_this_machine_only() -> None:
    """Neither Dagster's UI nor Kafka asks for a password here."""
    ports = [port for service in services().values() for port in service.get("ports", ())]
    assert ports
    assert all(interpolated(port, {}).startswith("127.0.0.1:") for port in ports)


@pytest.mark.parametrize("service", ROLES)
def test_roles_can_do_little(service: str) -> None:
    """A read-only file system, no capabilities, no way to more rights, limited memory."""
    role = services()[service]
    assert role["read_only"] is True
    assert role["cap_drop"] == ["ALL"]
    assert role["security_opt"] == ["no-new-privileges:true"]
    assert role["deploy"]["resources"]["limits"]["memory"]
    assert role["init"] is True  # whoever is process 1 must reap what run workers leave


@pytest.mark.parametrize("service", ROLES)
def test_the_entry_point_knows_the_role(service: str) -> None:
    """The command of the service is a branch of entrypoint.sh."""
    [role] = services()[service]["command"]
    assert f"    {role})\n" in (DOCKER / "entrypoint.sh").read_text(encoding="utf-8")


def test_everything_that_runs_on_is_restarted_and_limited() -> None:
    """After a crash or a reboot, and when it wants all memory."""
    for name, service in services().items():
        if service["restart"] != "no":
            assert service["restart"] == "unless-stopped", name
            assert service["deploy"]["resources"]["limits"]["memory"], name


def test_postgresql_is_tuned_as_the_embedded_one() -> None:
    """Every setting of the embedded server is there, with its value where it is a constant."""
    words = services()["postgres"]["command"]
    options = dict(word.split("=", 1) for word in words if "=" in word)
    embedded = tuned_settings(ROOT, 5432)
    assert set(options) == set(embedded) - NOT_OF_A_CONTAINER
    for name in set(options) - OF_THIS_MACHINE:
        assert options[name] == embedded[name], name
