"""The types a node can have."""

from __future__ import annotations

from enum import StrEnum


class NodeType(StrEnum):
    """What a node is to the matching engine; its value is what `nodes.type` holds."""

    USER = "USER"
    PRODUCT = "PRODUCT"
    RESOURCE = "RESOURCE"
