"""The smallest code location: one job that runs until it is ended."""

import time

import dagster as dg


@dg.op
def wait_for_the_end() -> None:
    """Ten minutes are for ever in a test."""
    time.sleep(600)


@dg.job
def endless_job() -> None:
    """One step."""
    wait_for_the_end()


@dg.sensor(
    job=endless_job, minimum_interval_seconds=1, default_status=dg.DefaultSensorStatus.RUNNING
)
def start_once(_context: dg.SensorEvaluationContext) -> dg.RunRequest:
    """One run in all: a run key is used once."""
    return dg.RunRequest(run_key="the only one")


defs = dg.Definitions(jobs=[endless_job], sensors=[start_once])
