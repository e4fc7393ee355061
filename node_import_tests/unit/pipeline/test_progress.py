"""Signs of life of a long step."""

from __future__ import annotations

import logging

import pytest

from node_import.pipeline.progress import Progress


def test_at_most_a_line_in_ten_seconds(caplog: pytest.LogCaptureFixture) -> None:
    """A short step says nothing, a long one where it is now and then."""
    now = [0.0]
    progress = Progress(logging.getLogger("node_import.test"), clock=lambda: now[0])
    with caplog.at_level(logging.INFO):
        for second in range(26):
            now[0] = float(second)
            progress.say("%d seconds", second)
    assert caplog.messages == ["10 seconds", "20 seconds"]
