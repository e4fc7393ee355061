"""The rows of one slice as they go to PostgreSQL."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import polars as pl

from node_import.loading.node_ids import node_ids
from node_import.sizes import MIB

# A block of COPY data in memory at a time; the server reads 64 KiB at a time anyway.
BLOCK_BYTES = 4 * MIB

NODE_COLUMNS = ("ord", "node_id", "reference_id", "type", "content_hash")


@dataclass(frozen=True, slots=True)
class SliceRows:
    """One row a reference, sorted by it; `duplicate` earlier rows of the same references are gone.

    So are `unchanged` rows, which are known to be stored as they are; `is_new` says that the others
    are known not to be stored. Columns: those of `NODE_COLUMNS` and the staged `v0`…`vN`. `ord` is
    the place in the order of references, `node_id` the id that the node gets if it is new.
    """

    rows: pl.DataFrame
    duplicate: int
    unchanged: int = 0
    is_new: bool = False


def last_of_each_reference(staged: pl.DataFrame) -> pl.DataFrame:
    """Of each reference the last row in file order, sorted by reference.

    polars compares text by its bytes, as PostgreSQL does under the collation `C`.
    """
    is_last = pl.col("reference_id").ne_missing(pl.col("reference_id").shift(-1))
    return staged.sort("reference_id", maintain_order=True).filter(is_last)


def prepared_rows(
    staged: pl.DataFrame, unchanged: pl.Series | None = None, *, is_new: bool = False
) -> SliceRows:
    """What has to be loaded of a slice, but for the rows of the references in `unchanged`."""
    distinct = rows = last_of_each_reference(staged)
    if unchanged is not None and unchanged.len():
        known_rows = pl.DataFrame({"reference_id": unchanged})
        rows = distinct.join(known_rows, on="reference_id", how="anti", maintain_order="left")
    duplicate, known = staged.height - distinct.height, distinct.height - rows.height
    rows = rows.with_row_index("ord").with_columns(node_ids(rows.height))
    return SliceRows(rows, duplicate, known, is_new)


def rows_with_values(rows: pl.DataFrame, stored: Sequence[tuple[int, str | None]]) -> pl.DataFrame:
    """The rows whose values are needed: those of new nodes and of stored ones that may differ.

    `stored` has (ord, node id if it may differ) of the nodes that exist. The result has
    `is_new`, and the id of the stored node instead of a new one.
    """
    if not stored:
        return rows.with_columns(is_new=True)
    known = pl.DataFrame(
        stored, schema={"ord": pl.UInt32, "stored_id": pl.String}, orient="row"
    ).with_columns(is_stored=True)
    joined = rows.join(known, on="ord", how="left", maintain_order="left")
    is_new = pl.col("is_stored").is_null()
    return joined.filter(is_new | pl.col("stored_id").is_not_null()).with_columns(
        is_new=is_new, node_id=pl.coalesce("stored_id", "node_id")
    )


def csv_blocks(rows: pl.DataFrame) -> Iterator[bytes]:
    """`rows` as the text of COPY … (FORMAT csv): null is an empty field, everything else itself.

    polars quotes what PostgreSQL wants quoted: delimiters, quotes, CR and LF. A line `\\.` would
    end the data, but the first column is always a number or an id.
    """
    if rows.is_empty():
        return
    row_bytes = max(1, int(rows.estimated_size()) // rows.height)
    for block in rows.iter_slices(max(1, BLOCK_BYTES // row_bytes)):
        yield block.write_csv(include_header=False).encode()
