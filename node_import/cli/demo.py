"""`node-import demo`: a first import, with everything it needs started on this machine."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from node_import.cli.failure import CommandFailed
from node_import.cli.output import AsJson, note, print_document, print_table, print_text, steps

if TYPE_CHECKING:
    from node_import.cli.demo_imports import DemoImport
    from node_import.jobs.tenants import NodeCounts
    from node_import.settings import Settings
    from node_import.stack.state import StackState

DOMAIN = "acme"
GROUP = "members"
DEFAULT_ROWS = 100_000


def demo(
    rows: Annotated[
        int, typer.Option(min=1, metavar="N", help="Users in each of the two files.")
    ] = DEFAULT_ROWS,
    data_dir: Annotated[
        Path | None,
        typer.Option(metavar="D", help="Where the stack keeps its data, as in `stack up`."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Bring up the embedded stack and send three imports through it.

    A clean gzip CSV of N users with five metadata columns, one with a handful of bad rows, and a
    list of references. Shows what came of each, what is in the database, and where Dagster's UI
    shows the runs. The file with bad rows ends as FAILED (ROWS_REJECTED), its good rows are
    imported: so it is meant. Exit code 0 if all went as intended. The stack stays up. A second
    demo finds its rows unchanged.

    \b
    Examples:
      node-import demo
      node-import demo --rows 1000000
    """
    from node_import.stack.extra import require_embedded_extra

    require_embedded_extra()
    from node_import.cli.demo_imports import run_imports
    from node_import.settings import load_settings

    stack = _running_stack(data_dir)
    os.environ.update(stack.environment)
    settings = load_settings()
    with tempfile.TemporaryDirectory(prefix="node-import-demo-") as folder:
        imports, counts = run_imports(settings, DOMAIN, GROUP, Path(folder), rows)
    problems = [problem for one in imports for problem in one.problems()]
    if as_json:
        print_document(_document(stack, imports, counts, problems))
    else:
        _print(stack, settings, imports, counts)
    if problems:
        raise CommandFailed("the demo did not go as intended: " + "; ".join(problems))


def _running_stack(data_dir: Path | None) -> StackState:
    from node_import.stack.background import start_stack_in_background
    from node_import.stack.start_failure import StartFailed

    try:
        with steps() as step:
            step("starting the embedded stack")
            stack = start_stack_in_background(data_dir, on_step=step)
    except StartFailed as error:
        message = f"the embedded stack did not come up: {error.detail}"
        raise CommandFailed(message) from error
    for service, (wanted, got) in stack.moved_ports.items():
        note(f"port {wanted} is taken; {service.replace('_', ' ')} is on {got}")
    note(f"the embedded stack is up; Dagster's UI is at {stack.webserver_url}")
    return stack


def _document(
    stack: StackState, imports: list[DemoImport], counts: NodeCounts, problems: list[str]
) -> dict[str, Any]:
    return {
        "webserverUrl": stack.webserver_url,
        "dataDir": str(stack.data_dir),
        "imports": [one.as_document(stack.webserver_url) for one in imports],
        "nodes": counts.nodes,
        "metadata": counts.metadata,
        "problems": problems,
    }


def _print(
    stack: StackState, settings: Settings, imports: list[DemoImport], counts: NodeCounts
) -> None:
    for one in imports:
        print_text("")
        print_text(f"{one.title}, status message on {settings.status_topic}:")
        print_text(one.status_text())
    print_text("")
    columns = ("IMPORT", "STATUS", "CODE", "ROWS", "INSERTED", "UPDATED", "UNCHANGED", "REJECTED")
    print_table((*columns, "NODES/S"), [one.table_line() for one in imports])
    rejects = [line for one in imports for line in one.row["rejects_by_code"].items()]
    print_text("")
    print_table(("REJECTED", "ROWS"), sorted(rejects))
    print_text("")
    print_text(f"in {DOMAIN}/{GROUP}: {counts.nodes:,} nodes, {counts.metadata:,} metadata rows")
    print_text("")
    print_table(("RUN IN DAGSTER'S UI", ""), [one.link(stack.webserver_url) for one in imports])
    _print_farewell(stack)


def _print_farewell(stack: StackState) -> None:
    from node_import.stack.layout import data_dir_layout

    is_default = stack.data_dir == data_dir_layout().root
    option = "" if is_default else f" --data-dir {stack.data_dir}"
    print_text("")
    print_text(f"The stack stays up: {stack.webserver_url}")
    print_text(f"Stop it with: node-import stack down{option}")
    print_text("Its Kafka lives in memory and forgets its topics then; everything else stays.")
