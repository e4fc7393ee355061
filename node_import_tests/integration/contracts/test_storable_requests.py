"""Whatever is accepted can be stored."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from psycopg.types.json import Jsonb

from node_import.contracts.node_exchange import NodeExchange, decode_node_exchange
from node_import_tests.support.databases import TestDatabase

texts = st.text(st.characters(), max_size=6)  # lone surrogates and NUL too
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=6,
)
PLAIN = {"domainId": "5f0c954e-9a4b-4a53-8f0a-7c8c1c9ab001", "groupId": "g", "filePath": "p"}


@settings(max_examples=25, deadline=None)
@given(st.lists(st.dictionaries(texts, values, max_size=4), min_size=10, max_size=20))
def test_an_accepted_request_comes_back_from_jsonb(
    module_database: TestDatabase, extras: list[dict[str, Any]]
) -> None:
    """Unknown fields are ignored, and must not break the tick that writes them."""
    encoded = [json.dumps({**extra, **PLAIN}).encode() for extra in extras]
    decoded = [decode_node_exchange(value) for value in encoded]
    accepted = [request.fields for request in decoded if isinstance(request, NodeExchange)]
    with module_database.connect() as conn:
        query = "SELECT value FROM unnest(%s::jsonb[]) WITH ORDINALITY AS v (value, n) ORDER BY n"
        stored = conn.execute(query, [[Jsonb(fields) for fields in accepted]]).fetchall()
    assert [_numbers_alike(row[0]) for row in stored] == [_numbers_alike(it) for it in accepted]


def _numbers_alike(fields: dict[str, Any]) -> Any:
    """jsonb has one kind of number: 4e16 comes back as an integer."""
    return json.loads(json.dumps(fields), parse_int=float)
