"""Imported by the process that runs are forked from, and by nobody else; see `code_location`.

Who ends a deployment asks the whole process group to end. This process then stays, until the code
location goes: that learns from it whether a run, which may end in peace, is still alive.
"""

from __future__ import annotations

import os
import signal


def _hear_again() -> None:
    signal.signal(signal.SIGTERM, signal.SIG_DFL)


signal.signal(signal.SIGTERM, signal.SIG_IGN)
os.register_at_fork(after_in_child=_hear_again)
