"""From the `filePath` of a request to the one place it names. Opens nothing, fetches nothing.

A `filePath` comes from a stranger. It is cut by hand and not by `urllib.parse.urlsplit`, which
drops tabs and line feeds and so reads another name than the one that was checked. Whatever is
not plainly one of the four allowed forms is PATH_NOT_ALLOWED.
"""

from __future__ import annotations

import ipaddress
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote_to_bytes

from node_import.contracts.error_codes import ErrorCode
from node_import.errors import PermanentError

MAX_KEY_BYTES = 1024  # docs.aws.amazon.com/AmazonS3/latest/userguide/object-keys.html

# No colon: an access-point ARN, which boto3 takes for a bucket, would leave the endpoint.
_BUCKET = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,254}")
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*):", re.ASCII)
_HTTP_URL = re.compile(r"(https?)://([^/?#]*)(/[^?#]*)?([?#].*)?", re.IGNORECASE | re.DOTALL)
_FILE_URL = re.compile(r"file://(/[^?#]*)([?#].*)?", re.IGNORECASE | re.DOTALL)
_AUTHORITY = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)(?::([0-9]{0,5}))?", re.ASCII)
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_DEFAULT_PORTS = {"http": 80, "https": 443}

HostPort = tuple[str, int]


@dataclass(frozen=True, slots=True)
class S3Location:
    """An object of the configured store, whichever way its request spelled it."""

    bucket: str
    key: str

    @property
    def url(self) -> str:
        """`s3://bucket/key`, the key as it stands; `parse_location` reads it back."""
        return f"s3://{self.bucket}/{self.key}"


@dataclass(frozen=True, slots=True)
class LocalFile:
    """A file of this machine; `path` is absolute and has no links left in it."""

    path: Path

    @property
    def url(self) -> str:
        """`file:///…`, percent-encoded; `parse_location` reads it back."""
        return self.path.as_uri()


ObjectLocation = S3Location | LocalFile


def parse_location(
    file_path: str,
    *,
    endpoint_url: str | None,
    aliases: Sequence[str],
    file_roots: Sequence[str | Path],
) -> ObjectLocation:
    """The place that `file_path` names, by the contract's rules under `filePath`.

    `aliases` are HOST:PORT names (or URLs) of the endpoint; `file_roots` are folders. Links are
    followed, so a path counts by where it leads. Raises PermanentError PATH_NOT_ALLOWED, with
    what is allowed. Whether the file exists is not asked: see `ObjectStore.pin`.
    """
    _check_text(file_path)
    if file_path.startswith("/"):
        return _local_file(file_path, file_roots)
    scheme = _SCHEME.match(file_path)
    match scheme.group(1).lower() if scheme else None:
        case "s3":
            return _from_s3_url(file_path)
        case "http" | "https":
            return _from_http_url(file_path, endpoint_url, aliases)
        case "file":
            return _from_file_url(file_path, file_roots)
        case None:
            raise _refused("it is neither a URL nor a path that begins with /")
        case other:
            raise _refused(f"the scheme {other}: is not supported")


def _check_text(file_path: str) -> None:
    try:
        file_path.encode("utf-8")
    except UnicodeEncodeError:
        raise _refused("it holds a lone surrogate, which no object's name can") from None
    if "\0" in file_path:
        raise _refused("it holds a NUL character")


def _from_s3_url(url: str) -> S3Location:
    """`s3://bucket/key`. The key stands as it is: `?`, `#`, `%` and `..` are characters of it."""
    if url[2:5] != "://":
        raise _refused("an S3 URL begins with s3://")
    bucket, _, key = url[5:].partition("/")
    return _s3_location(bucket, key)


def _from_http_url(url: str, endpoint_url: str | None, aliases: Sequence[str]) -> S3Location:
    """`http(s)://HOST:PORT/bucket/key` of the endpoint; never fetched, only mapped to the key."""
    parts = _HTTP_URL.fullmatch(url)
    if parts is None or _CONTROL.search(url):
        raise _refused("it is no well-formed http URL")
    scheme, authority, path, rest = parts.groups()
    if _host_port(authority, scheme.lower()) not in _allowed_hosts(endpoint_url, aliases, scheme):
        # The authority is not repeated: it may hold a password.
        raise _refused("its host and port are not those of the configured object store")
    _refuse_query(rest)
    bucket, _, key = (path or "/")[1:].partition("/")
    location = _s3_location(_percent_decoded(bucket), _percent_decoded(key))
    if {".", ".."} & set(location.key.split("/")):
        raise _refused("its path has . or .. segments, which URLs resolve and object keys do not")
    return location


def _from_file_url(url: str, roots: Sequence[str | Path]) -> LocalFile:
    """`file:///abs/path`, percent-decoded once."""
    parts = _FILE_URL.fullmatch(url)
    if parts is None:
        raise _refused("a file URL has the form file:///absolute/path")
    _refuse_query(parts.group(2))
    return _local_file(_percent_decoded(parts.group(1)), roots)


def _local_file(path: str, roots: Sequence[str | Path]) -> LocalFile:
    # POSIX leaves two leading slashes to the system; here and on Linux they are one.
    resolved = Path(os.path.realpath("/" + path.lstrip("/")))
    if root_of(resolved, roots) is None:
        raise _refused("it does not lie in a folder from which files may be read")
    return LocalFile(resolved)


def root_of(path: Path, roots: Sequence[str | Path]) -> Path | None:
    """The configured root, links resolved, in which the resolved `path` lies, if any."""
    resolved = (Path(os.path.realpath(root)) for root in roots)
    return next((root for root in resolved if root in path.parents), None)


def _s3_location(bucket: str, key: str) -> S3Location:
    if not _BUCKET.fullmatch(bucket):
        raise _refused("it names no valid bucket")
    if not key:
        raise _refused("it names a bucket but no object in it")
    if len(key.encode("utf-8")) > MAX_KEY_BYTES:
        raise _refused(f"its object key is longer than {MAX_KEY_BYTES} bytes")
    return S3Location(bucket, key)


def _allowed_hosts(endpoint: str | None, aliases: Sequence[str], scheme: str) -> set[HostPort]:
    """The endpoint and its aliases; an alias without a port means the URL's default port."""
    hosts = set()
    for name in ([endpoint] if endpoint else []) + list(aliases):
        parts = _HTTP_URL.fullmatch(name)
        own_scheme, authority = parts.group(1, 2) if parts else (scheme, name)
        host_port = _host_port(authority, own_scheme.lower())
        if host_port is not None:
            hosts.add(host_port)
    return hosts


def _host_port(authority: str, scheme: str) -> HostPort | None:
    """Host in one spelling, and port; None if it is anything else, such as `user:pw@host`."""
    parts = _AUTHORITY.fullmatch(authority)
    if parts is None:
        return None
    host, port = parts.groups()
    if host.startswith("["):
        try:
            host = ipaddress.IPv6Address(host[1:-1]).compressed
        except ValueError:
            return None
    return host.lower(), int(port) if port else _DEFAULT_PORTS[scheme]


def _percent_decoded(text: str) -> str:
    """Once: `%2541` is `%41`, not `A`."""
    try:
        decoded = unquote_to_bytes(text).decode("utf-8")
    except UnicodeDecodeError:
        raise _refused("its percent-encoding is not UTF-8") from None
    if "\0" in decoded:
        raise _refused("it holds a NUL character")
    return decoded


def _refuse_query(rest: str | None) -> None:
    if rest:
        raise _refused("it has a query or a fragment; a ? or # of the name is written %3F or %23")


def _refused(problem: str) -> PermanentError:
    message = (
        f"the filePath is not allowed: {problem}. Allowed are s3://bucket/key, "
        "http(s)://HOST:PORT/bucket/key of the configured object store "
        "(NODE_IMPORT_S3_ENDPOINT_URL, NODE_IMPORT_S3_ENDPOINT_ALIASES), and file:///path or "
        "/path inside a configured folder (NODE_IMPORT_FILE_ROOTS)"
    )
    return PermanentError(ErrorCode.PATH_NOT_ALLOWED, message)
