"""The workflow of GitHub Actions: its form, its rights, and that it runs what .ci/run runs."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from typing import Any

from node_import_tests.support.deployment_files import ROOT, compose, load_yaml

PATH = ROOT / ".github/workflows/ci.yml"
MADE = re.compile(r"\bmake ([a-z-]+)")


def jobs() -> dict[str, Any]:
    """All jobs, by name."""
    found: dict[str, Any] = load_yaml(PATH)["jobs"]
    return found


def steps() -> list[dict[str, Any]]:
    """The steps of all jobs."""
    return [step for job in jobs().values() for step in job["steps"]]


def targets() -> set[str]:
    """What the Makefile can make."""
    text = (ROOT / "Makefile").read_text(encoding="utf-8")
    return set(re.findall(r"^([a-z-]+):", text, re.MULTILINE))


def made() -> set[str]:
    """The make targets that the workflow runs."""
    return {target for step in steps() for target in MADE.findall(step.get("run", ""))}


def test_it_follows_githubs_schema() -> None:
    """The JSON Schema of workflows, as check-jsonschema ships it."""
    command = [sys.executable, "-m", "check_jsonschema"]
    command += ["--builtin-schema", "vendor.github-workflows", str(PATH)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def test_it_runs_what_the_gate_runs() -> None:
    """Every target of .ci/run, by that name or in its parts, and none that does not exist."""
    text = (ROOT / ".ci/run").read_text(encoding="utf-8")
    gate = set(MADE.findall(text))
    parts = {"test": {"test-unit", "test-integration", "test-acceptance"}}
    wanted = {part for target in gate for part in parts.get(target, {target})}
    assert wanted <= made() <= targets()
    assert {"test-services", "image"} <= made()
    scripts = {step["run"] for step in steps() if step.get("run", "").startswith(".ci/")}
    assert scripts == set(re.findall(r"^\.ci/\S+", text, re.MULTILINE))


def test_actions_are_pinned_by_commit() -> None:
    """A tag can be moved; the comment says which one it was."""
    lines = [line for line in PATH.read_text(encoding="utf-8").splitlines() if "uses:" in line]
    assert lines
    for line in lines:
        assert re.search(r"uses: [\w./-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+$", line), line


def test_it_may_only_read() -> None:
    """No job may write to the repository, nor keeps the token that it was given."""
    assert load_yaml(PATH)["permissions"] == {"contents": "read"}
    assert not [name for name, job in jobs().items() if "permissions" in job]
    checkouts = [step for step in steps() if step.get("uses", "").startswith("actions/checkout@")]
    assert len(checkouts) == len(jobs())
    assert all(step["with"]["persist-credentials"] is False for step in checkouts)


def test_a_newer_push_ends_the_run_of_an_older_one() -> None:
    """And no job can hang for hours."""
    assert load_yaml(PATH)["concurrency"]["cancel-in-progress"] is True
    assert all(job["timeout-minutes"] <= 90 for job in jobs().values())


def test_every_supported_python_is_tested() -> None:
    """The versions that pyproject.toml allows."""
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    low, high = re.findall(r"3\.(\d+)", tomllib.loads(text)["project"]["requires-python"])
    versions = [f"3.{minor}" for minor in range(int(low), int(high))]
    assert jobs()["test"]["strategy"]["matrix"]["python"] == versions
    on_containers = jobs()["service-containers"]["strategy"]["matrix"]["include"]
    assert {one["python"] for one in on_containers} == set(versions)


def test_service_containers_are_those_of_compose() -> None:
    """The same images, and PostgreSQL from the oldest that is supported to Compose's."""
    services = compose()["services"]
    job = jobs()["service-containers"]
    assert job["services"]["kafka"]["image"] == services["kafka"]["image"]
    assert any(services["minio"]["image"] in step.get("run", "") for step in job["steps"])
    versions = [one["postgres"] for one in job["strategy"]["matrix"]["include"]]
    assert [version.partition(".")[0] for version in versions] == ["15", "16", "17", "18"]
    assert services["postgres"]["image"].startswith(f"postgres:{versions[-1]}-")
