"""The answer to a message that cannot become a job."""

from __future__ import annotations

from dataclasses import dataclass

from node_import.contracts.error_codes import ErrorCode


@dataclass(frozen=True, slots=True)
class Rejection:
    """Why a message is refused; a value and not an exception, for it is an everyday outcome."""

    code: ErrorCode
    reason: str
