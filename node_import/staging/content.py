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
    columns = {key: f"v{index}" for index, key in enumerate(metadata_keys)}
    pieces = [pl.col("type") + _END]
    pieces += [pl.lit(f"{key}{_END}") + pl.col(columns[key]) + _END for key in sorted(columns)]
    content = pl.concat_str(pieces, ignore_nulls=True).alias(CONTENT_HASH)
    hashed = plh.col(CONTENT_HASH).nchash.xxhash64().reinterpret(signed=True)
    return rows.with_columns(rows.select(content).select(hashed))
