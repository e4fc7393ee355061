"""Child processes that run our own code: which Python, and what they inherit."""

from __future__ import annotations

import os
import site
import sys
from pathlib import Path

import node_import
from node_import.settings import PREFIX


def python_command(module: str, *arguments: str) -> list[str]:
    """Run a module with the Python that runs this."""
    return [sys.executable, "-m", module, *arguments]


def own_environment() -> dict[str, str]:
    """This process's variables, so that a child imports the same package, installed or not."""
    folder = str(Path(node_import.__file__).parents[1])
    variables = {**os.environ, "PYTHONUNBUFFERED": "1"}
    if folder not in {*site.getsitepackages(), site.getusersitepackages()}:
        others = variables.get("PYTHONPATH")
        variables["PYTHONPATH"] = os.pathsep.join([folder, *([others] if others else [])])
    return variables


def environment_without_settings() -> dict[str, str]:
    """The same without any setting of ours, for a child that gets all of them anew."""
    return {name: text for name, text in own_environment().items() if not name.startswith(PREFIX)}
