"""`node-import migrate`."""

from __future__ import annotations

from node_import.cli.deployment import deployment_settings
from node_import.cli.output import AsJson, note, print_document, print_text
from node_import.errors import UsageError


def migrate(as_json: AsJson = False) -> None:
    """Bring the database to the newest schema. Safe to repeat, and by two at once.

    Connects as NODE_IMPORT_POSTGRES_ADMIN_DSN, which must be allowed to make roles and tables.
    Makes the roles that are missing; ni_importer then gets the password of
    NODE_IMPORT_POSTGRES_DSN.

    \b
    Example:
      export NODE_IMPORT_POSTGRES_ADMIN_DSN=postgresql://postgres:...@db:5432/node_import
      node-import migrate
    """
    from node_import.database.migrations import migrate as apply_migrations

    settings = deployment_settings()
    if settings.postgres_admin_dsn is None:
        message = (
            "NODE_IMPORT_POSTGRES_ADMIN_DSN is not set; set it to a role that may create roles "
            "and tables in the database of NODE_IMPORT_POSTGRES_DSN"
        )
        raise UsageError(message)
    applied = apply_migrations(
        settings.postgres_admin_dsn.get_secret_value(),
        settings.postgres_dsn.get_secret_value(),
        on_applied=lambda migration: note(f"applied {migration.version:04d}_{migration.name}"),
    )
    if as_json:
        print_document({"applied": [f"{one.version:04d}_{one.name}" for one in applied]})
    elif applied:
        print_text(f"the database is up to date: {len(applied)} migration(s) applied")
    else:
        print_text("the database is up to date: nothing to apply")
