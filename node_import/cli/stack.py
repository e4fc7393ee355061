"""`node-import stack`: the embedded PostgreSQL, Kafka and S3 with Dagster."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer

from node_import.cli.command_group import command_group
from node_import.cli.output import AsJson, note, print_document, print_table, print_text, steps

if TYPE_CHECKING:
    from node_import.stack.state import StackState

app = command_group("The embedded stack: PostgreSQL, Kafka, S3 and Dagster on this machine.")

DataDir = Annotated[
    Path | None,
    typer.Option(
        "--data-dir",
        metavar="D",
        help="Where it keeps its data [default: $NODE_IMPORT_DATA_DIR or .node_import here].",
    ),
]
KAFKA_IN_MEMORY = (
    "Kafka lives in memory: its topics are gone after a stop. Jobs, nodes, objects and runs stay."
)


@app.command("up")
def up(
    data_dir: DataDir = None,
    port: Annotated[
        int | None,
        typer.Option(
            "--port", metavar="P", min=1024, max=32767, help="Port of the UI [default: 3000]."
        ),
    ] = None,
    detach: Annotated[
        bool, typer.Option("--detach", help="Return when it is ready; it goes on running.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Start everything, stay in the foreground, and stop everything at Ctrl-C.

    A port that is taken is replaced by the next free one. A second Ctrl-C stops without waiting.
    If a stack already runs on the data directory, this says where, and ends.

    \b
    Examples:
      node-import stack up
      node-import stack up --detach && eval "$(node-import stack env)"
      node-import stack up --data-dir /var/tmp/import --port 3030
    """
    from node_import.stack.extra import require_embedded_extra

    require_embedded_extra()
    from node_import.stack.layout import data_dir_layout
    from node_import.stack.state import running_stack

    folder = data_dir_layout(data_dir).root
    if running_stack(folder) is not None:
        _already_running(folder, port, as_json=as_json)
    elif detach:
        _up_in_background(folder, port, as_json=as_json)
    else:
        _up_in_foreground(folder, port, as_json=as_json)


@app.command("down")
def down(data_dir: DataDir = None, as_json: AsJson = False) -> None:
    """Stop the stack and wait until it is gone. Its data stay for the next `stack up`.

    \b
    Examples:
      node-import stack down
      node-import stack down --data-dir /var/tmp/import
    """
    from node_import.stack.extra import require_embedded_extra

    require_embedded_extra()
    from node_import.stack.background import stop_stack
    from node_import.stack.layout import data_dir_layout
    from node_import.stack.state import running_stack

    folder = data_dir_layout(data_dir).root
    with steps() as step:
        if running_stack(folder) is not None:
            step("Stopping")
        stopped = stop_stack(folder)
    if as_json:
        print_document({"stopped": stopped, "dataDir": str(folder)})
    else:
        print_text(f"stopped; its data stay in {folder}" if stopped else _none_runs(folder))


@app.command("env")
def env(data_dir: DataDir = None, as_json: AsJson = False) -> None:
    """Print the settings that connect to the running stack, as shell exports. They hold passwords.

    \b
    Examples:
      eval "$(node-import stack env)"
      node-import stack env --json
    """
    from node_import.stack.extra import require_embedded_extra

    require_embedded_extra()
    from node_import.stack.layout import data_dir_layout
    from node_import.stack.state import running_stack, stack_environment

    folder = data_dir_layout(data_dir).root
    state = running_stack(folder)
    if state is None or state.phase != "ready":
        note(_none_runs(folder) if state is None else f"the stack in {folder} is {state.phase}")
        raise typer.Exit(1)
    variables = stack_environment(state)
    if as_json:
        print_document(variables)
    else:
        for name, value in variables.items():
            print_text(f"export {name}={_quoted(value)}")


def _up_in_foreground(folder: Path, port: int | None, *, as_json: bool) -> None:
    from node_import.stack.start_failure import StartFailed
    from node_import.stack.state import DataDirInUse
    from node_import.stack.supervisor import StackFailed, StopAsked, Supervisor

    with steps() as step:

        def ready(state: StackState) -> None:
            step(None)
            _show(state, as_json=as_json)
            if not as_json:
                note("Ctrl-C stops it.")

        try:
            Supervisor(folder, webserver_port=port, on_step=step, on_incident=note).run(ready)
        except StopAsked:
            step(None)
            note("stopped before it was ready")
            raise typer.Exit(1) from None
        except DataDirInUse:
            _already_running(folder, port, as_json=as_json)
        except StackFailed as error:
            step(None)
            note(str(error))
            note("everything was stopped")
            raise typer.Exit(1) from None
        except StartFailed as error:
            step(None)
            _failed(str(error), folder)


def _up_in_background(folder: Path, port: int | None, *, as_json: bool) -> None:
    from node_import.stack.background import start_stack_in_background
    from node_import.stack.start_failure import StartFailed

    with steps() as step:
        try:
            state = start_stack_in_background(folder, webserver_port=port, on_step=step)
        except StartFailed as error:
            step(None)
            _failed(error.detail, folder)
        step(None)
    _show(state, as_json=as_json)


def _already_running(folder: Path, port: int | None, *, as_json: bool) -> None:
    """What was asked for is there: exit 0, unless another port was asked for."""
    from node_import.stack.background import wait_until_ready
    from node_import.stack.start_failure import StartFailed

    try:
        with steps() as step:
            step("Waiting for the stack that runs there already")
            state = wait_until_ready(folder)
    except StartFailed as error:
        _failed(error.detail, folder)
    note(f"a stack already runs on {folder} (process {state.supervisor.pid})")
    _show(state, as_json=as_json, already=True)
    if port is not None and not state.webserver_url.endswith(f":{port}"):
        note(f"its UI is not on port {port}; `node-import stack down` first")
        raise typer.Exit(1)


def _failed(message: str, folder: Path) -> NoReturn:
    note(message)
    note(f"the stack did not come up; its logs are in {folder / 'logs'}")
    raise typer.Exit(1)


def _show(state: StackState, *, as_json: bool, already: bool = False) -> None:
    """Where everything is; never a password."""
    for service, (wanted, got) in state.moved_ports.items():
        note(f"port {wanted} is taken; {service.replace('_', ' ')} is on {got}")
    if as_json:
        print_document(_document(state, already=already))
        return
    document = _document(state, already=already)
    print_table(
        ("SERVICE", "WHERE"),
        [
            ("Dagster's UI", document["webserverUrl"]),
            ("PostgreSQL", document["postgres"]),
            ("Kafka", document["kafkaBootstrapServers"]),
            ("S3", f"{document['s3EndpointUrl']} (buckets: {', '.join(document['buckets'])})"),
            ("Data", document["dataDir"]),
            ("Logs", document["logs"]),
        ],
    )
    print_text(KAFKA_IN_MEMORY)
    print_text(f'Settings for this shell: eval "$({_env_command(state)})"')


def _document(state: StackState, *, already: bool) -> dict[str, Any]:
    from node_import.stack.s3 import BUCKETS

    variables = state.environment
    return {
        "dataDir": str(state.data_dir),
        "logs": str(state.data_dir / "logs"),
        "pid": state.supervisor.pid,
        "alreadyRunning": already,
        "webserverUrl": state.webserver_url,
        # Without the role and its password.
        "postgres": variables["NODE_IMPORT_POSTGRES_DSN"].rpartition("@")[2],
        "kafkaBootstrapServers": variables["NODE_IMPORT_KAFKA_BOOTSTRAP_SERVERS"],
        "s3EndpointUrl": variables["NODE_IMPORT_S3_ENDPOINT_URL"],
        "buckets": list(BUCKETS),
        "movedPorts": {name: list(ports) for name, ports in state.moved_ports.items()},
    }


def _env_command(state: StackState) -> str:
    from node_import.stack.layout import data_dir_layout

    if state.data_dir == data_dir_layout().root:
        return "node-import stack env"
    return f"node-import stack env --data-dir {shlex.quote(str(state.data_dir))}"


def _none_runs(folder: Path) -> str:
    return f"no stack runs on {folder}; `node-import stack up` starts one"


def _quoted(value: str) -> str:
    """In single quotes always; one inside ends them, is escaped, and opens them again."""
    return "'" + value.replace("'", "'\\''") + "'"
