"""A deployment in one process: a tenant, the real services, and Dagster runs on demand."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from uuid import UUID

import dagster as dg
import pytest

from node_import.jobs.dispatch import Dispatch, dispatch
from node_import.jobs.inbox import reopen
from node_import.orchestration.dagster_runs import PARTITION_TAG, RUN_KEY_TAG, DagsterRuns
from node_import.orchestration.job import JOB_NAME, import_job
from node_import.orchestration.partitions import PARTITIONS_NAME
from node_import.orchestration.resources import KafkaResource, MinioResource, PostgresResource
from node_import.settings import Settings, settings_of_this_process
from node_import.stack.environment import settings_environment
from node_import_tests.support.databases import TestDatabase
from node_import_tests.support.kafka_messages import Received, read_topic
from node_import_tests.support.tenants import Tenant, job_row, rows

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

COUNTS = ("inserted", "updated", "unchanged", "duplicate", "rejected", "failed")


@dataclass(frozen=True, slots=True)
class Answer:
    """A status message as its consumer gets it."""

    value: dict[str, Any]
    headers: dict[str, bytes | None]


@dataclass
class Deployment:
    """Files go into `bucket`, jobs of `tenant` into `database`, runs into `instance`."""

    settings: Settings
    database: TestDatabase
    tenant: Tenant
    instance: dg.DagsterInstance
    s3: S3Client
    monkeypatch: pytest.MonkeyPatch

    def configure(self, **changes: Any) -> None:
        """Other settings from now on."""
        self.settings = self.settings.model_copy(update=changes)
        for name, value in settings_environment(self.settings).items():
            self.monkeypatch.setenv(name, value)
        settings_of_this_process.cache_clear()

    def upload(self, content: str | bytes, name: str = "users.csv") -> str:
        """Put a file into the store; its URL."""
        data = content.encode() if isinstance(content, str) else content
        self.s3.put_object(Bucket=self.settings.s3_bucket, Key=f"in/{name}", Body=data)
        return f"s3://{self.settings.s3_bucket}/in/{name}"

    def ask_for_file(self, url: str, group: str = "g") -> UUID:
        """A file import has come in."""
        return self._ask(group, 0, {"filePath": url})

    def ask_for_references(self, references: Sequence[str], group: str = "g") -> UUID:
        """A list of references has come in."""
        return self._ask(group, len(references), {"referenceIds": list(references)})

    def _ask(self, group: str, references: int, source: dict[str, Any]) -> UUID:
        request = {"domainId": str(self.tenant.domain_id), "groupId": group, **source}
        value = json.dumps(request).encode()
        job = self.tenant.new_job(group, references=references, request=request, value=value)
        return self.tenant.add(job)[0]

    def dispatch(self) -> list[Dispatch]:
        """What the request sensor would hand to Dagster now."""
        runs = DagsterRuns(self.instance, JOB_NAME)
        return dispatch(self.tenant.database, self.settings, runs)

    def run(self, partition_key: str, run_key: str | None = None) -> dg.ExecuteInProcessResult:
        """One run over the partition, as a re-execution from the UI if it has no run key."""
        self.instance.add_dynamic_partitions(PARTITIONS_NAME, [partition_key])
        tags = {RUN_KEY_TAG: run_key} if run_key else {}
        return import_job(dg.in_process_executor).execute_in_process(
            partition_key=partition_key,
            instance=self.instance,
            tags=tags,
            raise_on_error=False,
            resources=resources(),
        )

    def run_all(self) -> list[dg.ExecuteInProcessResult]:
        """Dispatch what is due and run it."""
        return [self.run(item.partition_key, item.run_key) for item in self.dispatch()]

    def run_one(self) -> dg.ExecuteInProcessResult:
        """The only run that is due."""
        [result] = self.run_all()
        return result

    def import_file(self, content: str | bytes, name: str = "users.csv") -> UUID:
        """Upload, ask, dispatch, run."""
        job_id = self.ask_for_file(self.upload(content, name))
        self.run_one()
        return job_id

    def row(self, job_id: UUID) -> dict[str, Any]:
        """A job's row; its counts add up, and nothing is left in the outbox."""
        row = job_row(self.database, job_id)
        if row["status"] in {"COMPLETED", "FAILED"}:
            counts = {name: row[f"{name}_nodes"] for name in COUNTS}
            assert sum(counts.values()) == row["total_nodes"]
            processed = row["total_nodes"] - counts["rejected"] - counts["failed"]
            assert row["processed_nodes"] == processed
            assert sum(row["rejects_by_code"].values()) == counts["rejected"]
            assert (row["status"] == "COMPLETED") == (row["failure_code"] is None)
        return row

    def answers(self, job_id: UUID) -> list[Answer]:
        """The status messages of a job, in order."""
        messages = read_topic(self.settings, self.settings.status_topic)
        return [
            Answer(json.loads(message.value or b""), dict(message.headers))
            for message in messages
            if message.key == str(job_id).encode()
        ]

    def answer(self, job_id: UUID) -> dict[str, Any]:
        """The value of the only status message of a job."""
        [answer] = self.answers(job_id)
        return answer.value

    def all_answers(self) -> dict[str, dict[str, Any]]:
        """The last status message of every job, by its id."""
        messages = read_topic(self.settings, self.settings.status_topic)
        return {(m.key or b"").decode(): json.loads(m.value or b"") for m in messages}

    def reopen(self, job_id: UUID) -> None:
        """As a replay of its dead letter would."""
        with self.tenant.database.operator() as conn:
            assert reopen(conn, job_id, self.tenant.domain_id)

    def run_tags(self, result: dg.ExecuteInProcessResult) -> Mapping[str, str]:
        """The tags of a run as they are now."""
        run = self.instance.get_run_by_id(result.run_id)
        assert run is not None
        return run.tags

    def letters(self, job_id: UUID) -> list[Received]:
        """The dead letters of a job."""
        topic = f"{self.tenant.name}-users{self.settings.dlt_suffix}"
        return [
            letter
            for letter in read_topic(self.settings, topic)
            if letter.header("node-import-job-id") == str(job_id).encode()
        ]

    def nodes(self, group: str = "g") -> dict[str, dict[str, str]]:
        """The metadata of every node of a group, by reference."""
        found = rows(
            self.database,
            "SELECT n.reference_id, m.metadata_key, m.metadata_value FROM nodes AS n"
            " LEFT JOIN node_metadata AS m ON m.node_id = n.id WHERE n.group_id = %s",
            self.tenant.groups[group],
        )
        nodes: dict[str, dict[str, str]] = {}
        for reference, key, value in found:
            metadata = nodes.setdefault(reference, {})
            if key is not None:
                metadata[key] = value
        return nodes

    def object(self, url: str) -> bytes:
        """An object of the store by its `s3://` URL."""
        bucket, _, key = url.removeprefix("s3://").partition("/")
        return self.s3.get_object(Bucket=bucket, Key=key)["Body"].read()

    def staged(self) -> list[str]:
        """What lies in the staging folder."""
        folder = self.settings.staging_dir
        assert folder is not None
        return sorted(path.name for path in folder.iterdir()) if folder.exists() else []


def resources() -> dict[str, Any]:
    """As the definitions wire them."""
    return {"postgres": PostgresResource(), "minio": MinioResource(), "kafka": KafkaResource()}


@contextmanager
def open_deployment(
    settings: Settings,
    database: TestDatabase,
    tenant: Tenant,
    instance: dg.DagsterInstance,
    s3: S3Client,
) -> Iterator[Deployment]:
    """A deployment whose settings this process sees in its environment."""
    with pytest.MonkeyPatch.context() as monkeypatch:
        deployment = Deployment(settings, database, tenant, instance, s3, monkeypatch)
        deployment.configure(intake_linger_seconds=0.0)
        yield deployment
    settings_of_this_process.cache_clear()


def failure_of(result: dg.ExecuteInProcessResult) -> str:
    """The first line of a red run."""
    [failed] = [event for event in result.all_events if event.event_type_value == "STEP_FAILURE"]
    data = failed.step_failure_data
    assert data.user_failure_data is not None
    return str(data.user_failure_data.description)


def metadata_of(result: dg.ExecuteInProcessResult, step: str) -> dict[str, Any]:
    """What a step shows of its output."""
    shown: dict[str, Any] = {}
    for event in result.all_events:
        if event.step_key == step and event.event_type_value == "STEP_OUTPUT":
            shown |= {
                name: [record.data for record in item.records]
                if isinstance(item, dg.TableMetadataValue)
                else item.value
                for name, item in event.step_output_data.metadata.items()
            }
    return shown


def partition_of(result: dg.ExecuteInProcessResult) -> str:
    """The key that a run worked on."""
    return result.dagster_run.tags[PARTITION_TAG]


def gzipped(text: str) -> bytes:
    """A gzip member."""
    return gzip.compress(text.encode())
