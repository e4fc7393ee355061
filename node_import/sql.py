"""Where the SQL lies, and the statements in it by name.

`sql/queries/*.sql` holds statements, each under a line `-- name: some_name`; comments between
that line and the statement describe it. `sql/migrations/` holds the schema. Both are folders of
the checkout and package data of the wheel.
"""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

_NAME = re.compile(r"^-- name: (\w+)\s*$", re.MULTILINE)


def sql_folder() -> Path:
    """The folder `sql/`: inside the installed package, or beside it in a checkout."""
    packaged = Path(__file__).with_name("sql")
    return packaged if packaged.is_dir() else Path(__file__).parents[1] / "sql"


@cache
def statements(file_name: str) -> dict[str, str]:
    """The named statements of one file of `sql/queries/`, such as `jobs.sql`."""
    text = (sql_folder() / "queries" / file_name).read_text(encoding="utf-8")
    parts = _NAME.split(text)[1:]
    return {
        name: body.strip().rstrip(";") for name, body in zip(parts[::2], parts[1::2], strict=True)
    }
