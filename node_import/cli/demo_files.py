"""The files of `node-import demo`, and what an import must say about them."""

from __future__ import annotations

import gzip
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from node_import.contracts.error_codes import ErrorCode

HEADER = "reference_id,type,Full Name,eMail,City,Plan,Signed Up\n"
METADATA_COLUMNS = 5
REFERENCES = 25

_FIRST = ("Ada", "Björn", "Chloé", "Đức", "Ελένη", "Фёдор", "明", "さくら", "Noor", "Zoë")
_LAST = ("Lovelace", "Nguyễn", "O'Neil", "Müller", "García", "王", "佐藤", "Ибрагимова")
_CITIES = ("Reykjavík", "São Paulo", "København", "Kraków", "東京", "Αθήνα", '"Den Haag, NL"')
_PLANS = ("free", "team", "enterprise", "")

# The lines of one bad row each, by what is wrong with it. The last one opens a quote that nothing
# closes before the file ends.
_BAD_LINES: tuple[tuple[ErrorCode, bytes], ...] = (
    (ErrorCode.MISSING_REFERENCE_ID, b",USER,No Reference,a@example.com,Oslo,free,2024-01-01\n"),
    (ErrorCode.MISSING_REFERENCE_ID, b'"  ",USER,Blank,b@example.com,Oslo,free,2024-01-01\n'),
    (
        ErrorCode.REFERENCE_ID_TOO_LONG,
        b"x" * 256 + b",USER,Too Long,c@example.com,Oslo,free,2024-01-01\n",
    ),
    (ErrorCode.INVALID_TYPE, b"bad-1,ROBOT,R2 D2,d@example.com,Oslo,free,2024-01-01\n"),
    (ErrorCode.COLUMN_COUNT_MISMATCH, b"bad-2,USER,Too Few\n"),
    (
        ErrorCode.COLUMN_COUNT_MISMATCH,
        b"bad-3,USER,Smith, John,e@example.com,Oslo,free,2024-01-01\n",
    ),
    (ErrorCode.INVALID_UTF8, b"bad-4,USER,M\xfcller,f@example.com,Oslo,free,2024-01-01\n"),
    (ErrorCode.NUL_CHARACTER, b"bad-5,USER,Nul\0,g@example.com,Oslo,free,2024-01-01\n"),
    (ErrorCode.MALFORMED_QUOTE, b'bad-6,USER,"Ann" Lee,h@example.com,Oslo,free,2024-01-01\n'),
    (
        ErrorCode.VALUE_TOO_LONG,
        b"bad-7,USER,Long,i@example.com," + b"o" * 65_537 + b",free,2024-01-01\n",
    ),
    (ErrorCode.UNTERMINATED_QUOTE, b'bad-8,USER,"Open,j@example.com,Oslo,free,2024-01-01\n'),
)


@dataclass(frozen=True, slots=True)
class DemoFile:
    """A gzip CSV: `good` rows that an import must accept, and `rejects` that it must not."""

    path: Path
    good: int
    rejects: Mapping[str, int] = field(default_factory=dict)

    @property
    def rows(self) -> int:
        """All rows."""
        return self.good + sum(self.rejects.values())


def clean_file(folder: Path, users: int) -> DemoFile:
    """`users` good rows with five metadata columns."""
    path = folder / "members.csv.gz"
    _write(path, _user_lines("member", users))
    return DemoFile(path, users)


def dirty_file(folder: Path, users: int) -> DemoFile:
    """`users` good rows and a handful of bad ones among them."""
    path = folder / "prospects.csv.gz"
    _write(path, _with_bad_lines(_user_lines("prospect", users), users))
    rejects: dict[str, int] = {}
    for code, _ in _BAD_LINES:
        rejects[code] = rejects.get(code, 0) + 1
    return DemoFile(path, users, rejects)


def reference_list() -> list[str]:
    """References without a file."""
    return [f"guest-{number:04}" for number in range(1, REFERENCES + 1)]


def _write(path: Path, lines: Iterator[bytes]) -> None:
    # Level 1: the file is made for one reading; level 9 would take five times as long.
    with gzip.open(path, "wb", compresslevel=1) as file:
        file.write(HEADER.encode())
        file.writelines(lines)


def _user_lines(prefix: str, users: int) -> Iterator[bytes]:
    """The same lines for the same number: a second demo finds its rows unchanged."""
    for number in range(1, users + 1):
        first, last = _FIRST[number % len(_FIRST)], _LAST[number % len(_LAST)]
        city, plan = _CITIES[number % len(_CITIES)], _PLANS[number % len(_PLANS)]
        day = f"20{number % 24:02}-{number % 12 + 1:02}-{number % 28 + 1:02}"
        line = (
            f"{prefix}-{number:07},USER,{first} {last},"
            f"{prefix}{number}@example.com,{city},{plan},{day}\n"
        )
        yield line.encode()


def _with_bad_lines(lines: Iterator[bytes], count: int) -> Iterator[bytes]:
    """The bad lines spread among the others, the last of them at the very end."""
    *among, at_end = [line for _, line in _BAD_LINES]
    step = max(count // (len(among) + 1), 1)
    for number, line in enumerate(lines, start=1):
        yield line
        if number % step == 0 and among:
            yield among.pop(0)
    yield from among
    yield at_end
