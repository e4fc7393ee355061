"""Every setting: typed, documented, validated once. docs/settings.md is made from this file.

Settings come from environment variables `NODE_IMPORT_…`, from a `.env` file in the working
directory, and from files named after the variables in `NODE_IMPORT_SECRETS_DIR`. Lists are
comma-separated. Nothing is read at import.
"""

from __future__ import annotations

import json
import os
import re
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

from pydantic import Field, SecretStr, ValidationError, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from node_import.errors import UsageError
from node_import.sizes import GIB, KIB, MIB

PREFIX = "NODE_IMPORT_"
NameList = Annotated[tuple[str, ...], NoDecode]
AnySettings = TypeVar("AnySettings", bound="RunSettings")


class RunSettings(BaseSettings):
    """How imports are run: what the Dagster definitions need to know. All have defaults."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX,
        env_file=".env",
        env_file_encoding="utf-8",
        extra="ignore",
        frozen=True,
        hide_input_in_errors=True,
    )

    executor: Literal["in_process", "multiprocess", "k8s", "celery"] = Field(
        default="in_process", description="How Dagster runs the steps of one import."
    )
    load_connections: int = Field(
        default=2, ge=1, le=64, description="Connections over which one import is loaded."
    )
    max_concurrent_runs: int = Field(
        default=10, ge=1, description="Imports that run at once, over all tenants."
    )
    max_attempts: int = Field(
        default=3, ge=1, description="Tries of a transient failure; also of a run that died."
    )
    group_max_jobs: int = Field(
        default=250, ge=1, description="Most reference-list jobs that share one run."
    )
    group_max_references: int = Field(
        default=50_000, ge=1, description="Most references that share one run."
    )
    intake_max_messages: int = Field(
        default=5_000, ge=1, description="Most messages that one sensor tick reads."
    )
    intake_seconds: float = Field(
        default=20.0,
        gt=0,
        le=45,
        description="Longest time that one sensor tick reads; Dagster gives a tick 60 s.",
    )
    intake_max_refusals: int = Field(
        default=1_000,
        ge=0,
        description="Messages of one topic that are refused in a row for an unknown domain or "
        "group before its reading stops and is tried again now and then; 0 means never.",
    )
    intake_linger_seconds: float = Field(
        default=4.0,
        ge=0,
        le=30,
        description="How long a sensor tick that found nothing waits for requests; Dagster begins "
        "ticks every 5 s.",
    )
    sensor_interval: int = Field(
        default=1, ge=1, description="Least seconds between two ticks of the request sensor."
    )
    run_retention_days: int = Field(
        default=30,
        ge=1,
        description="Days that Dagster keeps ended runs, their logs and their partitions; the "
        "job table keeps every import.",
    )
    heartbeat_seconds: float = Field(
        default=5.0, gt=0, description="How often a running import says that it is alive."
    )
    heartbeat_expiry: float = Field(
        default=60.0, gt=0, description="Silence after which a running import counts as dead."
    )

    shutdown_grace_seconds: float = Field(
        default=20.0,
        ge=0,
        description="How long slices may go on that are being loaded when their worker is told to "
        "stop (SIGTERM). Keep it some seconds below what Docker or Kubernetes allows, 30 s.",
    )

    @property
    def shares_no_disk(self) -> bool:
        """Whether steps of one import may run on several machines."""
        return self.executor in {"celery", "k8s"}

    @property
    def works_side_by_side(self) -> bool:
        """Whether several steps of one import may run at once."""
        return self.executor != "in_process"


class Settings(RunSettings):
    """The settings of one deployment. Sizes are bytes, times are seconds."""

    # PostgreSQL
    postgres_dsn: SecretStr = Field(
        description="Where the importer connects, as its own role `ni_importer`.",
        examples=["postgresql://ni_importer:secret@db:5432/node_import"],
    )
    postgres_admin_dsn: SecretStr | None = Field(
        default=None,
        description="A role that may create roles and tables; `migrate` and `stack` alone use it.",
    )
    statement_timeout: float = Field(
        default=300.0,
        gt=0,
        description="Longest time one statement of the importer may take. Small slices get less.",
    )
    lock_timeout: float = Field(
        default=30.0,
        gt=0,
        description="Longest wait for a lock that somebody else holds. Small slices wait less.",
    )

    # Kafka
    kafka_bootstrap_servers: str = Field(
        description="Brokers to start from.", examples=["kafka:9092"]
    )
    kafka_config: SecretStr = Field(
        default=SecretStr("{}"),
        description="JSON object handed to librdkafka as it is: TLS, SASL and the like.",
    )
    kafka_group_id: str = Field(
        default="node-import",
        description="Consumer group whose offsets mirror the positions, for lag tools.",
    )
    request_topic_pattern: str = Field(
        default=r"^(?P<domain>[a-z0-9][a-z0-9._-]*)-users$",
        description="Which topics hold requests; the group `domain` names the tenant.",
    )
    request_topic_exclude: NameList = Field(
        default=(), description="Topics that match the pattern and are left alone."
    )
    status_topic: str = Field(
        default="nodes-transfer-job-status", description="Where status messages go."
    )
    dlt_suffix: str = Field(
        default="-dlt", min_length=1, description="Dead-letter topic = request topic + suffix."
    )
    replay_max_attempts: int = Field(
        default=10, ge=1, description="Tries of a message after which `dlq replay` needs --force."
    )
    status_max_bytes: int = Field(
        default=900 * KIB,
        ge=320 * KIB,  # above the list of a job that was given up, with room for the other fields
        description="Past this size a status message's lists are cut.",
    )

    # Dagster
    celery_broker_url: SecretStr | None = Field(
        default=None,
        description="Where the executor `celery` puts steps for its workers.",
        examples=["redis://redis:6379/0"],
    )
    celery_backend_url: SecretStr | None = Field(
        default=None, description="Where Celery's workers put their answers; unset: the broker."
    )
    webserver_url: str | None = Field(
        default=None,
        pattern=r"^https?://[^/]",
        description="Dagster's webserver, through which `backfill` launches runs.",
        examples=["http://dagster:3000"],
    )

    # Object store
    s3_endpoint_url: str | None = Field(
        default=None,
        description="Endpoint of MinIO or another S3; unset means Amazon S3.",
        examples=["http://minio:9000"],
    )
    s3_endpoint_aliases: NameList = Field(
        default=(), description="Further HOST:PORT names under which producers know the endpoint."
    )
    s3_access_key: str | None = Field(default=None, description="Access key.")
    s3_secret_key: SecretStr | None = Field(default=None, description="Secret key.")
    s3_region: str = Field(default="us-east-1", description="Region.")
    s3_ca_file: Path | None = Field(
        default=None, description="CA certificates for an https endpoint of your own."
    )
    s3_bucket: str = Field(
        default="node-import",
        description="Bucket for what the importer itself writes: reject files, full lists, "
        "uploads of `submit`.",
    )
    file_roots: NameList = Field(
        default=(), description="Folders from which file:// and plain paths may be read."
    )

    # Reading files
    reference_columns: NameList = Field(
        default=("reference_id", "ref_id", "external_id", "id"),
        description="Normalised names of the reference column, in order of preference.",
    )
    max_file_bytes: int = Field(
        default=5 * GIB, gt=0, description="Largest object that is read, as it lies in the store."
    )
    max_decompressed_bytes: int = Field(
        default=100 * GIB, gt=0, description="Most bytes that one file may decompress to."
    )
    max_value_bytes: int = Field(default=64 * KIB, gt=0, description="Longest metadata value.")
    max_record_bytes: int = Field(
        default=MIB, gt=0, description="Longest record; a quoted field must close by this byte."
    )
    max_rejects: int = Field(
        default=1_000_000, ge=0, description="More rejected rows than this end the import."
    )
    block_bytes: int = Field(
        default=8 * MIB, ge=1, description="CSV read and parsed at a time; never changes a result."
    )
    staging: Literal["local", "objects"] | None = Field(
        default=None,
        description="Where rows are staged between reading and loading: in a folder of this "
        "machine (`local`) or in the importer's bucket (`objects`). Unset means `objects` if the "
        "executor is `celery` or `k8s`, whose steps share no disk, and `local` otherwise.",
    )
    staging_dir: Path | None = Field(
        default=None,
        description="Folder for rows staged on this machine; unset means `node-import` in the "
        "system's temporary folder.",
    )

    @field_validator(
        "request_topic_exclude",
        "s3_endpoint_aliases",
        "file_roots",
        "reference_columns",
        mode="before",
    )
    @classmethod
    def _split_list(cls, value: object) -> object:
        if isinstance(value, str):
            return tuple(part.strip() for part in value.split(",") if part.strip())
        return value

    @field_validator("request_topic_pattern")
    @classmethod
    def _pattern_names_domain(cls, value: str) -> str:
        try:
            groups = re.compile(value).groupindex
        except re.error as error:
            message = f"is no regular expression: {error}"
            raise ValueError(message) from None
        if "domain" not in groups:
            message = "needs a group named domain: (?P<domain>…)"
            raise ValueError(message)
        return value

    @field_validator("kafka_config")
    @classmethod
    def _config_is_object(cls, value: SecretStr) -> SecretStr:
        try:
            parsed = json.loads(value.get_secret_value() or "{}")
        except ValueError:
            parsed = None
        if not isinstance(parsed, dict):
            message = 'must be a JSON object, such as {"security.protocol": "SSL"}'
            raise ValueError(message)  # noqa: TRY004 - pydantic wants a ValueError
        return value

    @property
    def stages_in_objects(self) -> bool:
        """Whether rows are staged in the importer's bucket."""
        return (self.staging or ("objects" if self.shares_no_disk else "local")) == "objects"

    def kafka_client_config(self) -> dict[str, Any]:
        """What every Kafka client of ours starts from."""
        config: dict[str, Any] = json.loads(self.kafka_config.get_secret_value() or "{}")
        return {"bootstrap.servers": self.kafka_bootstrap_servers, **config}


def load_settings(**overrides: Any) -> Settings:
    """The settings of this process; a missing or wrong one is a UsageError that names it.

    Secrets may lie in files (Docker and Kubernetes mount them so): with
    `NODE_IMPORT_SECRETS_DIR=/run/secrets`, the file `/run/secrets/node_import_postgres_dsn`
    gives `NODE_IMPORT_POSTGRES_DSN`.
    """
    return _load(Settings, overrides)


def load_run_settings() -> RunSettings:
    """The part of the settings that needs no services; a wrong one is a UsageError."""
    return _load(RunSettings, {})


@lru_cache(maxsize=1)
def settings_of_this_process() -> Settings:
    """`load_settings()`, read once a process."""
    return load_settings()


def _load(kind: type[AnySettings], overrides: dict[str, Any]) -> AnySettings:
    try:
        return kind(_secrets_dir=os.environ.get(f"{PREFIX}SECRETS_DIR"), **overrides)
    except ValidationError as error:
        raise UsageError(_explain(error)) from None


def _explain(error: ValidationError) -> str:
    """One line that names every missing or wrong setting; never a value, it may be a secret."""
    problems = []
    for detail in error.errors(include_input=False, include_url=False):
        name = PREFIX + "_".join(str(part) for part in detail["loc"]).upper()
        if detail["type"] == "missing":
            problems.append(f"{name} is not set")
        else:
            problems.append(f"{name} {detail['msg'].removeprefix('Value error, ')}")
    hint = "set it in the environment or in .env; `node-import stack env` prints a working set"
    return "; ".join(problems) + f" ({hint})"
