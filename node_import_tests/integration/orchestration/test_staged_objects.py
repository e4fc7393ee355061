"""Rows staged in the object store instead of on this machine's disk."""

from __future__ import annotations

import pytest

from node_import.objects.store import ObjectStore
from node_import.pipeline.leftovers import area_name, remove_areas_of, remove_stale_areas
from node_import.pipeline.workshop import staging_areas
from node_import.staging.object_area import STAGING_PREFIX
from node_import_tests.support.deployment import Deployment, gzipped
from node_import_tests.support.tenants import put

ROWS = [f"u-{n % 1900},name {n},{n}" for n in range(2_000)]
FILE = "\n".join(["id,name,n", *ROWS, "u-x,too,many,fields"])


@pytest.fixture
def in_objects(deployment: Deployment, monkeypatch: pytest.MonkeyPatch) -> Deployment:
    """A deployment that stages in its bucket, in many slices and batches."""
    monkeypatch.setattr("node_import.staging.plan.SLICE_TARGET_BYTES", 2_000)
    monkeypatch.setattr("node_import.staging.plan.BATCH_TARGET_BYTES", 8_000)
    deployment.configure(staging="objects")
    return deployment


def staged(deployment: Deployment) -> list[str]:
    """The keys of staged files."""
    listed = deployment.s3.list_objects_v2(
        Bucket=deployment.settings.s3_bucket, Prefix=STAGING_PREFIX
    )
    return [found["Key"] for found in listed.get("Contents", [])]


def test_an_import_by_way_of_the_bucket(in_objects: Deployment) -> None:
    """Rows, rejects and lists are as ever; nothing was on the disk, nothing is left staged."""
    url = in_objects.upload(gzipped(FILE), "users.csv.gz")
    job_id = in_objects.ask_for_file(url)
    in_objects.run_one()
    row = in_objects.row(job_id)
    assert (row["inserted_nodes"], row["duplicate_nodes"], row["rejected_nodes"]) == (1900, 100, 1)
    assert in_objects.nodes()["u-7"] == {"name": "name 1907", "n": "1907"}
    answer = in_objects.answer(job_id)
    assert len(answer["successList"]) == 1_900
    assert answer["failedList"] == ["u-x"]
    assert staged(in_objects) == []
    folder = in_objects.settings.staging_dir
    assert folder is not None
    assert not folder.exists()


def test_what_dead_runs_left_is_swept(in_objects: Deployment) -> None:
    """Earlier attempts with the job that ends, the rest by age, but for jobs that run."""
    done = in_objects.ask_for_references(["u-1"])
    running = in_objects.ask_for_references(["u-2"])
    put(in_objects.database, running, status="RUNNING", attempt=1, dagster_run_id="run")
    store = ObjectStore.from_settings(in_objects.settings)
    areas = staging_areas(in_objects.settings, store)
    for name in (area_name(done, 1), area_name(done, 2), area_name(done, 3), area_name(running, 1)):
        with areas.area(name).write("segment-00000") as file:
            file.write(b"rows")
    with store.write(f"{STAGING_PREFIX}not-ours/file", "text/plain") as file:
        file.write(b"whatever")

    remove_areas_of(areas, done, 2)
    assert f"{STAGING_PREFIX}{area_name(done, 1)}/segment-00000" not in staged(in_objects)
    assert f"{STAGING_PREFIX}{area_name(done, 3)}/segment-00000" in staged(in_objects)

    own = in_objects.tenant.database
    assert remove_stale_areas(areas, own) == 0
    assert remove_stale_areas(areas, own, older_than=-3_600) == 1
    assert staged(in_objects) == [
        f"{STAGING_PREFIX}{area_name(running, 1)}/segment-00000",
        f"{STAGING_PREFIX}not-ours/file",
    ]
