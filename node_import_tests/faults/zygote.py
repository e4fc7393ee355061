"""A process that has imported everything and forks those that are to be killed.

To import Dagster and the importer takes 3 s, to fork 20 ms. It never connects to anything itself
and starts no thread, so that a fork is as good as a new process: its connections are its own.

It reads orders, a line of JSON each, on standard input, and answers with `{"started": pid}`,
later with `{"ended": pid, "status": n}` (a negative number is the signal that ended it). When the
input ends it kills what is left.
"""

from __future__ import annotations

import faulthandler
import gc
import json
import os
import select
import signal
import sys
import traceback
from pathlib import Path
from typing import Any

# Some are imported for the forks, which then need not.
import botocore.loaders
import dagster._core.executor.in_process
import dagster._core.instance.factory
import dagster._core.storage.root  # noqa: F401
import dagster_postgres
import dagster_postgres.event_log
import dagster_postgres.run_storage
import dagster_postgres.schedule_storage  # noqa: F401
import polars as pl  # noqa: F401
import psycopg2
import psycopg2.extras  # noqa: F401
import sqlalchemy
import sqlalchemy.dialects.postgresql.psycopg2

from node_import.cli import app as _app  # noqa: F401
from node_import.jobs import death, dispatch
from node_import.loading import comparison
from node_import.objects.client import s3_client
from node_import.orchestration.resources import store_of
from node_import.settings import Settings, settings_of_this_process
from node_import.staging import plan
from node_import_tests.faults.injector import Injector, Trigger
from node_import_tests.faults.roles import ROLES


def make_small() -> None:
    """The rules are the importer's own; only their measures are smaller here.

    A file of some KB has several slices and batches, is compared with what is stored before it is
    loaded, and a job whose run died is due soon.
    """
    plan.SLICE_TARGET_BYTES = 1_024
    plan.BATCH_TARGET_BYTES = 4_096
    comparison.LEAST_ROWS = 0
    death.FIRST_BACKOFF_SECONDS = 0.2
    dispatch.GRACE_SECONDS = 8.0


def main() -> None:
    """Fork until the input ends."""
    make_small()
    Settings.model_config["env_file"] = None
    _warm_up()
    gc.collect()
    gc.freeze()  # a fork shares these pages as long as nobody counts in them
    woken, wake = os.pipe()
    os.set_blocking(wake, False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.set_wakeup_fd(wake, warn_on_full_buffer=False)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _say({"ready": os.getpid()})
    living: set[int] = set()
    waiting = b""
    while True:
        ready, _, _ = select.select([0, woken], [], [])
        if woken in ready:
            os.read(woken, 4096)
            _reap(living)
        if 0 not in ready:
            continue
        data = os.read(0, 65536)
        if not data:
            break
        *lines, waiting = (waiting + data).split(b"\n")
        for line in lines:
            pid = _fork(json.loads(line))
            living.add(pid)
            _say({"started": pid})
    for pid in living:
        os.killpg(pid, signal.SIGKILL)


def _warm_up() -> None:
    """What costs each process time and holds no connection: a third of a quiet tick."""
    _remember_files_of_botocore()
    own = Settings(postgres_dsn="x", kafka_bootstrap_servers="x", s3_endpoint_url="http://x")
    s3_client(own).close()
    sqlalchemy.create_engine("postgresql://nobody@nowhere/none").dispose()


def _remember_files_of_botocore() -> None:
    """Every session reads its model of S3 and looks through its folders anew."""
    load_file = botocore.loaders.JSONFileLoader.load_file
    list_services = botocore.loaders.Loader.list_available_services
    files: dict[str, Any] = {}
    services: dict[str, Any] = {}

    def load_once(self: Any, path: str) -> Any:
        if path not in files:
            files[path] = load_file(self, path)
        return files[path]

    def list_once(self: Any, type_name: str) -> Any:
        if type_name not in services:
            services[type_name] = list_services(self, type_name)
        return services[type_name]

    botocore.loaders.JSONFileLoader.load_file = load_once
    botocore.loaders.Loader.list_available_services = list_once


def _fork(order: dict[str, Any]) -> int:
    pid = os.fork()
    if pid:
        return pid
    try:
        os.setsid()
        _become(order)
        triggers = [Trigger(**trigger) for trigger in order["triggers"]]
        injector = Injector(Path(order["points"]), triggers)
        injector.install()
        answer = ROLES[order["role"]](order, injector)
        Path(order["answer"]).write_text(json.dumps(answer))
    except BaseException:  # noqa: BLE001 - the end of the process
        traceback.print_exc()
        _leave(1)
    _leave(0)
    return 0


def _become(order: dict[str, Any]) -> None:
    """A process of its own: signals, output, environment, settings."""
    signal.set_wakeup_fd(-1)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    log = os.open(order["log"], os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    os.dup2(log, 1)
    os.dup2(log, 2)
    faulthandler.enable()
    faulthandler.register(signal.SIGUSR1, all_threads=True)
    os.environ.update(order["environment"])
    os.chdir(order["folder"])
    settings_of_this_process.cache_clear()
    store_of.cache_clear()


def _leave(code: int) -> None:
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def _reap(living: set[int]) -> None:
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return
        if pid == 0:
            return
        living.discard(pid)
        _say({"ended": pid, "status": os.waitstatus_to_exitcode(status)})


def _say(what: dict[str, Any]) -> None:
    os.write(1, json.dumps(what).encode() + b"\n")


if __name__ == "__main__":
    main()
