"""What the object store's refusals mean for the work in hand.

| the store says | reading a request's object | writing, and our own bucket |
|---|---|---|
| no such key or bucket | FILE_NOT_FOUND, permanent | OBJECT_STORE_UNAVAILABLE |
| another ETag, a range past the end | FILE_CHANGED, permanent | – |
| access denied, archived, a name it cannot have | PATH_NOT_ALLOWED, permanent | as above |
| key unknown, signature wrong, token or clock expired | OBJECT_STORE_UNAVAILABLE | as above |
| overload, 5xx, no answer, TLS | OBJECT_STORE_UNAVAILABLE | as above |

Access denied to one object is the fault of the request that named it; credentials that the store
does not know are the deployment's, and must not turn every request into a dead letter at once:
OBJECT_STORE_UNAVAILABLE is transient. Messages say what to do next and never repeat what the
store said beyond its code, which could hold a signature.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from boto3.exceptions import S3UploadFailedError
from botocore import exceptions as boto
from urllib3.exceptions import HTTPError

from node_import.contracts.error_codes import ErrorCode
from node_import.errors import NodeImportError, PermanentError, TransientError

_CREDENTIALS = "check NODE_IMPORT_S3_ACCESS_KEY, NODE_IMPORT_S3_SECRET_KEY and this machine's clock"
_UNKNOWN_CREDENTIALS = frozenset(
    {
        "InvalidAccessKeyId",
        "SignatureDoesNotMatch",
        "ExpiredToken",
        "InvalidToken",
        "TokenRefreshRequired",
        "RequestTimeTooSkewed",
        "AuthorizationHeaderMalformed",
    }
)
_MISSING = frozenset({"NoSuchKey", "NoSuchBucket", "NoSuchVersion", "404", "NotFound"})
_CHANGED = frozenset({"PreconditionFailed", "412", "InvalidRange", "416"})
_MALFORMED = (
    boto.ParamValidationError,
    boto.EndpointProviderError,
    boto.InvalidS3AddressingStyleError,
    boto.UnsupportedS3ArnError,
)


@contextmanager
def reading(url: str) -> Iterator[None]:
    """Turn boto3's errors while the object `url` of a request is read into ours."""
    try:
        yield
    except boto.ClientError as error:
        raise _reading_refused(error, url) from error
    except _MALFORMED as error:
        message = f"{url} is no name that the object store accepts"
        raise PermanentError(ErrorCode.PATH_NOT_ALLOWED, message) from error
    except (boto.BotoCoreError, HTTPError) as error:  # botocore lets some of urllib3's through
        raise _no_answer(error) from error


@contextmanager
def writing(url: str) -> Iterator[None]:
    """Turn boto3's errors while the importer writes `url` into ours."""
    try:
        yield
    except boto.ClientError as error:
        raise _writing_refused(error, url) from error
    except S3UploadFailedError as error:  # boto3's wrapper of a ClientError, as text
        cause = error.__context__
        if isinstance(cause, boto.ClientError):
            raise _writing_refused(cause, url) from error
        raise _no_answer(error) from error
    except (boto.BotoCoreError, HTTPError) as error:
        raise _no_answer(error) from error


@contextmanager
def keeping(url: str) -> Iterator[None]:
    """Turn boto3's errors while the importer reads, lists or deletes what it wrote into ours."""
    try:
        yield
    except boto.ClientError as error:
        raise _keeping_refused(error, url) from error
    except (boto.BotoCoreError, HTTPError) as error:
        raise _no_answer(error) from error


def is_missing_key(error: boto.ClientError) -> bool:
    """Whether the bucket is there and has no such key."""
    return _code(error) == "NoSuchKey"


def is_past_the_end(error: boto.ClientError) -> bool:
    """Whether the range that was asked for begins behind the last byte."""
    return _code(error) in {"InvalidRange", "416"}


def is_vague(error: boto.ClientError) -> bool:
    """Whether a HEAD was refused without a reason: its answer has no body to hold one."""
    return _status(error) in {400, 403}


def _reading_refused(error: boto.ClientError, url: str) -> NodeImportError:
    code = _code(error)
    if code in _MISSING:
        message = f"there is no object {url}"
        return PermanentError(ErrorCode.FILE_NOT_FOUND, message)
    if code in _CHANGED:
        message = f"{url} changed while it was imported; submit it again once it is complete"
        return PermanentError(ErrorCode.FILE_CHANGED, message)
    if code in _UNKNOWN_CREDENTIALS:
        return _unavailable(f"the object store refused the credentials ({code}); {_CREDENTIALS}")
    if 400 <= _status(error) < 500 and not _is_passing(error):
        message = (
            f"the object store refused to hand out {url} ({code}): allow the importer's "
            "credentials s3:GetObject on it, or name an object that they may read"
        )
        return PermanentError(ErrorCode.PATH_NOT_ALLOWED, message)
    return _unavailable(f"the object store could not hand out {url} ({code})")


def _writing_refused(error: boto.ClientError, url: str) -> NodeImportError:
    code = _code(error)
    if code in _UNKNOWN_CREDENTIALS:
        return _unavailable(f"the object store refused the credentials ({code}); {_CREDENTIALS}")
    if code in _MISSING:
        return _unavailable(f"no bucket for {url}: make it, or set NODE_IMPORT_S3_BUCKET")
    if _status(error) == 403:
        hint = "allow the importer's credentials s3:PutObject and s3:AbortMultipartUpload there"
        return _unavailable(f"the object store refused to take {url} ({code}); {hint}")
    return _unavailable(f"the object store failed at {url} ({code})")


def _keeping_refused(error: boto.ClientError, url: str) -> NodeImportError:
    if _status(error) == 403 and _code(error) not in _UNKNOWN_CREDENTIALS:
        hint = "allow the importer's credentials s3:ListBucket, s3:GetObject and s3:DeleteObject"
        return _unavailable(f"the object store keeps {url} from us ({_code(error)}); {hint} there")
    return _writing_refused(error, url)


def _no_answer(error: Exception) -> TransientError:
    name = type(error).__name__
    if isinstance(error, boto.SSLError):
        return _unavailable(f"no TLS with the object store ({name}); set NODE_IMPORT_S3_CA_FILE")
    if isinstance(error, boto.NoCredentialsError | boto.PartialCredentialsError):
        return _unavailable(f"no credentials for the object store; {_CREDENTIALS}")
    hint = "check NODE_IMPORT_S3_ENDPOINT_URL and that the store is up"
    return _unavailable(f"the object store does not answer ({name}); {hint}")


def _unavailable(message: str) -> TransientError:
    return TransientError(ErrorCode.OBJECT_STORE_UNAVAILABLE, message)


def _is_passing(error: boto.ClientError) -> bool:
    """Too many requests, a request that timed out, a conflict with another request."""
    return _status(error) in {408, 409, 425, 429} or _code(error) == "RequestTimeout"


def _code(error: boto.ClientError) -> str:
    return str(error.response.get("Error", {}).get("Code", "unknown"))


def _status(error: boto.ClientError) -> int:
    return int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
