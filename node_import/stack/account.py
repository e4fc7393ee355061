"""Under which account PostgreSQL runs: it refuses to run as root."""

from __future__ import annotations

import os
import pwd
import shutil
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from node_import.errors import UsageError

# initdb looks its own name up, so a bare number that /etc/passwd does not know is no use.
CANDIDATES = ("postgres", "nobody")
CAP_DAC_OVERRIDE = 1 << 1
CAP_SETPCAP = 1 << 8


@dataclass(frozen=True, slots=True)
class Account:
    """An account of this machine that is not root."""

    uid: int
    gid: int

    def command(self, argv: Sequence[str]) -> tuple[list[str], dict[str, Any]]:
        """How to run `argv` as this account: the command, and arguments for `Popen`.

        Root's folders are often closed to others (/root is 0700, and so is what `mktemp -d`
        makes; a virtual environment or a data directory may lie in it), so on Linux the account
        keeps the right to pass through them. PostgreSQL looks for its own programs by access(2),
        which leaves the right out for who is not root, unless the security bit
        `no_setuid_fixup` is set. Elsewhere the folders have to be open.
        """
        setpriv = shutil.which("setpriv")
        if sys.platform != "linux" or setpriv is None:
            return list(argv), {"user": self.uid, "group": self.gid, "extra_groups": []}
        ids = [f"--reuid={self.uid}", f"--regid={self.gid}", "--clear-groups"]
        capabilities = ["--inh-caps=+dac_override", "--ambient-caps=+dac_override"]
        if _holds(CAP_SETPCAP):
            capabilities.insert(0, "--securebits=+no_setuid_fixup")
        return [setpriv, *ids, *capabilities, "--", *argv], {}

    def take(self, folder: Path) -> None:
        """Make this account the owner of `folder` and of all in it."""
        if folder.stat().st_uid == self.uid:
            return
        os.chown(folder, self.uid, self.gid)
        for path in folder.rglob("*"):
            os.chown(path, self.uid, self.gid, follow_symlinks=False)


def database_account() -> Account | None:
    """The account to switch to; None when this process is not root and needs no switch.

    Raises:
        UsageError: this is root, and cannot switch.
    """
    if os.geteuid() != 0:
        return None
    if sys.platform == "linux" and not _holds(CAP_DAC_OVERRIDE):
        message = "root lacks CAP_DAC_OVERRIDE here and cannot look after files of PostgreSQL's"
        raise UsageError(message + " account; run this as another user")
    for name in CANDIDATES:
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        return Account(entry.pw_uid, entry.pw_gid)
    message = "PostgreSQL does not run as root, and there is no account `postgres` or `nobody`"
    raise UsageError(message + "; run this as another user")


def _holds(capability: int) -> bool:
    """Whether this process has the capability (a container may have taken it away)."""
    try:
        status = Path("/proc/self/status").read_text(encoding="utf-8")
    except OSError:
        return False
    permitted = next(line for line in status.splitlines() if line.startswith("CapPrm:"))
    return bool(int(permitted.split()[1], 16) & capability)
