"""What imports and others do to nodes, in memory: the rules of the contract and nothing else."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from node_import_tests.integration.loading.imports import Row


@dataclass
class Node:
    """One node as the contract sees it."""

    type: str
    metadata: dict[str, str]
    processed: bool = False


@dataclass
class ImportOutcome:
    """What one import did, by reference."""

    inserted: set[str] = field(default_factory=set)
    updated: set[str] = field(default_factory=set)
    unchanged: set[str] = field(default_factory=set)
    duplicate: int = 0

    @property
    def counts(self) -> tuple[int, int, int, int]:
        """Inserted, updated, unchanged, duplicate."""
        return len(self.inserted), len(self.updated), len(self.unchanged), self.duplicate


@dataclass
class Group:
    """The nodes of one group."""

    nodes: dict[str, Node] = field(default_factory=dict)

    def load(self, rows: Sequence[Row], keys: Sequence[str]) -> ImportOutcome:
        """Import rows in file order."""
        last = {row[0]: row for row in rows}
        outcome = ImportOutcome(duplicate=len(rows) - len(last))
        for reference, node_type, *values in last.values():
            given = {key: value for key, value in zip(keys, values, strict=True) if value}
            node = self.nodes.get(reference)
            if node is None:
                self.nodes[reference] = Node(node_type, given)
                outcome.inserted.add(reference)
            elif node.type == node_type and given.items() <= node.metadata.items():
                outcome.unchanged.add(reference)
            else:
                self.nodes[reference] = Node(node_type, node.metadata | given)
                outcome.updated.add(reference)
        return outcome

    def found(self) -> dict[str, tuple[str, dict[str, str], bool]]:
        """Type, metadata and whether it is processed, by reference."""
        return {
            reference: (node.type, node.metadata, node.processed)
            for reference, node in self.nodes.items()
        }
