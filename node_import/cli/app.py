"""The command tree, and how a command ends: 0 done, 1 the answer is bad, 2 wrong usage."""

from __future__ import annotations

import os
import sys
from typing import Annotated, NoReturn

import typer

from node_import.cli import backfill, check, demo, dlq, jobs, migrate, stack, submit, tenants
from node_import.cli.command_group import command_group
from node_import.cli.failure import CommandFailed
from node_import.cli.output import note
from node_import.errors import NodeImportError, UsageError

DEBUG_VARIABLE = "NODE_IMPORT_DEBUG"

BAD_ANSWER = 1
WRONG_USAGE = 2
INTERRUPTED = 130  # as a shell counts it: 128 + SIGINT

HELP = """\
Import nodes: a file in S3 and a Kafka message in, PostgreSQL rows and a status out.

\b
A first import, with everything it needs started on this machine:
  node-import demo
\b
Step by step:
  node-import stack up &
  node-import domain add acme
  node-import group add acme members
  node-import submit --domain acme --group members --file users.csv.gz --wait
\b
Look at a file before it is imported:
  node-import check users.csv.gz
\b
After a failure, when its cause is gone:
  node-import dlq replay --since 24h --dry-run
  node-import backfill --failed --since 24h

Settings come from NODE_IMPORT_... variables or a .env file; without them the commands use
the embedded stack, if one is running. Exit codes: 0 it did what was asked, 1 it ran and the
answer is bad, 2 wrong usage or settings.
"""

app = command_group(HELP, name="node-import")


@app.callback()
def node_import(
    debug: Annotated[
        bool, typer.Option("--debug", help="Show where an unexpected error came from.")
    ] = False,
) -> None:
    """Options of all commands."""
    if debug:
        os.environ[DEBUG_VARIABLE] = "1"


app.add_typer(stack.app, name="stack")
app.add_typer(tenants.domain_app, name="domain")
app.add_typer(tenants.group_app, name="group")
app.add_typer(jobs.app, name="jobs")
app.add_typer(dlq.app, name="dlq")
app.command("migrate")(migrate.migrate)
app.command("submit")(submit.submit)
app.command("check")(check.check)
app.command("backfill")(backfill.backfill)
app.command("demo")(demo.demo)


def main() -> NoReturn:
    """Run the command line of this process and exit."""
    try:
        app()
    except UsageError as error:
        _end(WRONG_USAGE, str(error), error)
    except CommandFailed as error:
        _end(BAD_ANSWER, str(error), error)
    except NodeImportError as error:
        _end(BAD_ANSWER, f"{error.message} ({error.code})", error)
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)
    except OSError as error:
        _end(BAD_ANSWER, str(error), error)
    except Exception as error:  # noqa: BLE001 - the last stop: a line for the user, and an exit code
        _end(BAD_ANSWER, _unexpected(error), error)
    sys.exit(0)


def _unexpected(error: Exception) -> str:
    summary = " ".join(str(error).split())
    return f"unexpected {type(error).__name__}: {summary} (set {DEBUG_VARIABLE}=1 to see more)"


def _end(status: int, message: str, error: Exception) -> NoReturn:
    if os.environ.get(DEBUG_VARIABLE):
        import traceback

        traceback.print_exception(error, file=sys.stderr)
    note(f"node-import: {message}")
    sys.exit(status)
