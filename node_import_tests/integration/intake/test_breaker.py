"""A topic whose messages are nearly all refused is not drained into its dead letters."""

from __future__ import annotations

from typing import TYPE_CHECKING

from node_import_tests.support.kafka_messages import produce, read_topic
from node_import_tests.support.tenants import rows

if TYPE_CHECKING:
    from node_import_tests.support.intake_desk import Desk

LIMIT = 20


def rest_is_over(desk: Desk) -> None:
    """The time of the next look has come."""
    with desk.database.connect() as conn:
        conn.execute("UPDATE intake_breaker SET look_after = now()")


def letters(desk: Desk) -> int:
    """How many dead letters there are."""
    return len(read_topic(desk.settings, desk.dlt))


def test_reading_stops_when_nearly_all_is_refused_and_goes_on_by_itself(desk: Desk) -> None:
    """The rest waits in the topic, says why, and becomes jobs when the group is there."""
    good = [desk.request(n) for n in range(3)]
    lost = [desk.request(n, groupId="gone") for n in range(60)]
    produce(desk.settings, desk.topic, [*good, *lost])

    first = desk.tick(intake_max_refusals=LIMIT)

    assert (first.accepted, first.rejected) == (3, LIMIT)
    [alert] = first.alerts
    assert f"{desk.topic} is not read on" in alert
    assert "UNKNOWN_GROUP 20" in alert
    second = desk.tick(intake_max_refusals=LIMIT)
    assert (second.accepted, second.rejected, second.alerts) == (0, 0, [])
    assert second.resting == {desk.topic}
    assert f"{desk.topic} not read for a while" in second.summary()
    assert letters(desk) == LIMIT

    with desk.database.connect() as conn:
        conn.execute(
            "INSERT INTO matching_group (id, domain_id, name) VALUES (gen_random_uuid(), %s, %s)",
            [desk.tenant.domain_id, "gone"],
        )
    rest_is_over(desk)
    third = desk.tick(intake_max_refusals=LIMIT)
    assert (third.accepted, third.rejected, third.resting) == (60 - LIMIT, 0, frozenset())
    assert rows(desk.database, "SELECT FROM intake_breaker") == []
    assert letters(desk) == LIMIT


def test_a_look_that_finds_nothing_better_is_small_and_rests_longer(desk: Desk) -> None:
    """Ten messages a look; what is answered is answered once."""
    produce(desk.settings, desk.topic, [desk.request(n, groupId="gone") for n in range(60)])
    desk.tick(intake_max_refusals=LIMIT)
    for look, rest in enumerate((20, 40), start=1):
        rest_is_over(desk)
        report = desk.tick(intake_max_refusals=LIMIT)
        assert report.rejected == 10
        assert f"follows in {rest} s" in report.alerts[0]
        assert desk.positions()[desk.topic, 0] == LIMIT + 10 * look
    assert letters(desk) == LIMIT + 20


def test_other_topics_are_read_on(desk: Desk) -> None:
    """One tenant never touches another."""
    other = f"{desk.tenant.name}x-users"
    produce(desk.settings, other, [desk.request(n) for n in range(LIMIT + 5)])
    produce(desk.settings, desk.topic, [desk.request(1)])
    report = desk.tick(intake_max_refusals=LIMIT)
    assert (report.accepted, report.rejected) == (1, LIMIT)
    produce(desk.settings, desk.topic, [desk.request(2)])
    report = desk.tick(intake_max_refusals=LIMIT)
    assert (report.accepted, report.resting) == (1, {other})


def test_what_is_bad_by_itself_is_answered_at_once(desk: Desk) -> None:
    """However much of it there is: it will never be better."""
    produce(desk.settings, desk.topic, ["{"] * (3 * LIMIT))
    report = desk.tick(intake_max_refusals=LIMIT)
    assert (report.rejected, report.alerts) == (3 * LIMIT, [])
    assert letters(desk) == 3 * LIMIT


def test_the_breaker_can_be_switched_off(desk: Desk) -> None:
    """With 0 every message is answered at once."""
    produce(desk.settings, desk.topic, [desk.request(n, groupId="gone") for n in range(40)])
    assert desk.tick(intake_max_refusals=0).rejected == 40


def test_refusals_are_counted_over_ticks(desk: Desk) -> None:
    """An accepted message in between begins the count anew."""
    for values in (["gone"] * 15, ["g"], ["gone"] * 15, ["gone"] * 15):
        produce(desk.settings, desk.topic, [desk.request(groupId=group) for group in values])
        report = desk.tick(intake_max_refusals=LIMIT)
    assert report.rejected == 5
    assert report.alerts
