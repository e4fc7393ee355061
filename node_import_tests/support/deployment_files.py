"""The files of docker/ as tests read them: Dockerfile, compose.yaml, secrets, build context."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from dockerfile_parse import DockerfileParser

ROOT = Path(__file__).parents[2]
DOCKER = ROOT / "docker"
# ${NAME} and ${NAME:-default}, the two forms of Compose's interpolation that the file uses.
_VARIABLE = re.compile(r"\$\{(?P<name>\w+)(?::-(?P<default>[^}]*))?\}")


@dataclass(frozen=True, slots=True)
class Instruction:
    """One instruction of the Dockerfile: `RUN`, and what stands behind it on one line."""

    name: str
    value: str


def dockerfile() -> list[Instruction]:
    """All instructions, comments left out, continued lines joined."""
    parser = DockerfileParser(path=str(DOCKER / "Dockerfile"), cache_content=True)
    return [
        Instruction(str(item["instruction"]), str(item["value"]))
        for item in parser.structure
        if item["instruction"] != "COMMENT"
    ]


def stage(name: str) -> list[Instruction]:
    """The instructions of one stage, its FROM first."""
    stages: list[list[Instruction]] = []
    for instruction in dockerfile():
        if instruction.name == "FROM":
            stages.append([])
        if stages:
            stages[-1].append(instruction)
    [found] = [one for one in stages if one[0].value.endswith(f" AS {name}")]
    return found


def image_environment() -> dict[str, str]:
    """What ENV of the last stage says."""
    text = " ".join(one.value for one in stage("runtime") if one.name == "ENV")
    return dict(re.findall(r"(\w+)=(\S+)", text))


def image_command(name: str) -> list[str]:
    """ENTRYPOINT, CMD, or the command of HEALTHCHECK, in their JSON form."""
    [value] = [one.value for one in stage("runtime") if one.name == name]
    words: list[str] = json.loads(value[value.index("[") :])
    return words


def compose() -> dict[str, Any]:
    """compose.yaml, as it stands."""
    return load_yaml(DOCKER / "compose.yaml")


def load_yaml(path: Path) -> dict[str, Any]:
    """A file with one document."""
    document: dict[str, Any] = yaml.safe_load(path.read_text(encoding="utf-8"))
    return document


def interpolated(value: object, variables: Mapping[str, str]) -> str:
    """What Compose makes of a scalar, given the variables of `.env`."""
    return _VARIABLE.sub(lambda m: variables.get(m["name"], m["default"] or ""), str(value))


def variables_in(text: str) -> dict[str, str]:
    """The variables that a text interpolates, with their defaults."""
    return {m["name"]: m["default"] or "" for m in _VARIABLE.finditer(text)}


def example_variables() -> dict[str, str]:
    """What .env.example sets."""
    text = (DOCKER / ".env.example").read_text(encoding="utf-8")
    return dict(re.findall(r"^(\w+)=(.*)$", text, re.MULTILINE))


def copy_build_context(target: Path) -> None:
    """What reaches the builder: the entries that .dockerignore lets through, and no more."""
    lines = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    for line in lines:
        if line.startswith("!"):
            name = line.removeprefix("!").rstrip("/")
            source = ROOT / name
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            if source.is_dir():
                ignored = shutil.ignore_patterns("__pycache__")
                shutil.copytree(source, target / name, ignore=ignored)
            else:
                shutil.copy2(source, target / name)
