"""What producers send: messages and files, made from a seed, each with what is known of it.

Nothing here asks the importer: what a row means is known because it was made so.
"""

from __future__ import annotations

import csv
import gzip
import io
import itertools
import json
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any
from uuid import UUID, uuid4

# Of requests, whoever makes them: a comparison tells them apart by it.
_NUMBERS = itertools.count(1)
TYPES = ("USER", "PRODUCT", "RESOURCE")
KEYS = ("name", "city", "note", "grade")


class Kind(StrEnum):
    """What is asked for, and what is wrong with it."""

    FILE = "file"
    MISSING_FILE = "missing file"
    CORRUPT_FILE = "corrupt file"
    REFERENCES = "references"
    NO_JSON = "no JSON"
    UNKNOWN_GROUP = "unknown group"
    TWO_SOURCES = "two sources"


# Kinds that never become a job, and the code that their dead letter gives.
REFUSED = {
    Kind.NO_JSON: "INVALID_JSON",
    Kind.UNKNOWN_GROUP: "UNKNOWN_GROUP",
    Kind.TWO_SOURCES: "AMBIGUOUS_SOURCE",
}
# Kinds whose job fails as a whole, and with which code.
FAILING = {Kind.MISSING_FILE: "FILE_NOT_FOUND", Kind.CORRUPT_FILE: "CORRUPT_GZIP"}


@dataclass(frozen=True, slots=True)
class Row:
    """One row of a file, or one entry of a list; `code` says what is wrong with it."""

    reference: str
    type: str = "USER"
    values: Mapping[str, str] = field(default_factory=dict)
    code: str | None = None


@dataclass(frozen=True, slots=True)
class Request:
    """One message. `rows` are those of its file or list, in order; `file` is the object's bytes."""

    number: int
    domain: str
    group: str
    kind: Kind
    rows: tuple[Row, ...] = ()
    file: bytes | None = None
    file_name: str = ""
    fields: tuple[str, ...] = ()

    @property
    def is_file(self) -> bool:
        """Whether its job is a file import."""
        return self.kind in {Kind.FILE, Kind.MISSING_FILE, Kind.CORRUPT_FILE}

    @property
    def makes_job(self) -> bool:
        """Whether intake accepts it."""
        return self.kind not in REFUSED

    def mended(self) -> Request:
        """The same message after its file was put where it says."""
        assert self.kind is Kind.MISSING_FILE
        return replace(self, kind=Kind.FILE)

    def value(self, domain_id: UUID, bucket: str) -> bytes:
        """The message."""
        if self.kind is Kind.NO_JSON:
            return b'{"domainId": '
        document: dict[str, Any] = {"domainId": str(domain_id), "groupId": self.group}
        if self.kind is Kind.UNKNOWN_GROUP:
            document["groupId"] = "nobody-made-this-group"
        if self.kind is not Kind.REFERENCES:
            document["filePath"] = f"s3://{bucket}/{self.key}"
        if self.kind in {Kind.REFERENCES, Kind.TWO_SOURCES}:
            document["referenceIds"] = [row.reference for row in self.rows] or ["r"]
        return json.dumps(document).encode()

    @property
    def key(self) -> str:
        """Where its file lies in the bucket."""
        return f"in/{self.domain}/{self.file_name}"


def file_bytes(rows: Sequence[Row], fields: Sequence[str]) -> bytes:
    """The rows as CSV."""
    return b"".join(line.encode() for line in [header(fields), *record_lines(rows, fields)])


def header(fields: Sequence[str]) -> str:
    """The header record."""
    return _record(["id", "type", *fields])


def record_lines(rows: Sequence[Row], fields: Sequence[str]) -> list[str]:
    """A record a row, with its line end."""
    return [_record(_cells(row, fields)) for row in rows]


def _cells(row: Row, fields: Sequence[str]) -> list[str]:
    cells = [row.reference, row.type, *(row.values.get(name, "") for name in fields)]
    return [*cells, "one too many"] if row.code == "COLUMN_COUNT_MISMATCH" else cells


def _record(cells: Sequence[str]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerow(cells)
    return text.getvalue()


class Producer:
    """Makes requests of one seed."""

    def __init__(self, seed: int | random.Random) -> None:
        self._random = seed if isinstance(seed, random.Random) else random.Random(seed)
        # Two producers of one world must not write over each other's files.
        self._name = f"{self._random.getrandbits(32):08x}"

    def file(
        self,
        domain: str,
        group: str,
        *,
        rows: int,
        bad: float = 0.0,
        kind: Kind = Kind.FILE,
        references: int | None = None,
        compressed: bool | None = None,
    ) -> Request:
        """A file of so many rows over about `references` references; `bad` is the share of bad.

        References overlap between the files of a group, so that later files update nodes.
        """
        choose = self._random
        fields = tuple(sorted(choose.sample(KEYS, choose.randint(1, len(KEYS)))))
        pool = references or max(1, int(rows * 1.2))
        made = tuple(self._row(choose.randrange(pool), fields, bad) for _ in range(rows))
        content = file_bytes(made, fields)
        if compressed is None:
            compressed = choose.random() < 0.5
        if kind is Kind.CORRUPT_FILE:
            content = gzip.compress(content)[:-12]
        elif compressed:
            content = gzip.compress(content)
        number = self._next()
        name = f"{self._name}-{number:03}.csv{'.gz' if compressed else ''}"
        return Request(number, domain, group, kind, made, content, name, fields)

    def references(self, domain: str, group: str, *, count: int, bad: bool = False) -> Request:
        """A list, in which some references come twice; a bad one has an empty entry."""
        choose = self._random
        rows = [Row(f"list-{choose.randrange(2 * count)}") for _ in range(count)]
        if bad:
            rows.insert(choose.randrange(count), Row("", code="MISSING_REFERENCE_ID"))
        return Request(self._next(), domain, group, Kind.REFERENCES, tuple(rows))

    def refused(self, domain: str, group: str, kind: Kind) -> Request:
        """A message that cannot become a job."""
        return Request(self._next(), domain, group, kind, file_name="nothing.csv")

    @staticmethod
    def _next() -> int:
        return next(_NUMBERS)

    def _row(self, number: int, fields: Sequence[str], bad: float) -> Row:
        choose = self._random
        reference = f"ref-{number}"
        node_type = choose.choices(TYPES, (8, 1, 1))[0]
        values = {name: self._value(name) for name in fields if choose.random() < 0.8}
        if choose.random() >= bad:
            return Row(reference, node_type, values)
        code = choose.choice(("INVALID_TYPE", "MISSING_REFERENCE_ID", "COLUMN_COUNT_MISMATCH"))
        if code == "INVALID_TYPE":
            return Row(f"bad-{number}", "ROBOT", values, code)
        if code == "MISSING_REFERENCE_ID":
            return Row("", node_type, values, code)
        return Row(f"bad-{number}", node_type, values, code)

    def _value(self, name: str) -> str:
        choose = self._random
        text = f"{name} {choose.randrange(4)}"
        return choose.choices(
            (text, f'{text}, "quoted"', f"{text}\nanother line", f" {text} ü"), (8, 1, 1, 1)
        )[0]


def any_id() -> str:
    """A name that nobody used: topics outlive a case."""
    return uuid4().hex[:8]
