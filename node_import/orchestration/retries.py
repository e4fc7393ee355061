"""Another try of a step whose failure may pass.

Not by giving the job a retry policy: Dagster applies that to interrupts too
(`op_execution_error_boundary` in dagster/_core/execution/plan/utils.py), so that a run canceled in
the UI would begin its step again. A policy only tells how long to wait here.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import dagster as dg

from node_import.settings import RunSettings

_PAUSES = dg.RetryPolicy(delay=1, backoff=dg.Backoff.EXPONENTIAL, jitter=dg.Jitter.PLUS_MINUS)


def is_last_try(context: dg.OpExecutionContext, settings: RunSettings) -> bool:
    """Whether a failure of this step ends it."""
    return context.retry_number >= settings.max_attempts - 1


@contextmanager
def tried_again(context: dg.OpExecutionContext, settings: RunSettings) -> Iterator[None]:
    """An error of the block asks for another try of the step, while there is one."""
    try:
        yield
    except Exception as error:
        if is_last_try(context, settings):
            raise
        raise dg.RetryRequested(
            max_retries=settings.max_attempts - 1,
            seconds_to_wait=_PAUSES.calculate_delay(context.retry_number + 1),
        ) from error
