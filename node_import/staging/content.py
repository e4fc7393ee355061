"""The content hash: one number for all that an import says of a node beside its reference.

`XXH64(type NUL [key NUL value NUL]…)` with seed 0 over UTF-8, keys in the order of their code
points, keys without a value left out. So neither the order of a file's columns nor a column that
is empty for this node changes it, and since no key and no value holds a NUL, no two contents
give the same text. The hash is stored (`nodes.content_hash`), so its values must never change.
XXH64: github.com/Cyan4973/xxHash/blob/dev/doc/xxhash_spec.md
"""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl
import polars_hash as plh

CONTENT_HASH = "content_hash"
_END = "\0"


def with_content_hash(rows: pl.DataFrame, metadata_keys: Sequence[str]) -> pl.DataFrame:
    """`rows` with a column `content_hash`: Int64, the 64 bits of the hash as PostgreSQL's bigint.

    `rows` has a column `type` and, for each `metadata_keys[i]`, a nullable text column `v{i}`.
    """
    content = pl.concat_str(_pieces(rows, metadata_keys), ignore_nulls=True).alias(CONTENT_HASH)
    hashed = plh.col(CONTENT_HASH).nchash.xxhash64().reinterpret(signed=True)
    return rows.with_columns(rows.select(content).select(hashed))


def _pieces(rows: pl.DataFrame, metadata_keys: Sequence[str]) -> list[pl.Expr]:
    """What the content is joined of.

    A column without nulls goes in as it is, between constants; one with nulls takes its key along
    in a text of its own, which is half as fast.
    """
    columns = {key: f"v{index}" for index, key in enumerate(metadata_keys)}
    pieces, constant = [pl.col("type")], _END
    for key in sorted(columns):
        value = pl.col(columns[key])
        if rows[columns[key]].null_count() == 0:
            pieces += [pl.lit(f"{constant}{key}{_END}"), value]
            constant = _END
        else:
            pieces += [pl.lit(constant), pl.lit(f"{key}{_END}") + value + _END]
            constant = ""
    return [*pieces, pl.lit(constant)]
