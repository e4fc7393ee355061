"""`node-import dlq`: dead letters, and their way back."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from node_import.cli.command_group import command_group
from node_import.cli.deployment import as_operator, deployment_database, deployment_settings
from node_import.cli.letter_document import letter_document, readable
from node_import.cli.letter_options import (
    Codes,
    Domain,
    Jobs,
    Letters,
    Since,
    Topics,
    Until,
    letter_filter,
)
from node_import.cli.output import AsJson, note, print_document, print_table, print_text, printable
from node_import.errors import UsageError

if TYPE_CHECKING:
    from node_import.contracts.message import Message
    from node_import.replaying.letter import Letter, LetterFilter
    from node_import.replaying.reading import LetterReader
    from node_import.settings import Settings

app = command_group("Dead letters: what failed for good, and replaying it when its cause is gone.")

LIST_COLUMNS = ("LETTER", "TIME", "JOB", "ATTEMPTS", "REPLAYED", "MESSAGE")


@app.command("list")
def list_letters(
    topic: Topics = None,
    code: Codes = None,
    domain: Domain = None,
    since: Since = None,
    until: Until = None,
    job: Jobs = None,
    waiting: Annotated[
        bool,
        typer.Option(
            "--waiting", help="Only those not replayed, of no job or of one that is still FAILED."
        ),
    ] = False,
    limit: Annotated[
        int | None, typer.Option(min=1, help="Most letters to list.", show_default="all")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """List dead letters, newest first, and whether they were replayed.

    \b
    Examples:
      node-import dlq list
      node-import dlq list --domain acme --since 24h --waiting
      node-import dlq list --code FILE_NOT_FOUND --json
    """
    from node_import.replaying.standing import standing_of

    settings = deployment_settings()
    database = deployment_database(settings)
    wanted = letter_filter(database, topic, code, domain, since, until, job)
    reader = open_reader(settings, wanted)
    letters = [letter for letter in reader.letters() if wanted.matches(letter)]
    with as_operator(database) as conn:
        standing = standing_of(conn, reader.cluster_id, letters)
    if waiting:
        letters = [letter for letter in letters if standing.waits(letter)]
    letters.sort(key=lambda letter: (letter.timestamp_ms, letter.offset), reverse=True)
    tell_warnings(reader)
    documents = [document(letter, letter.place in standing.replayed) for letter in letters[:limit]]
    if as_json:
        print_document(documents)
    elif documents:
        print_table(LIST_COLUMNS, map(_line, letters, documents))
    else:
        print_text("no dead letters")


@app.command("show")
def show_letter(
    letter: Annotated[
        str,
        typer.Argument(
            metavar="LETTER", help="topic/partition/offset, as `list` prints it, or a job's id."
        ),
    ],
    as_json: AsJson = False,
) -> None:
    """Show one dead letter: why it failed, and the message as it was sent.

    With the id of a job: the job's newest letter. `value` is what the letter holds; one too
    large for Kafka went without, and `valueUrl` says where it lies.

    \b
    Examples:
      node-import dlq show acme-users-dlt/0/12
      node-import dlq show 3f0c4a7e-58c5-5a61-8f4e-d8a0e0a4b1c2 --json
    """
    from node_import.replaying.standing import replayed_places

    settings = deployment_settings()
    database = deployment_database(settings)
    wanted = letter_filter(database, letters=[letter])
    reader = open_reader(settings, wanted)
    found = [one for one in reader.letters() if wanted.matches(one)]
    if not found:
        message = f"there is no dead letter {letter}; `node-import dlq list` shows those there are"
        raise UsageError(message)
    newest = max(found, key=lambda one: (one.info.attempts or 0, one.timestamp_ms))
    with as_operator(database) as conn:
        replayed = replayed_places(conn, reader.cluster_id, [newest])
    whole = next((message for _, message in reader.messages([newest])), None)
    shown = document(newest, newest.place in replayed) | _details(newest, whole)
    if as_json:
        print_document(shown)
    else:
        print_table(("FIELD", "VALUE"), [(name, _text(value)) for name, value in shown.items()])


@app.command("replay")
def replay_letters(
    letters: Letters = None,
    topic: Topics = None,
    code: Codes = None,
    domain: Domain = None,
    since: Since = None,
    until: Until = None,
    job: Jobs = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Send nothing; say what would be sent, by code.")
    ] = False,
    most: Annotated[
        int | None, typer.Option("--max", min=1, help="Most letters to send.", show_default="all")
    ] = None,
    rate: Annotated[
        str | None, typer.Option(metavar="N/s", help="Most letters a second.", show_default="any")
    ] = None,
    force: Annotated[
        bool,
        typer.Option(
            "--force",
            help="Also letters that were replayed before, were tried too often, or whose file is "
            "older than what has been imported since.",
        ),
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Send dead letters back to their topics: those that match, each once.

    A letter of a job reopens that job; one of a message that never became a job is read as if it
    had just come. Mend the cause first: a letter that fails again leaves another letter.

    Skipped are letters that were replayed before, that were tried
    NODE_IMPORT_REPLAY_MAX_ATTEMPTS times, or whose file is older than the newest imported file of
    its group, unless --force is given; and always those whose job is not FAILED any more.

    \b
    Examples:
      node-import dlq replay --code UNKNOWN_GROUP --domain acme --dry-run
      node-import dlq replay acme-users-dlt/0/12
      node-import dlq replay --since 2h --max 1000 --rate 50/s
    """
    from node_import.cli.replaying import Request, dry_run_replay, replay

    settings = deployment_settings()
    database = deployment_database(settings)
    wanted = letter_filter(database, topic, code, domain, since, until, job, letters)
    request = Request(settings, database, wanted, most=most, force=force, as_json=as_json)
    if dry_run:
        dry_run_replay(request)
    else:
        replay(request, rate)


def open_reader(settings: Settings, wanted: LetterFilter) -> LetterReader:
    """The dead-letter topics that can hold such letters; a word on one that is not there."""
    from node_import.cli.kafka_clients import keep_librdkafka_quiet
    from node_import.replaying.reading import LetterReader

    keep_librdkafka_quiet()
    reader = LetterReader.look(settings, wanted)
    known = {partition.topic.name for partition in reader.ranges}
    known |= {reader.topics.request_topic(name) for name in known}
    for topic in sorted(wanted.topics - known):
        note(f"Kafka has no dead letters of {topic}")
    return reader


def tell_warnings(reader: LetterReader) -> None:
    """On standard error: what could not be looked at."""
    for warning in reader.warnings:
        note(warning)


def document(letter: Letter, replayed: bool) -> dict[str, Any]:
    """One entry of `dlq list`."""
    fields = letter_document(
        letter.topic,
        letter.partition.number,
        letter.offset,
        letter.timestamp_ms,
        letter.key,
        letter.info,
    )
    return {**fields, "replayed": replayed}


def _line(letter: Letter, fields: dict[str, Any]) -> tuple[object, ...]:
    return (
        letter.name,
        datetime.fromtimestamp(letter.timestamp_ms / 1_000, UTC),
        fields["jobId"],
        fields["attempts"],
        fields["replayed"],
        fields["errorMessage"] or letter.code,
    )


def _details(letter: Letter, message: Message | None) -> dict[str, Any]:
    from node_import.contracts.dead_letter import LETTER_HEADERS

    headers = message.headers if message is not None else ()
    info = letter.info
    return {
        "originalTimestamp": info.original_timestamp_ms,
        "consumerGroup": info.consumer_group,
        "firstFailedAt": info.first_failed_at,
        "valueUrl": info.value_url,
        "headers": [
            {"name": name, "value": readable(value)}
            for name, value in headers
            if name not in LETTER_HEADERS
        ],
        "value": readable(message.value) if message is not None else None,
    }


def _text(value: object) -> object:
    if isinstance(value, list):
        return ", ".join(f"{header['name']}={header['value']}" for header in value) or None
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    return printable(value) if isinstance(value, str) else value
