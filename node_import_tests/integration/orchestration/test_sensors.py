"""The two sensors, evaluated as Dagster's daemon does, on real services."""

from __future__ import annotations

import json
import os
import threading
import time
from datetime import UTC, datetime
from uuid import uuid4

import dagster as dg
import pytest

from node_import.errors import TransientError
from node_import.orchestration.job import import_job
from node_import.orchestration.resources import KafkaResource
from node_import.orchestration.sensors import recovery_sensor, request_sensor
from node_import.pipeline.leftovers import area_name
from node_import_tests.support.deployment import Deployment, resources
from node_import_tests.support.kafka_messages import produce, read_topic
from node_import_tests.support.ports import random_ports
from node_import_tests.support.tenants import put, rows


@pytest.fixture
def topic(deployment: Deployment) -> str:
    """The tenant's request topic; nobody else's is read."""
    name = f"{deployment.tenant.name}-users"
    deployment.configure(request_topic_pattern=f"^(?P<domain>{deployment.tenant.name})-users$")
    return name


def tick(deployment: Deployment, cursor: str | None = None) -> dg.SensorResult:
    """One tick of the request sensor."""
    sensor = request_sensor(import_job(dg.in_process_executor), deployment.settings)
    context = dg.build_sensor_context(
        instance=deployment.instance, cursor=cursor, resources=resources()
    )
    result = sensor(context)
    assert isinstance(result, dg.SensorResult)
    return result


def request(deployment: Deployment, **changes: object) -> bytes:
    """A valid request for references, but for `changes`."""
    fields = {
        "domainId": str(deployment.tenant.domain_id),
        "groupId": "g",
        "referenceIds": ["u-1"],
    }
    return json.dumps({**fields, **changes}).encode()


def test_messages_become_a_run(deployment: Deployment, topic: str) -> None:
    """A partition to add, a run request for it with a key and tags, and the cursor moves on."""
    lists = [request(deployment), request(deployment, referenceIds=["u-2"])]
    produce(deployment.settings, topic, lists)
    result = tick(deployment)

    [run] = result.run_requests or []
    [added] = result.dynamic_partitions_requests or []
    assert added.partition_keys == [run.partition_key]
    assert run.run_key == f"{run.partition_key}:1"
    assert run.tags["node_import/topic"] == topic
    assert run.tags["node_import/jobs"] == "2"
    assert json.loads(result.cursor or "")[topic]["0"] == 2
    assert tick(deployment, result.cursor).run_requests == []


def test_a_bad_message_is_answered_and_stops_nothing(deployment: Deployment, topic: str) -> None:
    """A tick never raises for it: its dead letter is there, and the good one beside it runs."""
    produce(deployment.settings, topic, [b"{", request(deployment), b"\xff"])
    result = tick(deployment)
    assert len(result.run_requests or []) == 1
    letters = read_topic(deployment.settings, f"{topic}-dlt")
    codes = [letter.header("node-import-error-code") for letter in letters]
    assert codes == [b"INVALID_JSON", b"INVALID_JSON"]


def test_bad_messages_alone_are_told_in_the_tick(deployment: Deployment, topic: str) -> None:
    """A tick without runs says what it read."""
    produce(deployment.settings, topic, [b"{"])
    result = tick(deployment)
    assert result.run_requests == []
    assert str(result.skip_reason.skip_message if result.skip_reason else "").startswith(
        "0 accepted, 1 rejected (INVALID_JSON 1)"
    )


def test_without_kafka_what_has_come_runs(deployment: Deployment, topic: str) -> None:
    """An outage of Kafka keeps no job of the table waiting, and the tick says what is wrong."""
    deployment.ask_for_references(["u-1"])
    nobody = f"127.0.0.1:{random_ports().s3}"
    deployment.configure(kafka_bootstrap_servers=nobody)
    deployment.monkeypatch.setattr("node_import.intake.survey.METADATA_SECONDS", 1.0)
    result = tick(deployment, cursor="{}")
    assert len(result.run_requests or []) == 1
    assert result.cursor == "{}"


def test_without_the_object_store_files_wait(deployment: Deployment, topic: str) -> None:
    """After one that failed for it; the tick says what is wrong, and they go when it is back."""
    failed = deployment.ask_for_file("s3://bucket/away")
    put(
        deployment.database,
        failed,
        status="FAILED",
        failure_code="OBJECT_STORE_UNAVAILABLE",
        finished_at=datetime.now(UTC),
    )
    deployment.ask_for_file("s3://bucket/waits")
    endpoint = deployment.settings.s3_endpoint_url
    deployment.configure(s3_endpoint_url=f"http://127.0.0.1:{random_ports().s3}")
    result = tick(deployment)
    assert result.run_requests == []
    said = str(result.skip_reason.skip_message if result.skip_reason else "")
    assert "file imports wait: OBJECT_STORE_UNAVAILABLE: the object store does not answer" in said
    deployment.configure(s3_endpoint_url=endpoint)
    assert len(tick(deployment).run_requests or []) == 1


def test_a_quiet_tick_waits_for_a_message(deployment: Deployment, topic: str) -> None:
    """What comes while it waits is dispatched by this very tick."""
    tick(deployment)
    deployment.configure(intake_linger_seconds=30.0)
    waits = threading.Event()
    wait_for_requests = KafkaResource.wait_for_requests

    def wait(*arguments: object) -> bool:
        waits.set()
        return wait_for_requests(*arguments)  # type: ignore[arg-type]

    deployment.monkeypatch.setattr(KafkaResource, "wait_for_requests", wait)

    def send() -> None:
        assert waits.wait(30)
        # Neither lock nor connection is held meanwhile: another tick reads.
        held = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'"
        while rows(deployment.database, held) != [(0,)]:
            time.sleep(0.05)
        produce(deployment.settings, topic, [request(deployment)])

    sender = threading.Thread(target=send)
    sender.start()
    result = tick(deployment)
    sender.join()
    assert len(result.run_requests or []) == 1


def test_recovery_sends_puts_back_and_tidies(deployment: Deployment, topic: str) -> None:
    """What a dead run left: its job waits again, its event is sent, old staged rows are gone."""
    done = deployment.import_file("id\nu-1\n")
    with deployment.database.connect() as conn:
        conn.execute("UPDATE job_status_event SET published_at = NULL")
    lost = deployment.ask_for_references(["u-2"])
    put(deployment.database, lost, status="RUNNING", attempt=1, dagster_run_id="gone")
    working = deployment.ask_for_references(["u-3"])
    run = deployment.instance.create_run_for_job(
        import_job(dg.in_process_executor), status=dg.DagsterRunStatus.STARTED
    )
    put(deployment.database, working, status="RUNNING", attempt=1, dagster_run_id=run.run_id)
    with deployment.database.connect() as conn:
        conn.execute("INSERT INTO run_heartbeat (dagster_run_id) VALUES (%s)", [run.run_id])
    folder = deployment.settings.staging_dir
    assert folder is not None
    names = [area_name(lost, 1), area_name(lost, 2), area_name(working, 1), "not-ours"]
    for name in names:
        (folder / name).mkdir(parents=True)
        (folder / name / "segment-00000").write_bytes(b"x")
    two_days_ago = time.time() - 2 * 86_400
    for name in (names[0], names[2], names[3]):
        os.utime(folder / name, (two_days_ago, two_days_ago))

    context = dg.build_sensor_context(instance=deployment.instance, resources=resources())
    said = recovery_sensor()(context)

    assert isinstance(said, dg.SkipReason)
    assert said.skip_message == (
        "1 jobs put back, 0 closed, 0 dead runs reported, 1 events and 0 dead letters sent, "
        "1 staging areas, 0 old runs and 0 old partitions removed."
    )
    assert deployment.row(lost)["status"] == "PENDING"
    assert len(deployment.answers(done)) == 2
    assert deployment.staged() == sorted(names[1:])


def test_staged_rows_are_looked_through_once_an_hour(deployment: Deployment) -> None:
    """A tick within the hour leaves the staging folder alone, one after it looks again."""
    folder = deployment.settings.staging_dir
    assert folder is not None
    left = folder / area_name(uuid4(), 1)

    def tick_with(cursor: str | None) -> str | None:
        left.mkdir(parents=True, exist_ok=True)
        os.utime(left, (time.time() - 2 * 86_400,) * 2)
        context = dg.build_sensor_context(
            instance=deployment.instance, resources=resources(), cursor=cursor
        )
        recovery_sensor()(context)
        return context.cursor

    cursor = tick_with(None)
    assert not left.exists()
    assert tick_with(cursor) == cursor
    assert left.exists()
    tick_with(str(time.time() - 3_700))
    assert not left.exists()


def test_recovery_goes_on_without_kafka(
    deployment: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The outbox waits, the rest is done."""
    from node_import.contracts.error_codes import ErrorCode
    from node_import.orchestration import sensors

    def away(*_: object) -> None:
        raise TransientError(ErrorCode.KAFKA_UNAVAILABLE, "away")

    monkeypatch.setattr(sensors, "publish_outbox", away)
    lost = deployment.ask_for_references(["u-1"])
    put(deployment.database, lost, status="RUNNING", attempt=1, dagster_run_id="gone")
    context = dg.build_sensor_context(instance=deployment.instance, resources=resources())
    recovery_sensor()(context)
    assert deployment.row(lost)["status"] == "PENDING"
