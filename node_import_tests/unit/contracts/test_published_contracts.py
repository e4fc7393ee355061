"""The schemas, and the documents that explain them."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any, get_args

import pytest
from jsonschema import Draft7Validator, FormatChecker

from node_import.contracts.dead_letter import LETTER_HEADERS
from node_import.contracts.error_codes import ErrorCode
from node_import.contracts.schemas import SchemaName, load_schema
from node_import.contracts.status_message import FIELD_ORDER

DOCS = Path(__file__).parents[3] / "docs" / "contracts"
README = (DOCS / "README.md").read_text(encoding="utf-8")
EXAMPLES: list[dict[str, Any]] = [
    json.loads(block) for block in re.findall(r"```json\n(.*?)```", README, re.DOTALL)
]


@pytest.mark.parametrize("name", get_args(SchemaName))
def test_the_documents_have_the_schemas_of_the_package(name: SchemaName) -> None:
    """Both copies are one schema, and it is valid draft-07."""
    schema = load_schema(name)
    Draft7Validator.check_schema(schema)
    assert json.loads((DOCS / f"{name}.json").read_text(encoding="utf-8")) == schema


def test_every_example_is_valid() -> None:
    """Two requests and a status message."""
    for example in EXAMPLES:
        name: SchemaName = "nodes_transfer_job_exchange" if "jobId" in example else "node_exchange"
        Draft7Validator(load_schema(name), format_checker=FormatChecker()).validate(example)
    assert len(EXAMPLES) == 3


def test_the_schema_of_the_status_message_has_its_fields() -> None:
    """No field that is sent is missing there, and none is there that is never sent."""
    properties = load_schema("nodes_transfer_job_exchange")["properties"]
    assert set(properties) == set(FIELD_ORDER)


def test_every_header_and_every_code_of_a_message_is_explained() -> None:
    """What the code sets, the README names."""
    codes = [code for code in ErrorCode if code.value in README]
    assert set(codes) >= {
        ErrorCode.INVALID_JSON,
        ErrorCode.SCHEMA_VIOLATION,
        ErrorCode.AMBIGUOUS_SOURCE,
        ErrorCode.UNKNOWN_DOMAIN,
        ErrorCode.DOMAIN_TOPIC_MISMATCH,
        ErrorCode.UNKNOWN_GROUP,
        ErrorCode.MESSAGE_TOO_LARGE,
    }
    assert [name for name in sorted(LETTER_HEADERS) if f"`{name}`" not in README] == []
