"""What a tick says of itself."""

from __future__ import annotations

from node_import.contracts.error_codes import ErrorCode
from node_import.contracts.node_type import NodeType
from node_import.contracts.topics import RequestTopic
from node_import.intake.positions import Partition
from node_import.intake.report import IntakeReport


def test_a_summary_is_one_line() -> None:
    """Totals over all topics, and why messages were refused."""
    report = IntakeReport()
    report.of("acme-users").accepted = 3
    report.of("bolt-users").accepted = 1
    report.of("bolt-users").reopened = 1
    report.of("acme-users").duplicates = 2
    report.of("acme-users").rejected.update({ErrorCode.INVALID_JSON: 1})
    report.of("bolt-users").rejected.update({ErrorCode.UNKNOWN_GROUP: 2})
    assert report.summary() == (
        "4 accepted, 3 rejected (UNKNOWN_GROUP 2, INVALID_JSON 1), 2 known already, 1 reopened"
    )
    assert IntakeReport(skipped=True).summary() == "another tick is reading"


def test_the_cursor_shows_the_positions() -> None:
    """By topic and partition; a tick that was skipped leaves the cursor alone."""
    topic = RequestTopic("acme-users", "acme", NodeType.USER)
    positions = {Partition(topic, "id", number): number * 10 for number in (1, 0)}
    report = IntakeReport(positions=positions)
    assert report.as_cursor() == '{"acme-users":{"0":0,"1":10}}'
    assert IntakeReport(skipped=True).as_cursor() is None
