"""A well-formed record cut into its fields."""

from __future__ import annotations

import re
from collections.abc import Callable


def field_splitter(delimiter: bytes) -> Callable[[bytes], list[bytes]]:
    """A function from a record without its line end to its values, quotes taken off.

    The record's quotes must be right (`RecordScanner`).
    """
    escaped = re.escape(delimiter)
    find_fields = re.compile(
        rb'(?:"([^"]*+(?:""[^"]*+)*+)"|([^%b]*+))%b' % (escaped, escaped)
    ).findall

    def split(content: bytes) -> list[bytes]:
        if b'"' not in content:
            return content.split(delimiter)
        return [
            quoted.replace(b'""', b'"') if quoted else plain
            for quoted, plain in find_fields(content + delimiter)
        ]

    return split


def unquoted_text(content: bytes, delimiter: bytes) -> bytes:
    """The unquoted fields of a well-formed record, joined by the delimiter."""
    escaped = re.escape(delimiter)
    quoted = rb'(?:(?<=%b)|\A)"[^"]*+(?:""[^"]*+)*+"' % escaped
    return re.sub(quoted, b"", content)
