"""Writes the generated parts of the documents anew: `make docs`.

A generated part stands between two markers, `<!-- generated: NAME -->` and
`<!-- end of NAME -->`; what is around them is written by hand.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pydantic import SecretStr
from pydantic.fields import FieldInfo

from node_import.settings import PREFIX, RunSettings, Settings
from node_import.sizes import GIB, KIB, MIB

ROOT = Path(__file__).parents[1]
SETTINGS_PAGE = ROOT / "docs" / "settings.md"

_HEADINGS = (
    ("Running imports", (*RunSettings.model_fields, "webserver_", "celery_")),
    ("PostgreSQL", ("postgres_", "statement_timeout", "lock_timeout")),
    ("Kafka", ("kafka_", "request_topic_", "status_", "dlt_suffix", "replay_")),
    ("Object store and folders", ("s3_", "file_roots")),
    ("Reading files", ("reference_columns", "max_", "block_", "staging")),
    ("Further settings", ("",)),
)
_UNITS = ((GIB, "GiB"), (MIB, "MiB"), (KIB, "KiB"))


def generated_parts() -> dict[Path, dict[str, str]]:
    """The generated parts of each page, by the name in their markers."""
    return {SETTINGS_PAGE: {"settings": settings_tables()}}


def with_parts(text: str, parts: dict[str, str]) -> str:
    """`text` with what stands between the markers replaced.

    Raises:
        ValueError: a marker is missing.
    """
    for name, content in parts.items():
        start, end = f"<!-- generated: {name} -->", f"<!-- end of {name} -->"
        pattern = re.compile(f"{re.escape(start)}.*?{re.escape(end)}", re.DOTALL)
        if not pattern.search(text):
            raise ValueError(f"the markers of the part {name!r} are missing")
        whole = f"{start}\n\n{content}\n{end}"
        text = pattern.sub(lambda _: whole, text)  # noqa: B023 - used at once
    return text


def settings_tables() -> str:
    """A table for each kind of setting, in the order of `node_import/settings.py`."""
    left = dict(Settings.model_fields)
    tables = []
    for heading, prefixes in _HEADINGS:
        names = [name for name in left if name.startswith(prefixes)]
        rows = [_row(name, left.pop(name)) for name in names]
        if rows:
            table = "\n".join(("| setting | default | meaning |", "|---|---|---|", *rows))
            tables.append(f"### {heading}\n\n{table}\n")
    return "\n".join(tables)


def _row(name: str, field: FieldInfo) -> str:
    default = "required" if field.is_required() else _default(name, field.default)
    meaning = field.description or ""
    if field.examples:
        meaning += f" For example `{field.examples[0]}`."
    cells = (f"`{PREFIX}{name.upper()}`", default, meaning)
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _default(name: str, value: Any) -> str:
    if value is None or value == ():
        return "–"
    if isinstance(value, SecretStr):
        return f"`{value.get_secret_value()}`"
    if isinstance(value, tuple):
        return f"`{','.join(value)}`"
    size = next(_sizes(value), "") if name.endswith("_bytes") else ""
    return f"`{value}`{size}"


def _sizes(value: int) -> Iterator[str]:
    """The same number of bytes in the largest unit that divides it."""
    return (f" ({value // size:,} {unit})" for size, unit in _UNITS if value % size == 0)


def main() -> None:
    """Write every page whose generated parts are stale."""
    for path, parts in generated_parts().items():
        old = path.read_text(encoding="utf-8")
        new = with_parts(old, parts)
        if new != old:
            path.write_text(new, encoding="utf-8")
            sys.stdout.write(f"{path.relative_to(ROOT)} written anew\n")


if __name__ == "__main__":
    main()
