"""`node-import check`: a dry run."""

from __future__ import annotations

import os
import stat
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, BinaryIO

import typer

from node_import.cli.deployment import deployment_settings
from node_import.cli.output import AsJson, note, print_document, print_table, print_text, progress
from node_import.cli.request import is_url
from node_import.errors import PermanentError, UsageError

if TYPE_CHECKING:
    from node_import.parsing.check import CheckResult
    from node_import.parsing.rules import ParseRules
    from node_import.settings import Settings

STDIN = "-"
_UNUSED = "not used by this command"


def check(
    file: Annotated[
        str, typer.Argument(metavar="FILE", help="A path, a URL of the object store, or -.")
    ],
    rejects: Annotated[
        Path | None,
        typer.Option(
            metavar="OUT",
            help="Write the rejected rows to OUT, and why to OUT.reasons.jsonl, if there are any.",
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Parse and validate a file as an import would, and write nothing to the database.

    Needs no services and no settings; NODE_IMPORT_... limits count where they are set. Exit code
    0 if every row would be imported, 1 if rows would be rejected or the file cannot be read. OUT
    is an import file: correct it and submit it.

    \b
    Examples:
      node-import check users.csv.gz
      node-import check users.csv.gz --rejects bad.csv
      node-import check - --json < users.csv
    """
    from node_import.parsing.rules import ParseRules

    settings = _settings_for(file)
    if rejects is not None:
        _refuse_output(rejects, file)
    result = _check(file, settings, ParseRules.from_settings(settings), rejects)
    if as_json:
        print_document(result.as_document())
    else:
        _print(result, rejects)
    if result.error or result.rejected:
        raise typer.Exit(1)


def _settings_for(file: str) -> Settings:
    """A file of this machine needs limits alone; an object needs to know its store."""
    from node_import.settings import load_settings

    if is_url(file):
        return deployment_settings()
    return load_settings(postgres_dsn=_UNUSED, kafka_bootstrap_servers=_UNUSED)


def _check(file: str, settings: Settings, rules: ParseRules, rejects: Path | None) -> CheckResult:
    from node_import.parsing.check import CheckResult, check_file
    from node_import.parsing.reject_file import reject_file_at
    from node_import.staging.manifest import Failure

    with ExitStack() as stack:
        try:
            stream, size = stack.enter_context(_opened(file, settings))
        except PermanentError as error:
            return CheckResult(error=Failure(error.code, error.message))
        sink = stack.enter_context(reject_file_at(rejects)) if rejects else None
        bars = stack.enter_context(progress())
        bar = bars.add_task(f"checking {Path(file).name}", total=size, detail="")
        result = check_file(
            stream,
            rules,
            compressed_bytes=size,
            rejects=sink,
            on_progress=lambda done: bars.update(bar, completed=done, detail=f"{done:,} bytes"),
        )
    if rejects and result.rejects_url is None:
        _remove_old(rejects)
    return result


@contextmanager
def _opened(file: str, settings: Settings) -> Iterator[tuple[BinaryIO, int | None]]:
    """The file and its size, where it is known before it has been read."""
    if file == STDIN:
        yield sys.stdin.buffer, None
    elif is_url(file):
        with _opened_object(file, settings) as opened:
            yield opened
    else:
        with _opened_path(Path(file).expanduser()) as stream:
            size = _size_of_regular(stream)
            _refuse_large(file, size, settings.max_file_bytes)
            yield stream, size


@contextmanager
def _opened_object(url: str, settings: Settings) -> Iterator[tuple[BinaryIO, int | None]]:
    from node_import.objects.store import ObjectStore

    store = ObjectStore.from_settings(settings)
    pinned = store.pin(store.locate(url))
    with store.open(pinned) as stream:
        yield stream, pinned.size


def _opened_path(path: Path) -> BinaryIO:
    try:
        if path.is_dir():
            message = f"{path} is a folder; name one file"
            raise UsageError(message)
        return path.open("rb")
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        message = f"cannot read {path}: {reason}"
        raise UsageError(message) from error


def _size_of_regular(stream: BinaryIO) -> int | None:
    status = os.fstat(stream.fileno())
    return status.st_size if stat.S_ISREG(status.st_mode) else None


def _refuse_large(file: str, size: int | None, limit: int) -> None:
    from node_import.contracts.error_codes import ErrorCode

    if size is not None and size > limit:
        message = f"{file} has {size:,} bytes and the limit is {limit:,}"
        raise PermanentError(ErrorCode.FILE_TOO_LARGE, message)


def _refuse_output(out: Path, file: str) -> None:
    """Before an hour of parsing, not after it."""
    if not out.parent.is_dir() or out.is_dir() or not os.access(out.parent, os.W_OK):
        message = f"cannot write --rejects {out}: it must be a file in a folder that is there"
        raise UsageError(message)
    if out.exists() and Path(file).exists() and out.samefile(file):
        message = "--rejects must not name the file that is checked"
        raise UsageError(message)


def _remove_old(out: Path) -> None:
    """What an earlier check left must not be taken for this one's answer."""
    from node_import.parsing.reject_file import REASONS_SUFFIX

    out.unlink(missing_ok=True)
    out.with_name(out.name + REASONS_SUFFIX).unlink(missing_ok=True)


def _print(result: CheckResult, rejects: Path | None) -> None:
    if result.error:
        print_text(f"{result.error.code}: {result.error.message}")
        return
    print_table((), _facts(result))
    if result.rejected:
        print_text("")
        print_table(("REJECTED", "ROWS"), sorted(result.rejects.items()))
        if rejects:
            note(f"rejected rows are in {rejects}, reasons in {rejects}.reasons.jsonl")
        else:
            note("see which rows, and why, with --rejects OUT")


def _facts(result: CheckResult) -> list[tuple[str, Any]]:
    return [
        ("rows", f"{result.rows:,}"),
        ("accepted", f"{result.accepted:,}"),
        ("rejected", f"{result.rejected:,}"),
        ("duplicates", f"{result.duplicates:,}"),
        ("delimiter", "tab" if result.delimiter == "\t" else result.delimiter),
        ("reference column", result.reference_column),
        ("columns", ", ".join(result.columns)),
    ]
