"""Which letters a replay sends, and the reasons for leaving the others."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from uuid import UUID, uuid4

import pytest

from node_import.contracts.error_codes import ErrorCode
from node_import.jobs.record import JobStatus
from node_import.jobs.reopening import PastJob
from node_import.replaying.letter import Letter, LetterFilter
from node_import.replaying.selection import (
    FORCE,
    LATER_LETTER,
    PAST_THE_CAP,
    REPLAYED,
    Selection,
    Terms,
    select,
)
from node_import.replaying.standing import Standing
from node_import_tests.unit.replaying.letters import letter

TERMS = Terms(max_attempts=10)
INSIST = replace(TERMS, force=True)
JOB = uuid4()


def chosen(
    letters: Collection[Letter],
    standing: Standing = Standing(),  # noqa: B008 - frozen
    terms: Terms = TERMS,
    wanted: LetterFilter = LetterFilter(),  # noqa: B008 - frozen
) -> Selection:
    return select(letters, wanted.matches, standing, terms)


def reasons(selection: Selection) -> list[str]:
    return [reason for _, reason in selection.skipped]


def job_that_is(status: JobStatus, superseded_by: UUID | None = None) -> Standing:
    return Standing(jobs={JOB: PastJob(JOB, uuid4(), status, "p", superseded_by)})


def test_what_matches_is_counted_by_code() -> None:
    """The histogram of the dry run, the most frequent code first."""
    letters = [letter(original=n, code=ErrorCode.TIMEOUT) for n in range(2)]
    letters += [letter(original=n) for n in range(2, 5)]
    selection = chosen(letters)
    assert selection.chosen == letters
    assert list(selection.by_code.items()) == [("UNKNOWN_GROUP", 3), ("TIMEOUT", 2)]
    only = LetterFilter(codes=frozenset({ErrorCode.TIMEOUT}))
    assert chosen(letters, wanted=only).by_code == {"TIMEOUT": 2}


def test_a_letter_is_replayed_once() -> None:
    """Unless somebody insists."""
    one, other = letter(original=1), letter(original=2)
    standing = Standing(replayed=frozenset({one.place}))
    selection = chosen([one, other], standing)
    assert selection.chosen == [other]
    assert reasons(selection) == [REPLAYED + FORCE]
    assert chosen([one, other], standing, INSIST).chosen == [one, other]


def test_of_one_messages_letters_the_newest_counts() -> None:
    """The older ones are answered with it; to send them as well would only do it twice."""
    first, again, third = (letter(original=1, attempts=n) for n in (1, 2, 3))
    standing = Standing(replayed=frozenset({first.place}))
    selection = chosen([third, first, again], standing, INSIST)
    assert selection.chosen == [third]
    assert selection.covers == {third: [first, again]}
    assert set(reasons(selection)) == {REPLAYED, LATER_LETTER}


def test_a_letter_that_was_sent_twice_is_replayed_once() -> None:
    """A tick of intake that died may leave two of one failure."""
    first, second = letter(original=1, timestamp_ms=5_000), letter(original=1, timestamp_ms=6_000)
    assert chosen([first, second]).chosen == [second]


def test_a_message_does_not_go_round_for_ever() -> None:
    """Its tries are counted, and at the limit somebody must insist."""
    tired, fresh = letter(original=1, attempts=10), letter(original=2, attempts=9)
    selection = chosen([tired, fresh])
    assert selection.chosen == [fresh]
    assert "tried 10 times, the limit is 10" in reasons(selection)[0]
    assert chosen([tired], terms=INSIST).chosen == [tired]


@pytest.mark.parametrize("status", [JobStatus.COMPLETED, JobStatus.PENDING, JobStatus.RUNNING])
def test_a_job_that_is_not_failed_needs_no_replay(status: JobStatus) -> None:
    """Somebody else has mended it; nobody can insist."""
    selection = chosen([letter(job_id=JOB)], job_that_is(status), INSIST)
    assert selection.chosen == []
    assert "its job" in reasons(selection)[0]
    assert FORCE not in reasons(selection)[0]


def test_a_failed_job_and_an_unknown_one_are_replayed() -> None:
    """The message of a job that is no longer in the table makes it anew."""
    one = letter(job_id=JOB)
    assert chosen([one], job_that_is(JobStatus.FAILED)).chosen == [one]
    assert chosen([one]).chosen == [one]


def test_an_old_file_does_not_overwrite_a_new_one() -> None:
    """Neither that of a job nor that of a message which never became one."""
    newer = uuid4()
    of_job, of_message = letter(job_id=JOB, original=1), letter(original=2)
    jobs = job_that_is(JobStatus.FAILED, newer).jobs
    standing = Standing(jobs=jobs, outdated={of_message.place: newer})
    selection = chosen([of_job, of_message], standing)
    assert selection.chosen == []
    assert [str(newer) in reason and FORCE in reason for reason in reasons(selection)] == [True] * 2
    assert chosen([of_job, of_message], standing, INSIST).chosen == [of_job, of_message]


def test_the_cap_counts_what_is_sent() -> None:
    """A letter that is skipped takes no place."""
    letters = [letter(original=n) for n in range(4)]
    standing = Standing(replayed=frozenset({letters[0].place}))
    selection = chosen(letters, standing, replace(TERMS, most=2))
    assert selection.chosen == letters[1:3]
    assert selection.by_reason == {REPLAYED + FORCE: 1, PAST_THE_CAP: 1}
    assert len(selection.matched) == 4
