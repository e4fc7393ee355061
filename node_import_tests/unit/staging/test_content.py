"""The content hash: stable for ever, and blind to what the contract says does not matter."""

from __future__ import annotations

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from node_import.staging.content import with_content_hash
from node_import_tests.unit.staging.xxh64 import xxh64

TEXT = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), min_size=1)
KEYS = st.text(st.characters(categories=["Ll", "Nd"]), min_size=1, max_size=8)


def content_hash(node_type: str, metadata: dict[str, str | None]) -> int:
    """The hash of one row whose columns are in the order of `metadata`."""
    values = {f"v{index}": [value] for index, value in enumerate(metadata.values())}
    schema = {"type": pl.String, **dict.fromkeys(values, pl.String)}
    rows = pl.DataFrame({"type": [node_type], **values}, schema=schema)
    hashed: int = with_content_hash(rows, list(metadata))["content_hash"].item()
    return hashed


@pytest.mark.parametrize(
    ("node_type", "metadata", "expected"),
    [
        ("USER", {}, 258_816_940_223_528_310),
        ("USER", {"b": "1"}, 3_665_543_287_747_960_523),
        ("PRODUCT", {"a": "x"}, 7_745_050_890_333_411_799),
        ("RESOURCE", {"city": "Zürich", "name": " a\r\nb "}, 2_546_699_772_687_602_584),
    ],
)
def test_values_never_change(
    node_type: str, metadata: dict[str, str | None], expected: int
) -> None:
    """Hashes stored by an earlier version still mean the same content."""
    assert content_hash(node_type, metadata) == expected


@given(st.sampled_from(["USER", "PRODUCT"]), st.dictionaries(KEYS, st.none() | TEXT, max_size=5))
def test_is_xxh64_of_the_canonical_text(node_type: str, metadata: dict[str, str | None]) -> None:
    """The hash is what any XXH64 gives for type and pairs, each ended by a NUL, keys in order."""
    pairs = [f"{key}\0{metadata[key]}\0" for key in sorted(metadata) if metadata[key] is not None]
    unsigned = xxh64("".join([f"{node_type}\0", *pairs]).encode())
    assert content_hash(node_type, metadata) % 2**64 == unsigned


def test_ignores_column_order_and_columns_without_a_value() -> None:
    """Another order of columns, or a column empty for this node, is the same content."""
    plain = content_hash("USER", {"a": "1", "b": "2"})
    assert content_hash("USER", {"b": "2", "x": None, "a": "1"}) == plain


@pytest.mark.parametrize(
    ("node_type", "metadata"),
    [
        ("PRODUCT", {"a": "1", "b": "2"}),
        ("USER", {"a": "1", "b": "3"}),
        ("USER", {"a": "1b", "b": "2"}),
        ("USER", {"a": "2", "b": "1"}),
        ("USER", {"a": "1"}),
        ("USER", {}),
    ],
)
def test_tells_contents_apart(node_type: str, metadata: dict[str, str | None]) -> None:
    """Another type, value or set of keys is another content."""
    assert content_hash(node_type, metadata) != content_hash("USER", {"a": "1", "b": "2"})
