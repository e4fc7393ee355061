"""Dead letters on their way out. None is lost for its size: the object store takes its value."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Sequence

from node_import.contracts.dead_letter import DeadLetter, bare, without_value
from node_import.contracts.error_codes import ErrorCode
from node_import.contracts.message import OutgoingMessage
from node_import.errors import PermanentError, TransientError
from node_import.objects.location import ObjectLocation, S3Location
from node_import.objects.store import ObjectStore
from node_import.publishing.confirmed_producer import (
    MAX_MESSAGE_BYTES,
    DeliveryFailure,
    MessageSender,
)
from node_import.settings import Settings

# Puts a value into the object store and returns its URL; raises TransientError if it cannot.
StoreValue = Callable[[bytes], str]
# Gets the value of such a URL.
FetchValue = Callable[[str], bytes]

_FOLDER = "dead-letters"
_KEY = re.compile(rf"{_FOLDER}/([0-9a-f]{{64}})")


def store_in_bucket(settings: Settings, store: ObjectStore | None = None) -> StoreValue:
    """Values go into the importer's bucket, under their hash: a letter sent again overwrites."""

    def store_value(value: bytes) -> str:
        bucket = store or ObjectStore.from_settings(settings)
        key = f"{_FOLDER}/{hashlib.sha256(value).hexdigest()}"
        with bucket.write(key, "application/octet-stream") as target:
            target.write(value)
        return bucket.url_of(key)

    return store_value


def fetch_from_bucket(settings: Settings, store: ObjectStore | None = None) -> FetchValue:
    """Reads back what `store_in_bucket` has put there, and nothing else.

    Whoever may write to a dead-letter topic could name any object; its bytes would be published.

    Raises (when called):
        PermanentError: the URL is none of ours, or the object is gone or another.
        TransientError: OBJECT_STORE_UNAVAILABLE.
    """

    def fetch_value(url: str) -> bytes:
        bucket = store or ObjectStore.from_settings(settings)
        location = bucket.locate(url)
        named = _KEY.fullmatch(_key_in(bucket, location))
        if named is None:
            message = f"{url} is no value that a dead letter went without"
            raise PermanentError(ErrorCode.PATH_NOT_ALLOWED, message)
        with bucket.open(bucket.pin(location)) as source:
            value = source.read(MAX_MESSAGE_BYTES + 1)
        if hashlib.sha256(value).hexdigest() != named[1]:
            message = f"{url} is not what the dead letter went without"
            raise PermanentError(ErrorCode.FILE_CHANGED, message)
        return value

    return fetch_value


def _key_in(bucket: ObjectStore, location: ObjectLocation) -> str:
    if isinstance(location, S3Location) and location.bucket == bucket.bucket:
        return location.key
    return ""


class DeadLetterSender:
    """Produces dead letters to their topics and confirms each."""

    def __init__(self, sender: MessageSender, dlt_suffix: str, store_value: StoreValue) -> None:
        self._sender = sender
        self._dlt_suffix = dlt_suffix
        self._store_value = store_value

    def send(self, letters: Sequence[DeadLetter]) -> list[TransientError | None]:
        """An entry a letter, in order: None if it is in its topic."""
        outgoing = [letter.outgoing(self._dlt_suffix) for letter in letters]
        failures = self._sender.send(outgoing)
        return [
            self._after(letter, failure) if failure is not None else None
            for letter, failure in zip(outgoing, failures, strict=True)
        ]

    def _after(self, letter: OutgoingMessage, failure: DeliveryFailure) -> TransientError | None:
        if not failure.too_large:
            return failure.error
        # A broker refuses a whole batch for one large message, so the letter first goes alone.
        alone = self._send_one(letter)
        if alone is None or not alone.too_large:
            return alone.error if alone else None
        return self._without_value(letter, letter.value or b"")

    def _without_value(self, letter: OutgoingMessage, value: bytes) -> TransientError | None:
        try:
            url = self._store_value(value)
        except TransientError as error:
            return error
        smaller = without_value(letter, url)
        failure = self._send_one(smaller)
        if failure is not None and failure.too_large:
            failure = self._send_one(bare(smaller))
        return failure.error if failure else None

    def _send_one(self, letter: OutgoingMessage) -> DeliveryFailure | None:
        return self._sender.send([letter])[0]
