"""What the webserver may answer; a real one answers in the acceptance tests."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import dagster as dg
import pytest

from node_import.errors import UsageError
from node_import.orchestration.partitions import PARTITIONS_NAME
from node_import.replaying.dagster_webserver import (
    ADD_PARTITIONS,
    DagsterWebserver,
    WebserverRefused,
    WebserverSilent,
)

HERE = {"name": "__repository__", "location": {"name": "here"}, "jobs": [{"name": "import_nodes"}]}
FOUND = {"repositoriesOrError": {"nodes": [{**HERE, "jobs": []}, HERE]}}


def launched(**answer: Any) -> dict[str, Any]:
    return {"launchPartitionBackfill": answer}


class Webserver:
    """Gives prepared answers, and notes what it was asked."""

    def __init__(self) -> None:
        self.answers: list[Any] = []
        self.asked: list[dict[str, Any]] = []
        webserver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                webserver.asked.append({"path": self.path, **json.loads(body)})
                answer = webserver.answers.pop(0)
                self.send_response(200)
                self.end_headers()
                self.wfile.write(json.dumps(answer).encode())

            def handle(self) -> None:
                with contextlib.suppress(IndexError):  # asked for more than was prepared
                    super().handle()

            def log_message(self, *_: object) -> None:
                pass

        self.server = HTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"

    def answer(self, *data: dict[str, Any]) -> None:
        self.answers += [{"data": one} for one in data]


@pytest.fixture
def webserver(monkeypatch: pytest.MonkeyPatch) -> Iterator[Webserver]:
    """Reached although the environment names a proxy."""
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    made = Webserver()
    thread = threading.Thread(target=made.server.serve_forever, args=(0.05,))
    thread.start()
    yield made
    made.server.shutdown()
    thread.join()
    made.server.server_close()


def test_a_backfill_is_launched_where_the_job_is(webserver: Webserver) -> None:
    """The code location may have any name."""
    webserver.answer(FOUND, launched(__typename="LaunchBackfillSuccess", backfillId="b"))
    assert DagsterWebserver(webserver.url + "/").launch_backfill(["p", "q"]) == "b"
    params = webserver.asked[1]["variables"]["params"]
    assert webserver.asked[1]["path"] == "/graphql"
    assert params["partitionNames"] == ["p", "q"]
    assert params["selector"] == {
        "partitionSetName": "import_nodes_partition_set",
        "repositorySelector": {
            "repositoryLocationName": "here",
            "repositoryName": "__repository__",
        },
    }


@pytest.mark.parametrize(
    ("answers", "said"),
    [
        ([{"repositoriesOrError": {"nodes": []}}], "no code location is loaded"),
        ([{"repositoriesOrError": {"message": "does not load"}}], "does not load"),
        ([FOUND, launched(__typename="UnauthorizedError", message="read only")], "read only"),
        ([FOUND, launched(__typename="RunConflict")], "RunConflict"),
    ],
)
def test_what_dagster_refuses_is_told(
    webserver: Webserver, answers: list[dict[str, Any]], said: str
) -> None:
    """In its own words."""
    webserver.answer(*answers)
    with pytest.raises(WebserverRefused, match=said):
        DagsterWebserver(webserver.url).launch_backfill(["p"])


def test_an_answer_that_is_none(webserver: Webserver) -> None:
    """Another server may stand there, or none."""
    webserver.answers = [{"errors": ["no such field"]}]
    with pytest.raises(WebserverRefused, match="no such field"):
        DagsterWebserver(webserver.url).launch_backfill(["p"])
    with pytest.raises(WebserverRefused, match="cannot be reached"):
        DagsterWebserver("http://127.0.0.1:9").launch_backfill(["p"])


def test_a_launch_without_an_answer_may_have_been_one(webserver: Webserver) -> None:
    """A webserver that dies over it is no refusal: the user must look before repeating it."""
    webserver.answer(FOUND)  # the second request finds no prepared answer: its connection breaks
    with pytest.raises(WebserverSilent, match="gives no answer"):
        DagsterWebserver(webserver.url).launch_backfill(["p"])


def test_pruned_partitions_need_the_instance(
    webserver: Webserver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without DAGSTER_HOME they cannot be added again."""
    monkeypatch.delenv("DAGSTER_HOME", raising=False)
    missing = launched(__typename="PartitionKeysNotFoundError", partitionKeys=["p"])
    webserver.answer(FOUND, missing)
    with pytest.raises(UsageError, match="DAGSTER_HOME"):
        DagsterWebserver(webserver.url).launch_backfill(["p"])


def test_partitions_are_added_by_a_process_of_their_own(tmp_path: Any) -> None:
    """Those that are there stay."""
    (tmp_path / "dagster.yaml").write_text("telemetry:\n  enabled: false\n")
    for keys in ("a\nb", "b\nc"):
        subprocess.run(
            [sys.executable, "-m", ADD_PARTITIONS],
            input=keys,
            text=True,
            check=True,
            env={"DAGSTER_HOME": str(tmp_path)},
        )
    with dg.DagsterInstance.from_config(str(tmp_path)) as instance:
        assert set(instance.get_dynamic_partitions(PARTITIONS_NAME)) == {"a", "b", "c"}
