"""What one block of a file turned out to hold."""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl

from node_import.parsing.reject import Reject


@dataclass(frozen=True, slots=True)
class Block:
    """Rows and rejects of some neighbouring records, each in file order.

    `rows` has the columns `line` Int64, `reference_id` String, `type` String (a NodeType), and
    `v0`…`vN` String, null where the value is empty; key i of the header belongs to `vi`.

    `fragment`, nearly always empty, is the beginning or the middle of a record that is too long
    to be held: it stands behind the block's rejects, and the first reject of a later block has
    the end of it.
    """

    rows: pl.DataFrame
    rejects: tuple[Reject, ...]
    fragment: bytes = b""
