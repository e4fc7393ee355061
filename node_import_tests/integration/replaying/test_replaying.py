"""Dead letters on their way back, between a real cluster and a real database."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from node_import.contracts.error_codes import ErrorCode
from node_import.contracts.identity import MessageIdentity
from node_import.contracts.message import Message
from node_import.errors import PermanentError
from node_import.publishing.dead_letters import fetch_from_bucket, store_in_bucket
from node_import.replaying import reading
from node_import.replaying.letter import LetterFilter
from node_import.replaying.standing import replay_turn
from node_import_tests.support.kafka_messages import produce, read_topic
from node_import_tests.support.tenants import put, rows

if TYPE_CHECKING:
    from conftest import ReplayDesk

TRACE = ("traceparent", b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")


def test_a_message_that_was_refused_becomes_its_job(replays: ReplayDesk) -> None:
    """Key, value, headers and identity are those of the message; the letter goes once."""
    desk = replays.desk
    request = desk.request(groupId="late")
    produce(desk.settings, desk.topic, [request], key=b"k", headers=[TRACE])
    desk.tick()
    replays.add_group("late")

    assert len(replays.replay()) == 1
    assert replays.replay() == []

    assert desk.tick().accepted == 1
    columns = "message_offset, message_key, message_value, traceparent"
    assert desk.jobs(columns) == [(0, b"k", request.encode(), TRACE[1].decode())]


def test_a_letter_of_a_failed_job_reopens_that_job(replays: ReplayDesk) -> None:
    """And a job that has come right meanwhile is left alone."""
    desk = replays.desk
    produce(desk.settings, desk.topic, [desk.request(1), desk.request(2)])
    desk.tick()
    failed, mended = (job for (job,) in desk.jobs())
    replays.fail_job(failed)
    replays.fail_job(mended)
    put(desk.database, mended, status="COMPLETED")

    assert [letter.info.job_id for letter in replays.replay()] == [failed]

    assert desk.tick().reopened == 1
    assert desk.jobs("id, status") == [(failed, "PENDING"), (mended, "COMPLETED")]


def test_a_job_that_fails_again_can_be_replayed_again(replays: ReplayDesk) -> None:
    """By its new letter; the old one stays answered, also if somebody insists."""
    desk = replays.desk
    produce(desk.settings, desk.topic, [desk.request(1)])
    desk.tick()
    [(job,)] = desk.jobs()
    for attempt in (1, 2):
        replays.fail_job(job)
        assert [letter.info.attempts for letter in replays.replay()] == [attempt]
        assert desk.tick().reopened == 1
    put(desk.database, job, status="FAILED")
    assert replays.replay() == []
    assert [letter.info.attempts for letter in replays.replay(force=True)] == [2]
    assert rows(desk.database, "SELECT times FROM replayed_letter ORDER BY 1") == [(1,), (2,)]


def test_all_letters_are_read_however_many(
    replays: ReplayDesk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also in several batches, from several partitions and topics."""
    monkeypatch.setattr(reading, "BATCH_MESSAGES", 3)
    desk = replays.desk
    other = f"{desk.tenant.name}2-users"
    for topic, count in ((desk.topic, 8), (other, 3)):
        for number in range(count):
            produce(desk.settings, topic, ["not JSON"], key=str(number).encode())
    desk.tick()

    letters = replays.letters()
    assert len(letters) == len({letter.place for letter in letters}) == 11
    again = [letter for letter, message in replays.reader().messages(letters[2:7])]
    assert sorted(letter.name for letter in again) == sorted(one.name for one in letters[2:7])
    wanted = LetterFilter(topics=frozenset({other}))
    assert len(list(replays.reader(wanted).letters())) == 3


def test_a_topic_without_letters_is_no_error(replays: ReplayDesk) -> None:
    """Nothing has failed yet."""
    assert replays.letters() == []
    assert replays.selection().matched == []


def test_a_file_older_than_what_was_imported_since(replays: ReplayDesk) -> None:
    """A message that never became a job must not overwrite either, by name or id of its group."""
    desk = replays.desk
    file = {"referenceIds": None, "filePath": "s3://bucket/key"}
    by_id = desk.request(groupId=str(desk.tenant.groups["g"]), **file)
    requests = [desk.request(**file), by_id, desk.request(groupId="h", **file), desk.request(1)]
    produce(desk.settings, desk.topic, [*requests, desk.request(**file)])
    with desk.database.connect() as conn:
        conn.execute("UPDATE matching_group SET active = false")
    desk.tick(intake_max_messages=4)
    with desk.database.connect() as conn:
        conn.execute("UPDATE matching_group SET active = true")
    assert desk.tick().accepted == 1
    [(newer,)] = desk.jobs()
    assert replays.standing().outdated == {}
    put(desk.database, newer, status="COMPLETED")

    letters = sorted(replays.letters(), key=lambda letter: letter.info.original_offset or 0)
    first, second, other, references = letters

    assert replays.standing().outdated == {first.place: newer, second.place: newer}
    assert set(replays.selection().chosen) == {other, references}
    assert len(replays.replay(force=True)) == 4


def test_clocks_decide_between_partitions(replays: ReplayDesk) -> None:
    """Offsets of two partitions cannot be compared."""
    desk = replays.desk
    produce(desk.settings, desk.topic, ["x"], partition=1)
    file = desk.request(referenceIds=None, filePath="s3://bucket/key")
    newer = desk.tenant.file()
    put(desk.database, newer, status="COMPLETED", message_timestamp=2_000, message_partition=0)
    for timestamp in (1_999, 2_000):
        identity = MessageIdentity("cluster", desk.topic, 1, 9, timestamp)
        replays.send(Message(identity, b"k", file.encode()))
    earlier, later = sorted(
        replays.letters(), key=lambda letter: letter.info.original_timestamp_ms or 0
    )
    assert replays.standing().outdated == {earlier.place: newer}
    assert later.names_file is not None


def test_a_value_that_went_into_the_store_comes_back(replays: ReplayDesk) -> None:
    """Whole; and nothing else of the store does, whatever a letter says."""
    settings = replays.desk.settings
    url = store_in_bucket(settings)(b"the value")
    fetch = fetch_from_bucket(settings)
    assert fetch(url) == b"the value"
    for other in (
        url[:-1],
        url.replace("dead-letters", "in"),
        url.replace(settings.s3_bucket, "b"),
    ):
        with pytest.raises(PermanentError) as refused:
            fetch(other)
        assert refused.value.code == ErrorCode.PATH_NOT_ALLOWED
    with pytest.raises(PermanentError) as gone:
        fetch(url.replace(url[-8:], "0" * 8))
    assert gone.value.code == ErrorCode.FILE_NOT_FOUND


def test_a_value_that_was_changed_is_not_sent(replays: ReplayDesk, s3_client: object) -> None:
    """Its name is its hash."""
    settings = replays.desk.settings
    url = store_in_bucket(settings)(b"the value")
    key = url.removeprefix(f"s3://{settings.s3_bucket}/")
    s3_client.put_object(Bucket=settings.s3_bucket, Key=key, Body=b"another")  # type: ignore[attr-defined]
    with pytest.raises(PermanentError) as changed:
        fetch_from_bucket(settings)(url)
    assert changed.value.code == ErrorCode.FILE_CHANGED


def test_one_replay_at_a_time(replays: ReplayDesk) -> None:
    """The second is told; when the first has ended it may."""
    database = replays.desk.tenant.database
    with replay_turn(database) as first, replay_turn(database) as second:
        assert (first, second) == (True, False)
    with replay_turn(database) as third:
        assert third


def test_a_message_at_the_limit_comes_back_within_it(replays: ReplayDesk) -> None:
    """What a letter has added to it does not count."""
    desk = replays.desk
    request = desk.request(groupId="late", note="x" * 1_048_000)
    request = desk.request(groupId="late", note="x" * (1_048_576 - len(request) + 1_048_000))
    assert len(request) == 1_048_576
    identity = MessageIdentity("cluster", desk.topic, 0, 0, 1_000)
    replays.send(Message(identity, None, request.encode()), code=ErrorCode.UNKNOWN_GROUP)
    produce(desk.settings, desk.topic, ["x"])
    desk.tick()
    replays.add_group("late")
    replays.replay()
    assert desk.tick().accepted == 1
    assert [len(message.value or b"") for message in read_topic(desk.settings, desk.topic)]
