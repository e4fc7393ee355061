"""The Dockerfile: hadolint's rules, and those of our own that a parser can tell."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

from node_import_tests.support.deployment_files import (
    DOCKER,
    ROOT,
    compose,
    dockerfile,
    example_variables,
    image_environment,
    stage,
)


def values(name: str, of: str = "runtime") -> list[str]:
    """What stands behind an instruction of a stage."""
    return [one.value for one in stage(of) if one.name == name]


def test_hadolint_has_no_complaint() -> None:
    """Every rule of it, down to matters of style; the shell lines by ShellCheck."""
    hadolint = Path(sys.executable).parent / "hadolint"
    command = [hadolint, "--no-color", "--failure-threshold", "style", DOCKER / "Dockerfile"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_base_is_one_release() -> None:
    """One build argument names it, to the patch level, for both stages, Compose and its example."""
    [argument] = [one.value for one in dockerfile() if one.value.startswith("PYTHON_IMAGE=")]
    base = argument.partition("=")[2]
    assert re.fullmatch(r"python:3\.1[123]\.\d+-slim-\w+", base)
    froms = [one.value for one in dockerfile() if one.name == "FROM"]
    assert froms == ["${PYTHON_IMAGE} AS builder", "${PYTHON_IMAGE} AS runtime"]
    assert example_variables()["PYTHON_IMAGE"] == base


def test_the_user_is_a_number_and_not_root() -> None:
    """Kubernetes' runAsNonRoot can tell only numbers."""
    assert values("USER") == ["10001:10001"]
    names = [one.name for one in stage("runtime")]
    assert names.index("USER") > max(i for i, name in enumerate(names) if name == "RUN")


def test_the_runtime_takes_only_what_was_built() -> None:
    """No source, no ADD, no package manager: nothing to compile with."""
    assert values("COPY") == ["--from=builder /opt/node-import /opt/node-import"]
    assert not [one for one in dockerfile() if one.name == "ADD"]
    for command in values("RUN"):
        assert not re.search(r"\b(apt|apt-get|pip|curl|wget|sudo)\b", command)


def test_commands_are_lists() -> None:
    """Without a shell between, so that signals reach the program."""
    for name in ("ENTRYPOINT", "CMD"):
        [value] = values(name)
        assert json.loads(value)
    [check] = values("HEALTHCHECK")
    assert json.loads(check[check.index("[") :]) == ["healthcheck"]


def test_no_secret_is_built_in() -> None:
    """Neither an argument nor a variable is one; they come as files."""
    secret = re.compile(r"PASSWORD|SECRET_KEY|TOKEN|_DSN|POSTGRES_URL")
    named = [one.value for one in dockerfile() if one.name in {"ARG", "ENV"}]
    assert not [text for text in named if secret.search(text)]


def test_pips_cache_is_in_no_layer() -> None:
    """It lies in a mount of the builder."""
    [command] = values("RUN", of="builder")
    assert command.startswith("--mount=type=cache,target=/root/.cache/pip ")


def test_folders_that_are_written_to_belong_to_the_user() -> None:
    """Named volumes take their owner from the image."""
    made = " ".join(values("RUN"))
    mounts = [
        str(mount).split(":")[1] for mount in compose()["services"]["code-location"]["volumes"]
    ]
    for folder in mounts:
        assert folder in made
    assert image_environment()["NODE_IMPORT_STAGING_DIR"] in mounts
    assert f"{image_environment()['DAGSTER_HOME']}/storage" in mounts


def test_only_what_is_needed_reaches_the_builder() -> None:
    """.dockerignore begins by leaving everything out, and what it lets in is there."""
    lines = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    patterns = [line for line in lines if line and not line.startswith("#")]
    assert patterns[0] == "*"
    for pattern in patterns:
        if pattern.startswith("!"):
            assert (ROOT / pattern.removeprefix("!")).exists(), pattern
