"""The marked points: where the processes of each kind commit and send, as a clean run shows them.

`test_points.py` kills a process at each, and fails if the importer has come to have others: then
`python -m node_import_tests.faults --list-points` prints this list anew.
"""

from __future__ import annotations

from typing import TypeAlias

Point: TypeAlias = tuple[str, str, int]
"""Kind of process, name of the point, and the how-many-th time that it is reached."""

# The first and second time: of a loop (slices, beats) the others are like the second. Where it
# depends on chance whether there is a second, the list has the first alone.
MOST_TIMES = 2

POINTS: tuple[Point, ...] = (
    ("request_sensor", "daemon: after a run is submitted", 1),
    ("request_sensor", "daemon: after a run is submitted", 2),
    ("request_sensor", "daemon: before a run is submitted", 1),
    ("request_sensor", "daemon: before a run is submitted", 2),
    ("request_sensor", "daemon: tick evaluated", 1),
    ("request_sensor", "intake.consumer.RequestConsumer.commit: after commit to Kafka", 1),
    ("request_sensor", "intake.consumer.RequestConsumer.commit: before commit to Kafka", 1),
    ("request_sensor", "intake.tick.Intake._judge: after commit", 1),
    ("request_sensor", "intake.tick.Intake._judge: before commit", 1),
    ("request_sensor", "intake.tick.Intake._plan: after commit", 1),
    ("request_sensor", "intake.tick.Intake._plan: before commit", 1),
    ("request_sensor", "intake.tick.Intake._send_letters: after send", 1),
    ("request_sensor", "intake.tick.Intake._send_letters: before send", 1),
    ("request_sensor", "intake.tick.Intake._settle: after commit", 1),
    ("request_sensor", "intake.tick.Intake._settle: before commit", 1),
    ("request_sensor", "jobs.dispatch.dispatch: after commit", 1),
    ("request_sensor", "jobs.dispatch.dispatch: after commit", 2),
    ("request_sensor", "jobs.dispatch.dispatch: before commit", 1),
    ("request_sensor", "jobs.dispatch.dispatch: before commit", 2),
    ("run", "jobs.claiming.claim_partition: after commit", 1),
    ("run", "jobs.claiming.claim_partition: after commit", 2),
    ("run", "jobs.claiming.claim_partition: before commit", 1),
    ("run", "jobs.claiming.claim_partition: before commit", 2),
    ("run", "jobs.claiming.hold_claims: after commit", 1),
    ("run", "jobs.claiming.hold_claims: after commit", 2),
    ("run", "jobs.claiming.hold_claims: before commit", 1),
    ("run", "jobs.claiming.hold_claims: before commit", 2),
    ("run", "jobs.closing.close: after commit", 1),
    ("run", "jobs.closing.close: before commit", 1),
    ("run", "jobs.heartbeat.beat: after commit", 1),
    ("run", "jobs.heartbeat.beat: after commit", 2),
    ("run", "jobs.heartbeat.beat: before commit", 1),
    ("run", "jobs.heartbeat.beat: before commit", 2),
    ("run", "loading.slice_transaction.SliceTransaction.load: after commit", 1),
    ("run", "loading.slice_transaction.SliceTransaction.load: after commit", 2),
    ("run", "loading.slice_transaction.SliceTransaction.load: before commit", 1),
    ("run", "loading.slice_transaction.SliceTransaction.load: before commit", 2),
    ("run", "objects.store.ObjectStore.write: after PutObject", 1),
    ("run", "objects.store.ObjectStore.write: after PutObject", 2),
    ("run", "objects.store.ObjectStore.write: before PutObject", 1),
    ("run", "objects.store.ObjectStore.write: before PutObject", 2),
    ("run", "pipeline.close_job._Closing.close: after commit", 1),
    ("run", "pipeline.close_job._Closing.close: before commit", 1),
    ("run", "pipeline.close_job.close_job: after commit", 1),
    ("run", "pipeline.close_job.close_job: before commit", 1),
    ("run", "pipeline.publish_status.publish_status: after commit", 1),
    ("run", "pipeline.publish_status.publish_status: before commit", 1),
    ("run", "publishing.status_publisher._Publisher._send_events: after send", 1),
    ("run", "publishing.status_publisher._Publisher._send_events: before send", 1),
    ("run", "publishing.status_publisher._Publisher._send_letters: after send", 1),
    ("run", "publishing.status_publisher._Publisher._send_letters: before send", 1),
    ("run", "publishing.status_publisher.publish_outbox: after commit", 1),
    ("run", "publishing.status_publisher.publish_outbox: after commit", 2),
    ("run", "publishing.status_publisher.publish_outbox: before commit", 1),
    ("run", "publishing.status_publisher.publish_outbox: before commit", 2),
    ("recovery_sensor", "daemon: tick evaluated", 1),
    ("recovery_sensor", "jobs.listing.ended_partitions: after commit", 1),
    ("recovery_sensor", "jobs.listing.ended_partitions: before commit", 1),
    ("recovery_sensor", "jobs.recovery._release: after commit", 1),
    ("recovery_sensor", "jobs.recovery._release: before commit", 1),
    ("recovery_sensor", "jobs.recovery.recover: after commit", 1),
    ("recovery_sensor", "jobs.recovery.recover: after commit", 2),
    ("recovery_sensor", "jobs.recovery.recover: before commit", 1),
    ("recovery_sensor", "jobs.recovery.recover: before commit", 2),
    ("recovery_sensor", "publishing.status_publisher._Publisher._send_events: after send", 1),
    ("recovery_sensor", "publishing.status_publisher._Publisher._send_events: before send", 1),
    ("recovery_sensor", "publishing.status_publisher._Publisher._send_letters: after send", 1),
    ("recovery_sensor", "publishing.status_publisher._Publisher._send_letters: before send", 1),
    ("recovery_sensor", "publishing.status_publisher.publish_outbox: after commit", 1),
    ("recovery_sensor", "publishing.status_publisher.publish_outbox: after commit", 2),
    ("recovery_sensor", "publishing.status_publisher.publish_outbox: before commit", 1),
    ("recovery_sensor", "publishing.status_publisher.publish_outbox: before commit", 2),
    ("command", "cli.deployment.as_operator: after commit", 1),
    ("command", "cli.deployment.as_operator: after commit", 2),
    ("command", "cli.deployment.as_operator: before commit", 1),
    ("command", "cli.deployment.as_operator: before commit", 2),
    ("command", "replaying.replay.Replayer._send: after send", 1),
    ("command", "replaying.replay.Replayer._send: before send", 1),
)
