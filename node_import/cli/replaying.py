"""What `dlq replay` does, and what it says of it."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import typer

from node_import.cli.deployment import as_operator
from node_import.cli.dlq import open_reader, tell_warnings
from node_import.cli.failure import CommandFailed
from node_import.cli.output import note, print_document, print_table, print_text, progress
from node_import.database import Database
from node_import.errors import TransientError, UsageError
from node_import.publishing.confirmed_producer import ConfirmedProducer
from node_import.publishing.dead_letters import fetch_from_bucket
from node_import.replaying.letter import Letter, LetterFilter
from node_import.replaying.reading import LetterReader
from node_import.replaying.replay import Pace, Replayer
from node_import.replaying.selection import Selection, Terms, select
from node_import.replaying.standing import Standing, mark_replayed, replay_turn, standing_of
from node_import.settings import Settings

MOST_REASONS = 10
_RATE = re.compile(r"(\d{1,6}(?:\.\d{1,6})?)(?:/s)?")


@dataclass(frozen=True, slots=True)
class Request:
    """What was asked for, and of which deployment."""

    settings: Settings
    database: Database
    wanted: LetterFilter
    most: int | None
    force: bool
    as_json: bool


def parse_rate(text: str) -> float:
    """`50` or `50/s`, letters a second; UsageError for anything else, and for none at all."""
    match = _RATE.fullmatch(text.strip())
    rate = float(match[1]) if match else 0.0
    if rate <= 0:
        message = f"{text!r} is no rate; write 50/s, or 0.5/s for one letter every two seconds"
        raise UsageError(message)
    return rate


def dry_run_replay(request: Request) -> None:
    """Say what would be sent."""
    _, selection, _ = _choose(request)
    _tell_skipped(selection.by_reason)
    if request.as_json:
        _print_counts(selection, 0, len(selection.skipped))
        return
    chosen = Counter(letter.code for letter in selection.chosen)
    rows = [(code, count, chosen[code]) for code, count in selection.by_code.items()]
    if rows:
        print_table(("CODE", "LETTERS", "TO REPLAY"), rows)
    print_text(f"dry run: {len(selection.chosen):,} of {len(selection.matched):,} would be sent")


def replay(request: Request, rate: str | None) -> None:
    """Send, mark, and say what was done; exit code 1 if a letter could not be sent."""
    pace = Pace(parse_rate(rate) if rate else None)
    with replay_turn(request.database) as mine:
        if not mine:
            message = "another `node-import dlq replay` is at work; try again when it has ended"
            raise CommandFailed(message)
        reader, selection, standing = _choose(request)
        sending = _Sending(request, reader, selection, standing)
        sending.run(pace)
    replayed = len(sending.replayed)
    _tell_skipped(selection.by_reason)
    if request.as_json:
        _print_counts(selection, replayed, len(selection.matched) - replayed)
    else:
        rows = Counter(letter.code for letter in sending.replayed).most_common()
        if rows:
            print_table(("CODE", "REPLAYED"), rows)
        print_text(f"replayed {replayed:,} of {len(selection.matched):,}")
    for letter, reason in sending.failed:
        note(f"{letter.name} was not sent: {reason}")
    if sending.failed:
        raise typer.Exit(1)


class _Sending:
    """Sends what was chosen; `replayed` and `failed` grow with every batch."""

    def __init__(
        self, request: Request, reader: LetterReader, selection: Selection, standing: Standing
    ) -> None:
        self._request = request
        self._reader = reader
        self._selection = selection
        self._standing = standing
        self.replayed: list[Letter] = []
        self.failed: list[tuple[Letter, str]] = []

    def run(self, pace: Pace) -> None:
        """With a bar on a terminal. An outage ends it; what was confirmed is marked by then."""
        settings, chosen = self._request.settings, self._selection.chosen
        if not chosen:
            return
        with ConfirmedProducer.from_settings(settings) as producer, progress() as bars:
            bar = bars.add_task("replaying", total=len(chosen), detail="")
            replayer = Replayer(
                sender=producer,
                fetch_value=fetch_from_bucket(settings),
                request_topic=lambda letter: self._reader.request_topic(letter.partition),
                mark=self._mark,
                pace=pace,
            )
            try:
                for outcome in replayer.run(self._reader.messages(chosen)):
                    self.failed += outcome.failed
                    done = len(self.replayed) + len(self.failed)
                    bars.update(bar, completed=done, detail=f"{done:,} of {len(chosen):,}")
            except TransientError:
                note(f"{len(self.replayed):,} letters were replayed; the same command goes on")
                raise

    def _mark(self, letters: Sequence[Letter]) -> None:
        """The letters, and older ones of the same messages: they are answered too."""
        older = (one for letter in letters for one in self._selection.covers[letter])
        covered = [one for one in older if one.place not in self._standing.replayed]
        with as_operator(self._request.database) as conn:
            mark_replayed(conn, self._reader.cluster_id, [*letters, *covered])
        self.replayed += letters


def _choose(request: Request) -> tuple[LetterReader, Selection, Standing]:
    reader = open_reader(request.settings, request.wanted)
    letters = list(reader.letters())
    tell_warnings(reader)
    reader.warnings.clear()
    matched = [letter for letter in letters if request.wanted.matches(letter)]
    with as_operator(request.database) as conn:
        standing = standing_of(conn, reader.cluster_id, matched)
    terms = Terms(request.settings.replay_max_attempts, request.force, request.most)
    return reader, select(letters, request.wanted.matches, standing, terms), standing


def _print_counts(selection: Selection, replayed: int, skipped: int) -> None:
    print_document(
        {
            "matched": len(selection.matched),
            "replayed": replayed,
            "skipped": skipped,
            "byCode": selection.by_code,
        }
    )


def _tell_skipped(by_reason: dict[str, int]) -> None:
    """The most frequent reasons; those of outdated files are as many as there are files."""
    reasons = list(by_reason.items())
    for reason, count in reasons[:MOST_REASONS]:
        note(f"skipped {count:,}: {reason}")
    rest = sum(count for _, count in reasons[MOST_REASONS:])
    if rest:
        note(f"skipped {rest:,} more, for reasons like these")
