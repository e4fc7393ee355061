"""The programs of the real services: found on this machine, or built once and kept.

They lie in `node-import-services` of $XDG_CACHE_HOME (`~/.cache`), in folders named by version;
delete it to build anew. Kafka takes Maven some seconds, MinIO takes Go some minutes;
`python -m node_import_tests.services.artefacts` does that beforehand.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from node_import.errors import UsageError
from node_import.stack.postgres import postgres_program

KAFKA_VERSION = "4.1.0"
LOG4J_VERSION = "2.24.3"
# The last commit of the community edition; there are no releases for Go to name.
MINIO_VERSION = "v0.0.0-20260212201848-7aac2a2c5b7c"

KAFKA_PARTS = (
    ("org.apache.kafka", "kafka_2.13", KAFKA_VERSION),
    ("org.apache.kafka", "kafka-tools", KAFKA_VERSION),
    ("org.apache.logging.log4j", "log4j-slf4j-impl", LOG4J_VERSION),
    ("org.apache.logging.log4j", "log4j-core", LOG4J_VERSION),
)

POSTGRES_15_FOLDER_VARIABLE = "NODE_IMPORT_TEST_POSTGRES_15_BIN"
POSTGRES_15_FOLDERS = (
    "/usr/lib/postgresql/15/bin",  # Debian, Ubuntu
    "/usr/pgsql-15/bin",  # PostgreSQL's own packages for Red Hat
    "/opt/homebrew/opt/postgresql@15/bin",
)


def kafka_jars() -> Path:
    """The folder with the jars of Apache Kafka's server and its command-line tools."""
    return _kept(f"kafka-{KAFKA_VERSION}", _fetch_kafka)


def java() -> str:
    """The Java that runs Kafka."""
    return _tool("java", "a Java 17 runtime or newer (Debian: default-jre-headless)")


def minio_program() -> Path:
    """MinIO's server."""
    return _kept(f"minio-{MINIO_VERSION}", _build_minio) / "minio"


def postgres_programs(major: int) -> Path:
    """The folder with `postgres` and `initdb` of PostgreSQL 15 or 18."""
    if major == 18:
        return postgres_program("postgres").parent
    named = os.environ.get(POSTGRES_15_FOLDER_VARIABLE)
    for folder in map(Path, [named] if named else POSTGRES_15_FOLDERS):
        if (folder / "initdb").exists():
            return folder
    message = (
        "PostgreSQL 15 is not here: install its server (Debian 12: apt-get install postgresql-15), "
        f"or name the folder of its programs in {POSTGRES_15_FOLDER_VARIABLE}"
    )
    raise UsageError(message)


def cache_folder() -> Path:
    """Where built artefacts are kept."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "node-import-services"


def _kept(name: str, make: Callable[[Path], None]) -> Path:
    """The folder `name` of the cache; made beside and renamed, so it is there whole or not."""
    folder = cache_folder() / name
    if folder.exists():
        return folder
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=f"{name}.") as beside:
        made = Path(beside) / "made"
        made.mkdir()
        make(made)
        with suppress(OSError):  # somebody else was faster
            made.rename(folder)
    return folder


def _fetch_kafka(folder: Path) -> None:
    maven = _tool("mvn", "Maven (Debian: maven), which fetches Apache Kafka")
    _say(f"Fetching Apache Kafka {KAFKA_VERSION} (some seconds, once) …")
    with tempfile.TemporaryDirectory() as project:
        (Path(project) / "pom.xml").write_text(_pom(), encoding="utf-8")
        command = [maven, "--quiet", "--batch-mode", "dependency:copy-dependencies"]
        _run([*command, f"-DoutputDirectory={folder}"], cwd=project)


def _pom() -> str:
    parts = "".join(
        f"<dependency><groupId>{group}</groupId><artifactId>{name}</artifactId>"
        f"<version>{version}</version></dependency>"
        for group, name, version in KAFKA_PARTS
    )
    return (
        '<project xmlns="http://maven.apache.org/POM/4.0.0"><modelVersion>4.0.0</modelVersion>'
        "<groupId>node-import</groupId><artifactId>kafka</artifactId><version>1</version>"
        f"<packaging>pom</packaging><dependencies>{parts}</dependencies></project>"
    )


def _build_minio(folder: Path) -> None:
    go = _tool("go", "Go 1.24 or newer, which builds MinIO")
    _say("Building MinIO (three or four minutes, once) …")
    environment = {**os.environ, "GOBIN": str(folder)}
    _run([go, "install", f"github.com/minio/minio@{MINIO_VERSION}"], cwd=folder, env=environment)


def _tool(name: str, what: str) -> str:
    # Go's own installer leaves the path to its users.
    found = shutil.which(name) or shutil.which(name, path="/usr/local/go/bin")
    if found is None:
        message = f"`{name}` is not here: install {what}"
        raise UsageError(message)
    return found


def _run(command: Sequence[str], *, cwd: str | Path, env: Mapping[str, str] | None = None) -> None:
    done = subprocess.run(command, cwd=cwd, env=env, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        tail = "\n".join(f"{done.stdout}{done.stderr}".strip().splitlines()[-15:])
        message = f"`{' '.join(command[:2])}` failed:\n{tail}"
        raise UsageError(message)


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)  # noqa: T201 - a command says what takes so long


if __name__ == "__main__":
    try:
        kafka_jars()
        minio_program()
    except UsageError as error:
        sys.exit(str(error))
