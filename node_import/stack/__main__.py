"""`python -m node_import.stack`: the supervisor alone, as `stack up --detach` starts it."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from node_import.errors import UsageError
from node_import.stack.background import STEP
from node_import.stack.start_failure import StartFailed
from node_import.stack.state import DataDirInUse
from node_import.stack.supervisor import StackFailed, StopAsked, Supervisor


def main() -> int:
    """Run until a signal; 0 for an orderly end."""
    parser = argparse.ArgumentParser(prog="python -m node_import.stack")
    parser.add_argument("--data-dir", type=Path, required=True)
    parser.add_argument("--port", type=int)
    arguments = parser.parse_args()

    def tell(text: str) -> None:
        sys.stdout.write(text + "\n")
        sys.stdout.flush()

    supervisor = Supervisor(
        arguments.data_dir,
        webserver_port=arguments.port,
        on_step=lambda text: tell(STEP + text),
        on_incident=tell,
    )
    try:
        supervisor.run(lambda state: tell(f"Ready: {state.webserver_url}"))
    except StopAsked:
        return 0
    except DataDirInUse:
        tell(f"Another stack runs on {arguments.data_dir}")
        return 1
    except (StartFailed, StackFailed, UsageError) as error:
        tell(str(error))
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
