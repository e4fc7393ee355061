"""What is run against which PostgreSQL. Each suite has its own services: two can run at once."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

TESTS = Path("node_import_tests")
# They start the embedded services themselves: others would tell them nothing.
ABOUT_THE_EMBEDDED_STACK = (
    TESTS / "integration/stack",
    TESTS / "acceptance/stack",
    TESTS / "acceptance/cli/test_demo.py",
)
WHOLE_RUNS = TESTS / "integration/orchestration"


@dataclass(frozen=True, slots=True)
class Suite:
    """Tests, and the major version of PostgreSQL that they run against."""

    name: str
    postgres: int
    paths: tuple[Path, ...]
    left_out: tuple[Path, ...] = ()

    def pytest_arguments(self) -> Iterator[str]:
        """Which tests."""
        for path in (*ABOUT_THE_EMBEDDED_STACK, *self.left_out):
            yield f"--ignore={path}"
        yield from map(str, self.paths)


# The longest first: they are begun in this order.
SUITES = (
    Suite("services", 15, (TESTS / "services",)),
    Suite("acceptance", 15, (TESTS / "acceptance",)),
    Suite("runs", 15, (WHOLE_RUNS,)),
    Suite("integration", 15, (TESTS / "integration",), left_out=(WHOLE_RUNS,)),
    # `make test` has tried all of it on 18, with the embedded Kafka and S3.
    Suite(
        "newest",
        18,
        (
            TESTS / "integration/intake",
            TESTS / "services/test_two_intakes.py",
            TESTS / "services/test_walk.py::test_own_services_leads_to_an_import",
        ),
    ),
)
