"""The settings of the embedded stack as environment variables."""

from __future__ import annotations

from collections.abc import Mapping

from pydantic import SecretStr

from node_import.settings import PREFIX, Settings, load_settings
from node_import.stack.layout import DATA_DIR_VARIABLE, Layout
from node_import.stack.python_process import environment_without_settings
from node_import.stack.services import Endpoints


def embedded_settings(endpoints: Endpoints, layout: Layout) -> Settings:
    """Connections and folders are the stack's own; the rest is as the user has set it.

    Raises:
        UsageError: one of the user's settings is wrong.
    """
    host_port = endpoints.s3_endpoint_url.removeprefix("http://")
    return load_settings(
        postgres_dsn=endpoints.postgres_importer_dsn,
        postgres_admin_dsn=endpoints.postgres_admin_dsn,
        kafka_bootstrap_servers=endpoints.kafka_bootstrap_servers,
        kafka_config="{}",
        s3_endpoint_url=endpoints.s3_endpoint_url,
        s3_endpoint_aliases=(host_port.replace("127.0.0.1", "localhost"),),
        s3_access_key=endpoints.s3_access_key,
        s3_secret_key=endpoints.s3_secret_key,
        s3_region=endpoints.s3_region,
        s3_ca_file=None,
        s3_bucket=endpoints.s3_bucket,
        file_roots=(str(layout.files),),
        staging_dir=layout.staging,
    )


def settings_environment(settings: Settings) -> dict[str, str]:
    """Every setting that has a value, under the name by which it is read back."""
    return {
        f"{PREFIX}{name.upper()}": _as_text(value)
        for name, value in settings
        if value is not None and value != ()
    }


def stack_variables(
    settings: Settings, layout: Layout, dagster_dsn: str, webserver_url: str
) -> dict[str, str]:
    """What a shell needs to work with this stack: `stack env` prints it."""
    return {
        **settings_environment(settings),
        DATA_DIR_VARIABLE: str(layout.root),
        "DAGSTER_HOME": str(layout.dagster_home),
        "DAGSTER_POSTGRES_URL": dagster_dsn,
        f"{PREFIX}WEBSERVER_URL": webserver_url,
    }


def child_environment(variables: Mapping[str, str]) -> dict[str, str]:
    """What Dagster's processes see: no setting of the shell but those of `variables`."""
    return {**environment_without_settings(), **variables}


def _as_text(value: object) -> str:
    if isinstance(value, SecretStr):
        return value.get_secret_value()
    if isinstance(value, tuple):
        return ",".join(str(part) for part in value)
    return str(value)
