"""What was measured: a list of repetitions under each name, kept on disk after each of them."""

from __future__ import annotations

import json
import statistics
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

Repetition = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Figure:
    """A median over repetitions, with the least and the greatest."""

    median: float
    least: float
    greatest: float
    count: int

    @classmethod
    def of(cls, values: list[float]) -> Figure:
        """Of at least one value."""
        return cls(statistics.median(values), min(values), max(values), len(values))

    def text(self, form: str = "{:.2f}") -> str:
        """`median (least to greatest)`."""
        if self.count == 1:
            return form.format(self.median)
        spread = f"{form.format(self.least)} to {form.format(self.greatest)}"
        return f"{form.format(self.median)} ({spread})"


class Results:
    """Measurements by name. What a file holds already is not measured again."""

    def __init__(self, path: Path, tell: Callable[[str], None] = lambda _: None) -> None:
        self._path = path
        self._tell = tell
        self.facts: dict[str, Any] = {}
        self.skipped: dict[str, str] = {}
        self.measured: dict[str, list[Repetition]] = {}
        if path.exists():
            document = json.loads(path.read_text(encoding="utf-8"))
            self.facts, self.skipped = document["facts"], document["skipped"]
            self.measured = document["measured"]

    @classmethod
    def anew(cls, path: Path, tell: Callable[[str], None]) -> Results:
        """With nothing in it, whatever the file holds."""
        path.unlink(missing_ok=True)
        return cls(path, tell)

    def has(self, name: str, count: int = 1) -> bool:
        """Whether so many repetitions are there."""
        return len(self.measured.get(name, ())) >= count

    def measure(self, name: str, repetition: int, how: Callable[[], Repetition]) -> None:
        """Measure repetition number `repetition`, from 0, unless it is there.

        What fails is told, noted in the report, and does not end the others.
        """
        if self.has(name, repetition + 1):
            return
        try:
            one = how()
        except Exception as error:  # noqa: BLE001 - the others go on; the report says it
            self.skip(name, f"failed: {error}")
            return
        self.measured.setdefault(name, []).append(one)
        self.skipped.pop(name, None)
        self._tell(f"{name}: {_short(one)}")
        self.write()

    def skip(self, name: str, why: str) -> None:
        """Note that something was not measured."""
        self._tell(f"{name}: {why}")
        self.skipped[name] = why
        self.write()

    def write(self) -> None:
        """Keep everything."""
        document = {"facts": self.facts, "skipped": self.skipped, "measured": self.measured}
        beside = self._path.with_suffix(".new")
        beside.write_text(json.dumps(document, indent=1), encoding="utf-8")
        beside.replace(self._path)

    def figure(self, name: str, value: str = "seconds") -> Figure | None:
        """One value over the repetitions; None if it was not measured."""
        found = [float(one[value]) for one in self.measured.get(name, ()) if value in one]
        return Figure.of(found) if found else None

    def ratio(
        self, above: tuple[str, str], below: tuple[str, str], factor: float = 1.0
    ) -> Figure | None:
        """Repetition by repetition, since those of one number ran one after the other.

        Where the numbers of repetitions differ, against the median of `below`.
        """
        tops = [float(one[above[1]]) for one in self.measured.get(above[0], ())]
        bases = [float(one[below[1]]) for one in self.measured.get(below[0], ())]
        if not tops or not bases:
            return None
        if len(tops) != len(bases):
            bases = [statistics.median(bases)] * len(tops)
        return Figure.of([top / base * factor for top, base in zip(tops, bases, strict=True)])


def _short(one: Repetition) -> str:
    """The plain numbers of a repetition."""
    shown = {name: value for name, value in one.items() if isinstance(value, int | float)}
    return ", ".join(f"{name} {value:,.4g}" for name, value in list(shown.items())[:6])
