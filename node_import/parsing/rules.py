"""The numbers and names that decide how a file is read; defaults are the contract's."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass

from node_import.contracts.node_exchange import MAX_REFERENCE_CHARACTERS
from node_import.contracts.node_type import NodeType
from node_import.settings import Settings
from node_import.sizes import GIB, KIB, MIB

_NOT_OF_ROWS = {
    "block_bytes",
    "max_header_bytes",
    "max_rejects",
    "max_decompressed_bytes",
    "max_decompression_ratio",
    "ratio_applies_after_bytes",
}


@dataclass(frozen=True, slots=True)
class ParseRules:
    """How one file is read. Sizes are bytes.

    `block_bytes` is a tuning constant and must never change a result; the rest are the limits
    of the contract ("Files").
    """

    default_type: NodeType = NodeType.USER
    reference_columns: tuple[str, ...] = ("reference_id", "ref_id", "external_id", "id")
    block_bytes: int = 8 * MIB
    max_header_bytes: int = MIB
    max_columns: int = 1_000
    max_name_chars: int = 255
    max_reference_chars: int = MAX_REFERENCE_CHARACTERS
    max_record_bytes: int = MIB  # a quoted field must close, and a record end, by this byte
    max_value_bytes: int = 64 * KIB
    max_rejects: int = 1_000_000
    max_decompressed_bytes: int = 100 * GIB
    max_decompression_ratio: int = 200
    ratio_applies_after_bytes: int = 64 * MIB

    @property
    def fingerprint(self) -> str:
        """Names the rules that decide which rows of a source are good, and what they say.

        The others do not, or end the whole file. With other rules a source is loaded anew: what
        the ledger has of it was read in another way.
        """
        deciding = {name: text for name, text in asdict(self).items() if name not in _NOT_OF_ROWS}
        return hashlib.sha256(json.dumps(deciding, sort_keys=True).encode()).hexdigest()[:8]

    @classmethod
    def from_settings(
        cls, settings: Settings, default_type: NodeType = NodeType.USER
    ) -> ParseRules:
        """How a deployment reads a file whose topic stands for `default_type`."""
        return cls(
            default_type=default_type,
            reference_columns=settings.reference_columns,
            block_bytes=settings.block_bytes,
            max_record_bytes=settings.max_record_bytes,
            max_value_bytes=settings.max_value_bytes,
            max_rejects=settings.max_rejects,
            max_decompressed_bytes=settings.max_decompressed_bytes,
        )
