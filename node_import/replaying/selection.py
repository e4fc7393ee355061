"""Which dead letters a replay sends, and why not the others. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Hashable, Mapping
from dataclasses import dataclass, field

from node_import.jobs.reopening import outdated_by
from node_import.replaying.letter import Letter
from node_import.replaying.standing import Standing

LATER_LETTER = "a later letter of the same message counts"
REPLAYED = "replayed before"
TOO_OFTEN = "tried {tries} times, the limit is {limit} (NODE_IMPORT_REPLAY_MAX_ATTEMPTS)"
PAST_THE_CAP = "past --max"
FORCE = "; --force replays it all the same"


@dataclass(frozen=True, slots=True)
class Terms:
    """How a replay was asked for: at most `most` letters, `max_attempts` is the loop guard."""

    max_attempts: int
    force: bool = False
    most: int | None = None


@dataclass(slots=True)
class Selection:
    """What a replay would do.

    `chosen` are in the order in which they stand, `covers` the older letters of their messages,
    which are answered with them; `skipped` is (letter, reason).
    """

    matched: list[Letter] = field(default_factory=list)
    chosen: list[Letter] = field(default_factory=list)
    skipped: list[tuple[Letter, str]] = field(default_factory=list)
    covers: dict[Letter, list[Letter]] = field(default_factory=dict)

    @property
    def by_code(self) -> dict[str, int]:
        """How many letters of each code matched, the most frequent first."""
        return dict(Counter(letter.code for letter in self.matched).most_common())

    @property
    def by_reason(self) -> dict[str, int]:
        """How many are skipped for each reason."""
        return dict(Counter(reason for _, reason in self.skipped).most_common())


def select(
    letters: Collection[Letter],
    matches: Callable[[Letter], bool],
    standing: Standing,
    terms: Terms,
) -> Selection:
    """Choose among `letters`, which are all that stand in the topics, in order."""
    messages = _by_message(letters)
    selection = Selection()
    for letter in filter(matches, letters):
        selection.matched.append(letter)
        *older, newest = messages[letter.of_message]
        reason = _reason(letter, newest, standing, terms)
        if reason is None and terms.most is not None and len(selection.chosen) >= terms.most:
            reason = PAST_THE_CAP
        if reason is not None:
            selection.skipped.append((letter, reason))
            continue
        selection.chosen.append(letter)
        selection.covers[letter] = older
    return selection


def _by_message(letters: Collection[Letter]) -> Mapping[Hashable, list[Letter]]:
    """The letters of each message, the newest last: they may stand in several partitions."""
    messages: dict[Hashable, list[Letter]] = {}
    for letter in letters:
        messages.setdefault(letter.of_message, []).append(letter)
    for found in messages.values():
        found.sort(key=lambda letter: (letter.info.attempts or 0, letter.timestamp_ms))
    return messages


def _reason(letter: Letter, newest: Letter, standing: Standing, terms: Terms) -> str | None:
    """Why the letter is skipped, the strongest reason first; None if it is not."""
    if letter.place in standing.replayed and letter != newest:
        return REPLAYED
    if letter != newest:
        return LATER_LETTER
    job = standing.job_of(letter)
    if job is not None and job.at_work:
        return f"its job {job.at_work}"
    if terms.force:
        return None
    doubt = _doubt(letter, standing, terms)
    return doubt + FORCE if doubt else None


def _doubt(letter: Letter, standing: Standing, terms: Terms) -> str | None:
    """Why somebody must insist."""
    if letter.place in standing.replayed:
        return REPLAYED
    tries = letter.info.attempts or 0
    if tries >= terms.max_attempts:
        return TOO_OFTEN.format(tries=tries, limit=terms.max_attempts)
    job = standing.job_of(letter)
    if job is not None and job.outdated:
        return f"its job {job.outdated}"
    newer = standing.outdated.get(letter.place)
    return f"its file {outdated_by(newer)}" if newer else None
