"""`NodeExchange`, the request: bytes of a message's value become fields or a rejection.

Whatever a producer sends, the answer is one of the two; nothing else is raised. `INVALID_JSON`
says that the bytes are not JSON text that PostgreSQL's jsonb can hold, `SCHEMA_VIOLATION` and
`AMBIGUOUS_SOURCE` that the text says something else than the contract
(`schemas/node_exchange.json`). RFC 8259 lets a reader limit depth, numbers and characters, so
going past those limits counts as `INVALID_JSON` too.
"""

from __future__ import annotations

import json
import re
from codecs import BOM_UTF8
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from math import isfinite
from typing import Any, NoReturn
from uuid import UUID

from node_import.contracts.error_codes import ErrorCode
from node_import.contracts.rejection import Rejection
from node_import.sizes import MIB

# The size of key, value and headers beyond which a message is MESSAGE_TOO_LARGE: Kafka's own
# limit (message.max.bytes) in its default. Longer lists of references belong into a file.
MAX_MESSAGE_BYTES = MIB
# Of one reference, without the white space around it.
MAX_REFERENCE_CHARACTERS = 255

# Deeper text is refused: CPython's own limit depends on how deep the caller already is.
MAX_NESTING = 64

_UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE | re.ASCII)
_LONE_SURROGATE_OR_NUL = re.compile("[\0\ud800-\udfff]")
_KNOWN = frozenset({"domainId", "groupId", "filePath", "referenceIds", "fileName", "contentType"})


@dataclass(frozen=True, slots=True)
class NodeExchange:
    """A request of the right form. Exactly one of `file_path` and `reference_ids` is set.

    `group_id` stands as it was sent: the id of a matching group or the name of one. `fields` is
    the whole message, fields that we do not know included; all of it can be stored as jsonb.
    """

    domain_id: UUID
    group_id: str
    file_path: str | None
    reference_ids: tuple[str, ...] | None
    fields: dict[str, Any]


def decode_node_exchange(value: bytes | None) -> NodeExchange | Rejection:
    """The request that a message's value holds, or why it holds none. Never raises."""
    try:
        return _request(_parse(value))
    except _Refused as refused:
        return refused.rejection


def parse_uuid(text: str) -> UUID | None:
    """A UUID in its usual form, 8-4-4-4-12 hexadecimal digits; None for any other text."""
    return UUID(text) if _UUID.fullmatch(text) else None


class _Refused(Exception):
    def __init__(self, code: ErrorCode, reason: str) -> None:
        self.rejection = Rejection(code, reason)


def _invalid_json(reason: str) -> NoReturn:
    raise _Refused(ErrorCode.INVALID_JSON, reason)


def _violation(reason: str) -> NoReturn:
    raise _Refused(ErrorCode.SCHEMA_VIOLATION, reason)


class _RepeatingObject(dict[str, Any]):
    """A JSON object in which a name stands more than once; the last one counted."""

    __slots__ = ("repeated",)

    def __init__(self, pairs: list[tuple[str, Any]]) -> None:
        super().__init__(pairs)
        counts = Counter(name for name, _ in pairs)
        self.repeated = {name for name, count in counts.items() if count > 1}


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    fields = dict(pairs)
    return fields if len(fields) == len(pairs) else _RepeatingObject(pairs)


def _float(text: str) -> float:
    number = float(text)
    if not isfinite(number):
        _invalid_json("a number is too large")
    return number


_DECODER = json.JSONDecoder(
    object_pairs_hook=_object,
    parse_float=_float,
    parse_constant=lambda name: _invalid_json(f"{name} is not JSON"),
)


def _parse(value: bytes | None) -> dict[str, Any]:
    if not value:
        _invalid_json("the message has no value" if value is None else "the value is empty")
    if value.startswith(BOM_UTF8):
        _invalid_json("the value starts with a byte-order mark")
    try:
        # Not json.loads(bytes), which takes UTF-16 and UTF-32 as well.
        fields = _DECODER.decode(value.decode("utf-8"))
    except UnicodeDecodeError as error:
        _invalid_json(f"not UTF-8 at byte {error.start}")
    except json.JSONDecodeError as error:
        _invalid_json(f"{error.msg} at line {error.lineno}, column {error.colno}")
    except RecursionError:
        _invalid_json(f"nested deeper than {MAX_NESTING} levels")
    except ValueError:  # CPython reads no integer of more than 4,300 digits
        _invalid_json("an integer has too many digits")
    if not isinstance(fields, dict):
        _violation("the value is JSON, but not an object")
    _refuse_what_jsonb_cannot_hold(value, fields)
    return fields


def _refuse_what_jsonb_cannot_hold(value: bytes, fields: dict[str, Any]) -> None:
    """NUL and lone surrogates, which only an escape can bring in, and depth without end."""
    if value.count(b"{") + value.count(b"[") > MAX_NESTING:
        _refuse_depth(fields)
    if b"\\u" in value and any(_LONE_SURROGATE_OR_NUL.search(text) for text in _texts(fields)):
        _invalid_json("text holds a NUL or a lone surrogate")


def _refuse_depth(fields: dict[str, Any]) -> None:
    level: list[Any] = [fields]
    for _ in range(MAX_NESTING):
        level = [child for parent in level for child in _children(parent)]
        if not level:
            return
    _invalid_json(f"nested deeper than {MAX_NESTING} levels")


def _children(container: Any) -> Iterator[Any]:
    values = container.values() if isinstance(container, dict) else container
    return (value for value in values if isinstance(value, dict | list))


def _texts(fields: dict[str, Any]) -> Iterator[str]:
    """Every name and every text, at any depth; with a stack, not by recursion."""
    waiting: list[Any] = [fields]
    while waiting:
        item = waiting.pop()
        if isinstance(item, str):
            yield item
        elif isinstance(item, dict):
            yield from item
            waiting.extend(item.values())
        elif isinstance(item, list):
            waiting.extend(item)


def _request(fields: dict[str, Any]) -> NodeExchange:
    if isinstance(fields, _RepeatingObject) and (repeated := fields.repeated & _KNOWN):
        _violation(f"{min(repeated)} is given more than once")
    for name in ("fileName", "contentType"):
        if not isinstance(fields.get(name), str | None):
            _violation(f"{name} is not a string")
    domain_id, group_id = _domain_id(fields), _group_id(fields)
    file_path, reference_ids = _file_path(fields), _reference_ids(fields)
    if (file_path is None) == (reference_ids is None):
        both = "both filePath and referenceIds are" if file_path else "neither is"
        reason = f"exactly one of filePath and referenceIds must be given; {both}"
        raise _Refused(ErrorCode.AMBIGUOUS_SOURCE, reason)
    return NodeExchange(domain_id, group_id, file_path, reference_ids, fields)


def _domain_id(fields: dict[str, Any]) -> UUID:
    value = fields.get("domainId")
    domain_id = parse_uuid(value) if isinstance(value, str) else None
    if domain_id is None:
        _violation("domainId is missing" if value is None else "domainId is not a UUID")
    return domain_id


def _group_id(fields: dict[str, Any]) -> str:
    value = fields.get("groupId")
    if not isinstance(value, str) or not value:
        _violation("groupId is missing" if value is None else "groupId is not a non-empty string")
    return value


def _file_path(fields: dict[str, Any]) -> str | None:
    value = fields.get("filePath")
    if value is not None and (not isinstance(value, str) or not value):
        _violation("filePath is not a non-empty string")
    return value


def _reference_ids(fields: dict[str, Any]) -> tuple[str, ...] | None:
    """An entry that is empty or too long is a rejected row of the job; the message is in order."""
    value = fields.get("referenceIds")
    if value is None:
        return None
    if not isinstance(value, list) or not value:
        _violation("referenceIds is not a non-empty list")
    if set(map(type, value)) != {str}:
        _violation("referenceIds holds an entry that is not a string")
    return tuple(value)
