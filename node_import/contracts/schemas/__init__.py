"""The published JSON Schemas (draft-07) of both messages; `docs/contracts/` has copies."""

from __future__ import annotations

import json
from importlib import resources
from typing import Any, Literal

SchemaName = Literal["node_exchange", "nodes_transfer_job_exchange"]


def load_schema(name: SchemaName) -> dict[str, Any]:
    """One of the schemas."""
    text = resources.files(__name__).joinpath(f"{name}.json").read_text(encoding="utf-8")
    schema: dict[str, Any] = json.loads(text)
    return schema
