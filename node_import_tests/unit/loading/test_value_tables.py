"""How values are spread over temporary tables."""

from __future__ import annotations

from node_import.loading.value_tables import MAX_COLUMNS, value_tables


def test_every_key_is_in_one_table_with_its_column() -> None:
    """A thousand keys fit, each with the column that the parser staged it as."""
    keys = [f"key_{number}" for number in range(999)]
    tables = value_tables(keys)
    assert max(len(table.keys) for table in tables) <= MAX_COLUMNS
    pairs = [pair for table in tables for pair in zip(table.keys, table.columns, strict=True)]
    assert sorted(pairs) == sorted((key, f"v{index}") for index, key in enumerate(keys))
    assert len({table.name for table in tables}) == len(tables)


def test_keys_are_in_the_order_of_their_index() -> None:
    """The metadata of a node is inserted in the order of its primary key."""
    assert value_tables(["b", "é", "a"])[0].keys == ("a", "b", "é")


def test_no_metadata_is_no_table() -> None:
    """A list of references needs none."""
    assert value_tables([]) == ()
