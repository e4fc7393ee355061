"""Imported by the process that runs are forked from, and by nobody else; see `code_location`.

Who ends a deployment asks the whole process group to end. This process then stays until the code
location and its runs, which may end in peace, are gone: from it the location learns if they live.
"""

from __future__ import annotations

import gc
import os
import signal

from node_import.errors import UsageError
from node_import.objects.client import read_description
from node_import.orchestration.instance_storage import trust_that_tables_are_there
from node_import.orchestration.resources import store_of
from node_import.settings import load_settings


def _begin() -> None:
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    trust_that_tables_are_there()


def _prepare_store() -> None:
    """The store of runs whose settings are those of now: each reads its own.

    Without keys there the client would look for the machine's credentials now, and keep them.
    """
    read_description()
    try:
        settings = load_settings()
        if settings.s3_access_key is not None:
            store_of(settings)
    except UsageError:
        return  # the runs will say it


_prepare_store()
signal.signal(signal.SIGTERM, signal.SIG_IGN)
# What is imported stays until the end. To look through it for garbage took every run 0.2 s, most of
# it for copying the pages that it shares with this process.
os.register_at_fork(before=gc.freeze, after_in_child=_begin)
