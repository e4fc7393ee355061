"""What an error makes of a job."""

from __future__ import annotations

import pytest

from node_import.contracts.error_codes import ErrorCode
from node_import.errors import PermanentError, TransientError
from node_import.pipeline.failures import UnforeseenError, failure_of
from node_import.pipeline.workshop import Run
from node_import.staging.manifest import Failure


class PanicException(BaseException):
    """What polars raises instead of dying."""


def run(*, last_try: bool) -> Run:
    """A run at one of its tries."""
    return Run("run-1", "key", lambda _: True, last_try=last_try)


def test_what_cannot_get_better_fails_at_once() -> None:
    """A permanent error is the job's failure at the first try."""
    error = PermanentError(ErrorCode.EMPTY_FILE, "the file is empty")
    expected = Failure(ErrorCode.EMPTY_FILE, "the file is empty")
    assert failure_of(run(last_try=False), error, "reading x") == expected


@pytest.mark.parametrize(
    "error",
    [TransientError(ErrorCode.TIMEOUT, "slow"), OSError(28, "No space left"), ZeroDivisionError()],
)
def test_what_may_pass_is_raised_while_there_is_a_try(error: Exception) -> None:
    """The step is tried again."""
    with pytest.raises(type(error)):
        failure_of(run(last_try=False), error, "reading x")


def test_a_panic_is_raised_as_an_error_that_is_tried_again() -> None:
    """The executor would not retry a BaseException."""
    panic = PanicException("out of bounds")
    with pytest.raises(UnforeseenError, match="PanicException: out of bounds"):
        failure_of(run(last_try=False), panic, "reading x")


def test_the_last_try_of_an_outage_is_a_failure_under_its_code() -> None:
    """It keeps code and sentence."""
    error = TransientError(ErrorCode.OBJECT_STORE_UNAVAILABLE, "away")
    expected = Failure(ErrorCode.OBJECT_STORE_UNAVAILABLE, "away")
    assert failure_of(run(last_try=True), error, "reading x") == expected


def test_a_full_disk_is_said_in_its_words() -> None:
    """What is staged has no place."""
    failure = failure_of(run(last_try=True), OSError(28, "No space left on device"), "reading x")
    expected = "reading x failed on the worker's disk: No space left on device"
    assert failure == Failure(ErrorCode.OBJECT_STORE_UNAVAILABLE, expected)


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (ValueError("first\nsecond"), "ValueError: first"),
        (MemoryError(), "MemoryError"),
        (PanicException("boom"), "PanicException: boom"),
    ],
)
def test_what_nobody_foresaw_is_run_died(error: BaseException, said: str) -> None:
    """With what was being done, the run whose log has the trace, and one line of the error."""
    failure = failure_of(run(last_try=True), error, "reading x")
    assert failure.code is ErrorCode.RUN_DIED
    assert failure.message.startswith("reading x failed")
    assert "run-1" in failure.message
    assert failure.message.endswith(said)


@pytest.mark.parametrize("stop", [KeyboardInterrupt(), SystemExit(1), GeneratorExit()])
def test_what_says_stop_is_never_an_outcome(stop: BaseException) -> None:
    """Not even at the last try."""
    with pytest.raises(type(stop)):
        failure_of(run(last_try=True), stop, "reading x")
