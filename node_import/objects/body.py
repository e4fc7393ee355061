"""boto3's streaming body, with our errors."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING

from node_import.sizes import KIB

if TYPE_CHECKING:
    from botocore.response import StreamingBody

# A read that breaks loses what it has got so far: no connection may be so bad that it gets nothing.
PIECE_BYTES = 64 * KIB


class ObjectBody:
    """The bytes of one answer; `translated(url)` turns what breaks while they come into ours."""

    def __init__(
        self,
        body: StreamingBody,
        url: str,
        translated: Callable[[str], AbstractContextManager[None]],
    ) -> None:
        self._body = body
        self._url = url
        self._translated = translated

    def read(self, amount: int) -> bytes:
        """See `node_import.objects.resuming.Body`."""
        with self._translated(self._url):
            return self._body.read(min(amount, PIECE_BYTES))

    def close(self) -> None:
        """Let the connection go."""
        self._body.close()
