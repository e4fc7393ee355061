"""The tree of errors, and what each branch means for the work in hand.

    NodeImportError             has a code from the contract and a sentence for its reader
    ├── TransientError          the same call may succeed later: retry, then fail the job
    ├── PermanentError          will not get better by itself: fail the job, dead letter
    │   └── MessageRejected     the message cannot become a job: dead letter, no job
    ├── ClaimLost               another run holds the job, or it is closed: stop, change nothing
    └── UsageError              wrong settings or arguments: exit code 2

A bad row is no exception: it is a row of the reject file (`node_import.parsing`).
"""

from __future__ import annotations

from node_import.contracts.error_codes import ErrorCode


class NodeImportError(Exception):
    """An expected failure: `code` for machines, `message` for the person who has to act on it."""

    def __init__(self, code: ErrorCode, message: str) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message

    def __reduce__(self) -> tuple[type[NodeImportError], tuple[ErrorCode, str]]:
        """Survive pickling: step workers hand errors to their parent process."""
        return type(self), (self.code, self.message)


class TransientError(NodeImportError):
    """An outage or a conflict that time may heal; the caller may repeat the call."""


class PermanentError(NodeImportError):
    """A failure that a retry cannot heal; the job fails with this code."""


class MessageRejected(PermanentError):
    """A message that cannot become a job.

    Never raised, since intake judges without exceptions: its name is what the dead letter's
    `kafka_dlt-exception-fqcn` says, where Spring Kafka's tools look for a class.
    """


class ClaimLost(Exception):
    """This run no longer holds its job (cancelled, taken over, closed); it must change nothing."""


class UsageError(Exception):
    """A wrong setting or argument, said in one line with what to do about it."""
