"""What may stand around a reference or a type: Unicode's White_Space property.

Spelled out, because Python's `str.strip()` also takes U+001C to U+001F, which Unicode does not
count (PropList.txt); polars' `strip_chars()` trims by the property. A test keeps the two equal
over every code point.
"""

from __future__ import annotations

WHITE_SPACE = (
    "\t\n\v\f\r \x85\xa0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a"
    "\u2028\u2029\u202f\u205f\u3000"
)


def trimmed(text: str) -> str:
    """`text` without white space at its ends."""
    return text.strip(WHITE_SPACE)
