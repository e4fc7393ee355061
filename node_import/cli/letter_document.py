"""A dead letter as the command line prints it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from node_import.contracts.dead_letter import LetterInfo


def letter_document(
    topic: str, partition: int, offset: int, timestamp_ms: int, key: bytes | None, info: LetterInfo
) -> dict[str, Any]:
    """The fields of the contract but `replayed`, which Kafka does not know."""
    return {
        "topic": topic,
        "partition": partition,
        "offset": offset,
        "timestamp": timestamp_ms,
        "key": readable(key),
        "errorCode": info.error_code,
        "errorMessage": info.error_message,
        "jobId": str(info.job_id) if info.job_id else None,
        "attempts": info.attempts,
        "originalTopic": info.original_topic,
        "originalPartition": info.original_partition,
        "originalOffset": info.original_offset,
    }


def readable(data: bytes | None) -> str | None:
    """Bytes as text; those that are no UTF-8 are spelled out."""
    return None if data is None else data.decode("utf-8", "backslashreplace")
