"""Which delimiter a file uses, told by its header."""

from __future__ import annotations

import re

CANDIDATES = (b",", b";", b"\t", b"|")

_QUOTED = re.compile(rb'"[^"]*+(?:""[^"]*+)*+"')
_TEXT = re.compile(rb"[^,;\t|\n]*+")


def delimiter_of(data: bytes, limit: int, *, complete: bool) -> bytes | None:
    """The delimiter of the header that begins `data`, or None if more of the file must be read.

    Quoted text is put aside wherever a field of any candidate could begin. A header is judged
    by its first `limit` bytes; `complete` says that the file has no more than `data`.
    """
    counts = dict.fromkeys(CANDIDATES, 0)
    known = complete or len(data) > limit
    position = 0
    while position < min(len(data), limit):
        if data.startswith(b'"', position):
            quoted = _QUOTED.match(data, position)
            if quoted is None or (quoted.end() == len(data) and not known):
                break
            position = quoted.end()
        position = _TEXT.match(data, position).end()  # type: ignore[union-attr]  # matches always
        found = data[position : min(position + 1, limit)]
        if found not in counts:
            known = known or found == b"\n"
            break
        counts[found] += 1
        position += 1
    return max(CANDIDATES, key=counts.__getitem__) if known else None
