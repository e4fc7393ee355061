"""Every error code that crosses the border: status messages, dead letters, reject files, terminal.

The codes are fixed by the contract; readers match on them. Each belongs to one family, and the
family decides what becomes of the failure: see :mod:`node_import.errors`.
"""

from __future__ import annotations

from enum import StrEnum


class ErrorCode(StrEnum):
    """A code from the contract; its value is its name on the wire."""

    # A message that cannot become a job: answered by a dead letter, at once.
    INVALID_JSON = "INVALID_JSON"
    SCHEMA_VIOLATION = "SCHEMA_VIOLATION"
    AMBIGUOUS_SOURCE = "AMBIGUOUS_SOURCE"
    UNKNOWN_DOMAIN = "UNKNOWN_DOMAIN"
    DOMAIN_TOPIC_MISMATCH = "DOMAIN_TOPIC_MISMATCH"
    UNKNOWN_GROUP = "UNKNOWN_GROUP"
    MESSAGE_TOO_LARGE = "MESSAGE_TOO_LARGE"

    # A file that cannot be imported: its job is FAILED. (SCHEMA_VIOLATION too, for a header.)
    PATH_NOT_ALLOWED = "PATH_NOT_ALLOWED"
    FILE_NOT_FOUND = "FILE_NOT_FOUND"
    FILE_TOO_LARGE = "FILE_TOO_LARGE"
    FILE_CHANGED = "FILE_CHANGED"
    CORRUPT_GZIP = "CORRUPT_GZIP"
    DECOMPRESSED_TOO_LARGE = "DECOMPRESSED_TOO_LARGE"
    EMPTY_FILE = "EMPTY_FILE"
    NO_REFERENCE_COLUMN = "NO_REFERENCE_COLUMN"
    DUPLICATE_HEADER = "DUPLICATE_HEADER"
    UNSUPPORTED_ENCODING = "UNSUPPORTED_ENCODING"
    TOO_MANY_REJECTS = "TOO_MANY_REJECTS"

    # A row that cannot be imported: it goes to the reject file, the rest of the file is imported.
    MISSING_REFERENCE_ID = "MISSING_REFERENCE_ID"
    REFERENCE_ID_TOO_LONG = "REFERENCE_ID_TOO_LONG"
    INVALID_TYPE = "INVALID_TYPE"
    COLUMN_COUNT_MISMATCH = "COLUMN_COUNT_MISMATCH"
    INVALID_UTF8 = "INVALID_UTF8"
    NUL_CHARACTER = "NUL_CHARACTER"
    MALFORMED_QUOTE = "MALFORMED_QUOTE"
    UNTERMINATED_QUOTE = "UNTERMINATED_QUOTE"
    VALUE_TOO_LONG = "VALUE_TOO_LONG"

    # A job whose file was read to its end and that has rejected rows: FAILED, but no dead letter.
    ROWS_REJECTED = "ROWS_REJECTED"

    # Infrastructure: worth another try until the retries end.
    OBJECT_STORE_UNAVAILABLE = "OBJECT_STORE_UNAVAILABLE"
    DATABASE_UNAVAILABLE = "DATABASE_UNAVAILABLE"
    KAFKA_UNAVAILABLE = "KAFKA_UNAVAILABLE"
    TIMEOUT = "TIMEOUT"
    RUN_DIED = "RUN_DIED"
    CANCELED = "CANCELED"


TRANSIENT_CODES = frozenset(
    {
        ErrorCode.OBJECT_STORE_UNAVAILABLE,
        ErrorCode.DATABASE_UNAVAILABLE,
        ErrorCode.KAFKA_UNAVAILABLE,
        ErrorCode.TIMEOUT,
        ErrorCode.RUN_DIED,
    }
)
