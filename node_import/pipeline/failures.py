"""What an error makes of a job: another try of its step or, after the last, the job's failure.

An error that nobody foresaw (a bug, a panic of polars, no memory left) ends like one that was: the
job is FAILED, with `RUN_DIED`, the contract's code for a run that could not finish its work.
Only what says "stop" (an interrupt, a cancel from the UI) is never made an outcome.
"""

from __future__ import annotations

from node_import.contracts.error_codes import ErrorCode
from node_import.errors import NodeImportError, TransientError
from node_import.pipeline.workshop import Run
from node_import.staging.manifest import Failure

# pyo3 derives it from BaseException, and no module exports it: github.com/PyO3/pyo3/issues/3519
_PANIC = "PanicException"


class UnforeseenError(Exception):
    """Stands for a panic on its way to the executor, which tries again what is an `Exception`."""


def failure_of(run: Run, error: BaseException, doing: str) -> Failure:
    """Why the job fails that `error` hit; `doing` is what was being done, as in "reading x.csv".

    Raises:
        BaseException: `error`, if the step has another try that may help, or if it says "stop".
    """
    if isinstance(error, NodeImportError) and not isinstance(error, TransientError):
        return Failure(error.code, error.message)
    is_panic = type(error).__name__ == _PANIC
    if not isinstance(error, Exception) and not is_panic:
        raise error
    if not run.last_try and is_panic:
        raise UnforeseenError(_in_short(error)) from error
    if not run.last_try:
        raise error
    if isinstance(error, NodeImportError):
        return Failure(error.code, error.message)
    if isinstance(error, OSError):  # what the store and the database raise is translated before
        message = f"{doing} failed on the worker's disk: {error.strerror or error}"
        return Failure(ErrorCode.OBJECT_STORE_UNAVAILABLE, message)
    run.log.error("%s failed in a way that nobody foresaw", doing, exc_info=error)
    message = f"{doing} failed in a way that nobody foresaw, see the log of run {run.id}"
    return Failure(ErrorCode.RUN_DIED, f"{message}: {_in_short(error)}")


def _in_short(error: BaseException) -> str:
    """Type and first line: a reason is read on one line of a table."""
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0]}" if lines else type(error).__name__
