"""The passwords of the embedded services: random, made once, kept in the data directory."""

from __future__ import annotations

import json
import secrets
from dataclasses import asdict, dataclass, field

from node_import.errors import UsageError
from node_import.stack.layout import Layout, write_private


def _password() -> str:
    """128 bits in letters that need no quoting in a URL, a shell or a conninfo string."""
    return secrets.token_hex(16)


@dataclass(frozen=True, slots=True)
class Credentials:
    """One password a role, and the key pair of the object store."""

    postgres_password: str = field(default_factory=_password, repr=False)
    dagster_password: str = field(default_factory=_password, repr=False)
    importer_password: str = field(default_factory=_password, repr=False)
    s3_access_key: str = field(default_factory=lambda: "NI" + secrets.token_hex(9).upper())
    s3_secret_key: str = field(default_factory=_password, repr=False)


def stored_credentials(layout: Layout) -> Credentials:
    """The credentials of this data directory; made now if it has none yet.

    Raises:
        UsageError: the file is damaged, or it is gone and the database is still there.
    """
    file = layout.credentials_file
    if not file.exists():
        if (layout.postgres / "data").exists():
            message = f"{file} is gone, so nobody knows the passwords of the database beside it"
            raise UsageError(message + f"; restore it, or delete {layout.root} to start anew")
        credentials = Credentials()
        write_private(file, json.dumps(asdict(credentials), indent=2))
        return credentials
    try:
        return Credentials(**json.loads(file.read_text(encoding="utf-8")))
    except (ValueError, TypeError) as error:
        message = f"{file} is damaged; restore it, or delete {layout.root} to start anew"
        raise UsageError(message) from error
