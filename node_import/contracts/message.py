"""A Kafka message as it was read, and its headers as bytes that give the same headers back."""

from __future__ import annotations

import json
from base64 import b64decode, b64encode
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TypeAlias

from node_import.contracts.identity import MessageIdentity

# Kafka allows one name several times, and a header without a value.
Headers: TypeAlias = tuple[tuple[str, bytes | None], ...]


@dataclass(frozen=True, slots=True)
class Message:
    """One message of a request topic: where it stands and what it holds."""

    identity: MessageIdentity
    key: bytes | None = None
    value: bytes | None = None
    headers: Headers = ()

    @property
    def size(self) -> int:
        """Bytes of key, value and headers, which is what a broker's limit is about."""
        size = len(self.key or b"") + len(self.value or b"")
        return size + sum(len(name) + len(value or b"") for name, value in self.headers)


@dataclass(frozen=True, slots=True)
class OutgoingMessage:
    """One message to be produced; the partition follows from the key."""

    topic: str
    key: bytes | None
    value: bytes | None
    headers: Headers = ()


def last_header(headers: Iterable[tuple[str, bytes | None]], name: str) -> bytes | None:
    """The value of the last header of that name, which is the one that counts (`lastHeader`)."""
    found = None
    for header, value in headers:
        if header == name:
            found = value
    return found


def encode_headers(headers: Headers) -> bytes:
    """Headers as JSON, `[["name", "base64 of the value" or null], …]`; order and repeats stay."""
    pairs = [
        [name, None if value is None else b64encode(value).decode("ascii")]
        for name, value in headers
    ]
    return json.dumps(pairs, separators=(",", ":")).encode("ascii")


def decode_headers(encoded: bytes | None) -> Headers:
    """What `encode_headers` was given."""
    return tuple(
        (name, None if value is None else b64decode(value))
        for name, value in json.loads(encoded or b"[]")
    )
