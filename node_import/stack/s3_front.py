"""What stands before moto in the embedded object store (WSGI).

It lets in only requests with our access key, makes changes durable before they are answered, and
sends objects from disk in pieces. Signatures are not verified: whoever knows the access key,
which is random and kept in the data directory, is in.
"""

from __future__ import annotations

import hmac
import re
from collections.abc import Iterable, Iterator
from typing import IO, TYPE_CHECKING
from urllib.parse import parse_qs

from werkzeug.wrappers import Response

from node_import.sizes import KIB
from node_import.stack.s3_disk import DiskKey, ObjectFolder

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

PIECE = 256 * KIB
DENIED = (
    '<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>{code}</Code>'
    "<Message>{message}</Message></Error>"
)
_CREDENTIAL = re.compile(r"Credential=(?P<key>[^/]+)/[^/]+/[^/]+/s3/")
# Query parameters that do not ask for anything else than the object.
_SIGNING = re.compile(r"x-id|x-amz-.*|awsaccesskeyid|signature|expires", re.IGNORECASE)
_RANGE = re.compile(r"bytes (?P<first>\d+)-(?P<last>\d+)/")


class Front:
    """A WSGI application around moto's."""

    def __init__(self, inner: WSGIApplication, objects: ObjectFolder, access_key: str) -> None:
        self._inner = inner
        self._objects = objects
        self._access_key = access_key

    def __call__(self, environ: WSGIEnvironment, start: StartResponse) -> Iterable[bytes]:
        """Answer one request."""
        if not hmac.compare_digest(_access_key(environ).encode(), self._access_key.encode()):
            return _denied()(environ, start)
        if environ["REQUEST_METHOD"] == "GET":
            return (self._object(environ) or self._inner)(environ, start)
        if environ["REQUEST_METHOD"] == "HEAD":
            return self._inner(environ, start)
        response = Response.from_app(self._inner, environ, buffered=True)
        if response.status_code < 300:
            self._make_durable(environ)
        return response(environ, start)

    def _make_durable(self, environ: WSGIEnvironment) -> None:
        query = parse_qs(environ.get("QUERY_STRING", ""), keep_blank_values=True)
        if "partNumber" in query:
            return
        bucket, key = _bucket_and_key(environ)
        if key and self._objects.newest(bucket, key):
            self._objects.save(bucket, key)
        else:  # a deletion, a bucket, or a way of naming them that we do not read as moto does
            self._objects.save_all()

    def _object(self, environ: WSGIEnvironment) -> WSGIApplication | None:
        """The answer to a plain GET of an object; None for all else, errors among them.

        moto answers a HEAD for the status and the headers: conditions, ranges, metadata.
        """
        query = parse_qs(environ.get("QUERY_STRING", ""), keep_blank_values=True)
        if not all(_SIGNING.fullmatch(name) for name in query):
            return None
        bucket, name = _bucket_and_key(environ)
        while (key := self._objects.newest(bucket, name)) is not None:
            try:
                body = key.data.open("rb")
            except FileNotFoundError:
                continue  # replaced since
            head = Response.from_app(self._inner, {**environ, "REQUEST_METHOD": "HEAD"})
            if self._objects.newest(bucket, name) is key:
                return _from_disk(head, key, body)
            body.close()
        return None


def _from_disk(head: Response, key: DiskKey, body: IO[bytes]) -> WSGIApplication | None:
    if head.status_code not in (200, 206):
        body.close()
        return None
    first, last = 0, key.size - 1
    if head.status_code == 206 and (match := _RANGE.match(head.headers.get("content-range", ""))):
        first, last = int(match["first"]), int(match["last"])
    if key.checksum_type == "COMPOSITE":
        # A checksum of the parts' checksums. moto's HEAD shows it as if it were the object's.
        for name, _ in list(head.headers):
            if name.lower().startswith("x-amz-checksum-"):
                del head.headers[name]
    body.seek(first)
    pieces = _pieces(body, last - first + 1)
    return Response(pieces, head.status, head.headers, direct_passthrough=True)


def _pieces(body: IO[bytes], left: int) -> Iterator[bytes]:
    with body:
        while left > 0 and (piece := body.read(min(PIECE, left))):
            left -= len(piece)
            yield piece


def _bucket_and_key(environ: WSGIEnvironment) -> tuple[str, str]:
    path = environ.get("PATH_INFO", "").encode("latin-1").decode("utf-8", "replace")
    bucket, _, key = path.lstrip("/").partition("/")
    return bucket, key


def _access_key(environ: WSGIEnvironment) -> str:
    """The key that a signed request, or a presigned URL, names for S3."""
    match = _CREDENTIAL.search(environ.get("HTTP_AUTHORIZATION", ""))
    if match:
        return match["key"]
    query = parse_qs(environ.get("QUERY_STRING", ""))
    # Presigned with signature version 4, or 2, which boto3 still makes for endpoints of one's own.
    credential: str = (query.get("X-Amz-Credential") or query.get("AWSAccessKeyId") or [""])[0]
    return credential.partition("/")[0]


def _denied() -> Response:
    message = "The access key is not the one of this store; `node-import stack env` prints it."
    text = DENIED.format(code="InvalidAccessKeyId", message=message)
    return Response(text, 403, content_type="application/xml")
