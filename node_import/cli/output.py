"""What commands say, and where: documents on standard output, everything else on standard error.

With `--json` standard output holds one JSON document and nothing else; without it, text for
people. Progress is drawn on standard error while that is a terminal, and left out otherwise.
"""

from __future__ import annotations

import json
import sys
from base64 import b64encode
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import TYPE_CHECKING, Annotated
from uuid import UUID

import typer

if TYPE_CHECKING:
    from rich.progress import Progress
    from rich.table import Table

AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON document on standard output.")]

# Wider than terminals, which wrap lines by themselves: an id folded into two lines cannot be
# copied, and a pipe has no width at all.
TABLE_WIDTH = 250


def print_document(document: object) -> None:
    """One JSON document. UUIDs are strings, times ISO 8601 with their offset, bytes base64."""
    text = json.dumps(document, default=_plain, ensure_ascii=False, indent=2)
    # JSON is UTF-8 (RFC 8259), whatever the terminal's locale says.
    sys.stdout.flush()
    sys.stdout.buffer.write(text.encode("utf-8", "backslashreplace") + b"\n")
    sys.stdout.buffer.flush()


def print_text(text: str) -> None:
    """A line for people on standard output."""
    typer.echo(text)


def note(text: str) -> None:
    """A line on standard error, beside the result."""
    typer.echo(printable(text), err=True)


def print_table(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """A table for people on standard output; without names of `columns` it has no header."""
    from rich.console import Console

    console = Console(width=TABLE_WIDTH, highlight=False)
    with console.capture() as drawn:
        console.print(table(columns, rows))
    for line in drawn.get().splitlines():
        print_text(line.rstrip())


def printable(text: str) -> str:
    """`text` with its control characters spelled out: a file name must not steer a terminal."""
    return "".join(
        char
        if char.isprintable() or char == "\n"
        else char.encode("unicode_escape").decode("ascii")
        for char in text
    )


def table(
    columns: Sequence[str], rows: Iterable[Sequence[object]], *, gives_way: str | None = None
) -> Table:
    """The table itself; numbers to the right. In a narrow place the column `gives_way` is cut."""
    from rich.table import Table
    from rich.text import Text

    lines = list(rows)
    drawn = Table(box=None, pad_edge=False, header_style="bold", show_header=bool(columns))
    for index, column in enumerate(columns or [""] * len(lines[0])):
        is_number = bool(lines) and all(type(line[index]) is int for line in lines)
        drawn.add_column(
            column,
            justify="right" if is_number else "left",
            overflow="ellipsis" if gives_way else "fold",
            no_wrap=gives_way not in {None, column},
        )
    for line in lines:
        drawn.add_row(*(Text(_cell(value)) for value in line))
    return drawn


@contextmanager
def progress() -> Iterator[Progress]:
    """Progress bars on standard error, gone when the work is done; none if it is no terminal."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    with Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.fields[detail]}"),
        TimeElapsedColumn(),
        console=Console(stderr=True),
        disable=not sys.stderr.isatty(),
        transient=True,
    ) as bars:
        yield bars


@contextmanager
def steps() -> Iterator[Callable[[str | None], None]]:
    """Shows what is done now, on standard error: a spinner on a terminal, elsewhere a line each.

    None takes it away, until the next step.
    """
    if not sys.stderr.isatty():
        yield lambda text: note(text) if text else None
        return
    from rich.console import Console

    status = Console(stderr=True).status("")

    def step(text: str | None) -> None:
        if text is None:
            status.stop()
        else:
            status.update(text)
            status.start()

    try:
        yield step
    finally:
        status.stop()


def _cell(value: object) -> str:
    if value is None:
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, datetime):
        return value.astimezone().strftime("%Y-%m-%d %H:%M:%S")
    return printable(str(value))


def _plain(value: object) -> object:
    if isinstance(value, UUID):
        return str(value)
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, bytes | bytearray | memoryview):
        return b64encode(value).decode("ascii")
    message = f"no JSON for {type(value).__name__}"
    raise TypeError(message)
