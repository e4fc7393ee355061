"""The one Definitions object: wiring only."""

from __future__ import annotations

import dagster as dg

from node_import.orchestration.executors import executor_of
from node_import.orchestration.job import import_job
from node_import.orchestration.resources import KafkaResource, MinioResource, PostgresResource
from node_import.orchestration.sensors import recovery_sensor, request_sensor
from node_import.orchestration.step_outputs import bucket_io_manager
from node_import.settings import load_run_settings

_settings = load_run_settings()
_job = import_job(executor_of(_settings))
_step_outputs = {"io_manager": bucket_io_manager} if _settings.shares_no_disk else {}

defs = dg.Definitions(
    jobs=[_job],
    sensors=[request_sensor(_job, _settings), recovery_sensor()],
    resources={
        "postgres": PostgresResource(),
        "minio": MinioResource(),
        "kafka": KafkaResource(),
        **_step_outputs,
    },
)
