"""The image without an engine: its files installed as its builder does, its roles as processes.

What a container would be given (arguments, environment, secret files, user, a file system that is
read-only but for volumes and /tmp) is read from the Dockerfile and from compose.yaml. Only what
belongs to another machine differs: addresses, ports, and the folder that all paths begin with.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from node_import.stack.child import Child
from node_import.stack.layout import PASS_THROUGH
from node_import_tests.support.deployment_files import (
    compose,
    copy_build_context,
    image_command,
    image_environment,
    interpolated,
    stage,
)

# The first argument of `COPY --from=builder`, and the volume of the code location.
PREFIX = "/opt/node-import"
STAGING = "/var/lib/node-import/staging"
INSTALL = "./docker/install.sh"

# As `read_only: true` with its tmpfs and volumes: what may be written to is mounted on itself
# first, and stays as it is when the rest becomes read-only.
READ_ONLY = """
while [ "$1" != -- ]; do mount --bind "$1" "$1"; shift; done
shift
mount -o remount,bind,ro /
exec "$@"
"""


@dataclass(frozen=True, slots=True)
class Image:
    """What `docker build` would have made, below `folder`."""

    folder: Path
    # Text of the files → what stands there on this machine: names and ports of services.
    addresses: Mapping[str, str]
    secrets: Path
    uid: int = field(init=False, default=10001)

    def build(self) -> None:
        """Run the builder's RUN line on what .dockerignore lets through."""
        context = self.folder / "context"
        context.mkdir()
        copy_build_context(context)
        [run] = [one.value for one in stage("builder") if one.name == "RUN"]
        assert run.endswith(f'{INSTALL} /src {PREFIX} "${{EXTRAS}}"')
        command = [str(context / INSTALL), str(context), self.path(PREFIX), ""]
        environment = {**os.environ, "PYTHON": sys.executable}
        subprocess.run(command, check=True, env=environment, cwd="/")
        for name in (f"{PREFIX}/dagster_home/storage", STAGING):
            self.writable(self.path(name))

    def path(self, name: str) -> str:
        """Where a path of the image lies here."""
        return f"{self.folder}{name}"

    def writable(self, path: str) -> None:
        """A folder of the image's user."""
        Path(path).mkdir(parents=True, exist_ok=True)
        if os.geteuid() == 0:
            os.chown(path, self.uid, self.uid)

    def localised(self, text: str) -> str:
        """A text of the files with this machine's paths and addresses."""
        for name in (PREFIX, STAGING):
            text = text.replace(name, self.path(name))
        for there, here in self.addresses.items():
            text = text.replace(there, here)
        return text


class Container:
    """One service of compose.yaml that is made from the image."""

    def __init__(self, image: Image, service: str, variables: Mapping[str, str]) -> None:
        """`variables` come on top of what compose.yaml sets."""
        self.name = service
        self._image = image
        self._service = compose()["services"][service]
        self._home = image.folder / "containers" / service
        self._temporary = self._home / "tmp"
        self._secrets = self._home / "secrets"
        self._secrets.mkdir(parents=True, exist_ok=True)
        image.writable(str(self._temporary))
        self._copy_secrets()
        self._variables = {**self._environment(), **variables}
        self.child = Child(
            name=service,
            argv=self.argv([*image_command("ENTRYPOINT"), *self._service["command"]]),
            log=self._home / "log",
            env=self._variables,
            cwd=image.folder,
        )

    def argv(self, command: Sequence[str]) -> list[str]:
        """The command as the image's user would run it, who can do nothing else."""
        program = shutil.which(command[0], path=self._variables["PATH"])
        assert program, command
        argv = [program, *command[1:]]
        if os.geteuid() == 0:
            ids = [f"--reuid={self._image.uid}", f"--regid={self._image.uid}", "--clear-groups"]
            argv = ["setpriv", *ids, "--no-new-privs", *capabilities(), "--", *argv]
            if may_mount():
                mounts = [str(path) for path in self._written()]
                shell = ["sh", "-euc", READ_ONLY, "container", *mounts, "--"]
                argv = ["unshare", "--mount", "--propagation", "private", *shell, *argv]
        return argv

    def run(self, *command: str, timeout: float = 180) -> subprocess.CompletedProcess[str]:
        """As `docker compose run` or `exec` would: beside the role, by way of the entry point."""
        return subprocess.run(
            self.argv([*image_command("ENTRYPOINT"), *command]),
            env=self._variables,
            cwd=self._image.folder,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )

    def health(self) -> subprocess.CompletedProcess[str]:
        """What the engine would ask."""
        return subprocess.run(
            self.argv(image_command("HEALTHCHECK")),
            env=self._variables,
            cwd=self._image.folder,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    def secret_values(self) -> list[str]:
        """What must be seen nowhere."""
        return [path.read_text() for path in self._secrets.iterdir()]

    def _written(self) -> list[Path]:
        volumes = [str(one).split(":") for one in self._service.get("volumes", ())]
        mounted = [Path(self._image.path(target)) for _, target in volumes]
        # The log is the engine's: it lies outside, and is open already.
        return [self._temporary, *mounted]

    def _copy_secrets(self) -> None:
        for name in self._service["secrets"]:
            text = (self._image.secrets / name).read_text()
            (self._secrets / name).write_text(self._image.localised(text))

    def _environment(self) -> dict[str, str]:
        """Of the image and of the service; nothing of this session's own."""
        texts = image_environment() | {
            name: interpolated(value, {}) for name, value in self._service["environment"].items()
        }
        environment = {name: self._image.localised(text) for name, text in texts.items()}
        return environment | {
            "HOME": str(self._temporary),
            "TMPDIR": str(self._temporary),
            "NODE_IMPORT_SECRETS_DIR": str(self._secrets),
        }


@cache
def capabilities() -> list[str]:
    """None, as `cap_drop: ALL`; but for reading, if this machine's Python is in root's folder."""
    interpreter = Path(sys.base_prefix).resolve()
    if all(folder.stat().st_mode & 0o001 for folder in (interpreter, *interpreter.parents)):
        return ["--bounding-set=-all"]
    kept = "+dac_read_search"
    return [f"--bounding-set=-all,{kept}", f"--inh-caps={kept}", f"--ambient-caps={kept}"]


@cache
def may_mount() -> bool:
    """Whether this root may make mount namespaces; in some sandboxes it may not."""
    probe = ["unshare", "--mount", "--propagation", "private"]
    probe += ["mount", "-o", "remount,bind,ro", "/"]
    return subprocess.run(probe, capture_output=True, check=False).returncode == 0


@contextmanager
def open_folder() -> Iterator[Path]:
    """A folder that the image's user may pass through; pytest's own are closed to others."""
    with tempfile.TemporaryDirectory(prefix="node-import-image-") as name:
        folder = Path(name)
        folder.chmod(PASS_THROUGH)
        yield folder
