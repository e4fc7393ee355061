"""One message becomes an accepted request or a rejection. Pure, and nothing else is raised.

What a message says by itself is decoded first; what it means (whose it is, which job it may
reopen) is judged with the directory of the tick.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TypeAlias
from uuid import UUID

from node_import.contracts.dead_letter import LETTER_HEADERS, DeadLetter, LetterInfo, read_letter
from node_import.contracts.error_codes import ErrorCode
from node_import.contracts.identity import job_id
from node_import.contracts.message import Headers, Message, encode_headers, last_header
from node_import.contracts.node_exchange import (
    MAX_MESSAGE_BYTES,
    NodeExchange,
    decode_node_exchange,
)
from node_import.contracts.rejection import Rejection
from node_import.contracts.topics import RequestTopic
from node_import.intake.directory import Directory
from node_import.jobs.record import JobKind, NewJob

# https://www.w3.org/TR/trace-context/#traceparent-header
_TRACEPARENT = re.compile(rb"[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}")


@dataclass(frozen=True, slots=True)
class Decoded:
    """What a message says by itself.

    `message.identity` is where it came for the first time: a replayed dead letter says so in its
    headers, and `replayed` is then what else they say.
    """

    message: Message
    topic: RequestTopic
    request: NodeExchange | Rejection
    reopens: UUID | None = None
    replayed: LetterInfo | None = None


@dataclass(frozen=True, slots=True)
class Reopening:
    """A replayed dead letter of a job that is FAILED: the job is to run again."""

    job_id: UUID
    domain_id: UUID


Verdict: TypeAlias = NewJob | Rejection | Reopening


def decode(message: Message, topic: RequestTopic) -> Decoded:
    """What `message`, as it was read from `topic`, says by itself."""
    request = _request(message)
    if not message.headers:
        return Decoded(message, topic, request)
    letter = read_letter(message.headers)
    original = letter.original_identity(message.identity.cluster_id)
    if original is None or original.topic != topic.name:
        return Decoded(message, topic, request, letter.job_id)
    return Decoded(replace(message, identity=original), topic, request, letter.job_id, letter)


def judge(
    decoded: Decoded, directory: Directory, failed_jobs: Collection[tuple[UUID, UUID]]
) -> Verdict:
    """What is to be done with a message.

    `failed_jobs` holds (job, its domain) of those jobs that messages ask to reopen and that may
    be; a wish to reopen another one is ignored.
    """
    domain_id = directory.domain(decoded.topic.domain)
    if decoded.reopens and domain_id and (decoded.reopens, domain_id) in failed_jobs:
        return Reopening(decoded.reopens, domain_id)
    request = decoded.request
    if isinstance(request, Rejection):
        return request
    if domain_id is None:
        reason = f"there is no active domain named {decoded.topic.domain!r}"
        return Rejection(ErrorCode.UNKNOWN_DOMAIN, reason)
    if domain_id != request.domain_id:
        reason = f"domainId is not the id of the domain {decoded.topic.domain!r} of this topic"
        return Rejection(ErrorCode.DOMAIN_TOPIC_MISMATCH, reason)
    group_id = directory.group(domain_id, request.group_id)
    if group_id is None:
        reason = f"the domain has no active group {request.group_id[:255]!r}"
        return Rejection(ErrorCode.UNKNOWN_GROUP, reason)
    return _new_job(decoded, request, group_id)


def dead_letter(
    decoded: Decoded, rejection: Rejection, *, consumer_group: str, now: datetime
) -> DeadLetter:
    """The answer to a rejected message; the tries of a replayed one are counted on."""
    before = decoded.replayed
    return DeadLetter(
        message=decoded.message,
        code=rejection.code,
        reason=rejection.reason,
        consumer_group=consumer_group,
        attempts=(before.attempts or 0) + 1 if before else 1,
        first_failed_at=(before.first_failed_at or now) if before else now,
    )


def traceparent_of(headers: Headers) -> str | None:
    """The W3C trace context that a message carries; None if it has none, or none of that form."""
    value = last_header(headers, "traceparent")
    return value.decode("ascii") if value and _TRACEPARENT.fullmatch(value) else None


def _request(message: Message) -> NodeExchange | Rejection:
    size = _size_as_sent(message)
    if size > MAX_MESSAGE_BYTES:
        reason = f"the message has {size} bytes, the limit is {MAX_MESSAGE_BYTES}"
        return Rejection(ErrorCode.MESSAGE_TOO_LARGE, reason)
    return decode_node_exchange(message.value)


def _size_as_sent(message: Message) -> int:
    """Without what a dead letter has added: a replay must not make a message too large."""
    own = tuple(header for header in message.headers if header[0] not in LETTER_HEADERS)
    return replace(message, headers=own).size


def _new_job(decoded: Decoded, request: NodeExchange, group_id: UUID) -> NewJob:
    message, references = decoded.message, request.reference_ids
    return NewJob(
        id=job_id(message.identity),
        identity=message.identity,
        domain_id=request.domain_id,
        group_id=group_id,
        kind=JobKind.FILE if references is None else JobKind.REFERENCES,
        node_type=decoded.topic.node_type,
        request=request.fields,
        reference_count=0 if references is None else len(references),
        traceparent=traceparent_of(message.headers),
        key=message.key,
        value=message.value,
        headers=encode_headers(message.headers),
    )
