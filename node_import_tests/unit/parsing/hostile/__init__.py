"""Files picked by hand, each hostile in one way that its name says, with the contract's answer."""

from node_import_tests.unit.parsing.hostile import headers, limits, quotes, rows, streams
from node_import_tests.unit.parsing.hostile.answer import assert_as_written
from node_import_tests.unit.parsing.hostile.case import HostileFile

HOSTILE_FILES: tuple[HostileFile, ...] = (
    *headers.FILES,
    *rows.FILES,
    *quotes.FILES,
    *limits.FILES,
    *streams.FILES,
)

__all__ = ["HOSTILE_FILES", "HostileFile", "assert_as_written"]
