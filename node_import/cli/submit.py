"""`node-import submit`: put a request on its topic, and wait for the answer if asked to."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any
from uuid import UUID

import typer

from node_import.cli.deployment import as_operator, deployment_database, deployment_settings
from node_import.cli.output import AsJson, note, print_document, print_text, printable
from node_import.errors import UsageError

if TYPE_CHECKING:
    from node_import.cli.answers import Answer
    from node_import.contracts.identity import MessageIdentity
    from node_import.database import Database
    from node_import.settings import Settings

DEFAULT_TIMEOUT = 600.0


@dataclass(frozen=True, slots=True)
class Submitted:
    """A request as it stands in Kafka, and the answer to it, if one was waited for and came."""

    job_id: UUID
    identity: MessageIdentity
    answer: Answer | None = None

    def as_document(self) -> dict[str, Any]:
        """`{"jobId", "topic", "partition", "offset"}` and `"status"` or `"deadLetter"`."""
        document: dict[str, Any] = {
            "jobId": str(self.job_id),
            "topic": self.identity.topic,
            "partition": self.identity.partition,
            "offset": self.identity.offset,
        }
        if self.answer and self.answer.status:
            document["status"] = self.answer.status
        if self.answer and self.answer.dead_letter:
            document["deadLetter"] = self.answer.dead_letter
        return document


def submit(
    domain: Annotated[str, typer.Option(help="The domain, by name or id.")],
    group: Annotated[str, typer.Option(help="Its matching group, by name or id.")],
    file: Annotated[
        str | None,
        typer.Option(metavar="PATH_OR_URL", help="A local file, or a URL of the object store."),
    ] = None,
    refs_from: Annotated[
        str | None,
        typer.Option(metavar="F", help="A file of references, one a line; - is standard input."),
    ] = None,
    ref: Annotated[
        list[str] | None, typer.Option(metavar="R", help="A reference; may be repeated.")
    ] = None,
    wait: Annotated[bool, typer.Option("--wait", help="Wait for the answer.")] = False,
    timeout: Annotated[
        float, typer.Option(min=0.1, metavar="S", help="Wait no longer than S seconds.")
    ] = DEFAULT_TIMEOUT,
    topic: Annotated[
        str | None, typer.Option(help="The request topic, if it is not DOMAIN-users.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Ask for an import: upload a local file when needed, publish the request, print the job id.

    With --wait it ends when the status message or a dead letter has come; the exit code is 0 if
    every row was imported and 1 if not, or if nothing came in time. The import itself goes on
    whether or not somebody waits.

    \b
    Examples:
      node-import submit --domain acme --group members --file users.csv.gz --wait
      node-import submit --domain acme --group members --file s3://imports/users.csv.gz
      node-import submit --domain acme --group members --ref u-1 --ref u-2 --json
      cut -d, -f1 ids.csv | node-import submit --domain acme --group members --refs-from -
    """
    from node_import.cli import request as requests
    from node_import.cli.request_topic import request_topic
    from node_import.jobs.tenants import find_domain

    _exactly_one(file, refs_from, ref)
    settings = deployment_settings()
    with as_operator(deployment_database(settings)) as conn:
        to_domain = find_domain(conn, domain)
    to_group = to_domain.group(group)
    target = topic or request_topic(to_domain.name, settings)
    if file is not None:
        message = requests.file_request(settings, to_domain, to_group, file)
    else:
        references = requests.read_references(refs_from) if refs_from else ref or []
        message = requests.reference_request(to_domain, to_group, references)
    submitted = publish(settings, target, message, timeout=timeout if wait else None)
    _print(submitted, as_json=as_json)
    if wait and not (submitted.answer and submitted.answer.is_good):
        raise typer.Exit(1)


def publish(
    settings: Settings, topic: str, request: dict[str, Any], *, timeout: float | None
) -> Submitted:
    """Publish a request and, with a `timeout` in seconds, wait for its answer."""
    from node_import.cli.answers import Answers
    from node_import.cli.job_progress import JobProgress

    if timeout is None:
        return _publish(settings, topic, request)
    with Answers(settings, topic) as answers:
        submitted = _publish(settings, topic, request)
        note(f"waiting for job {submitted.job_id}")
        with JobProgress(_database(settings), submitted.job_id) as shown:
            answer = answers.wait_for(
                submitted.identity, submitted.job_id, timeout, on_look=shown.look
            )
    if answer is None:
        note(
            f"no answer within {timeout:g} s; the job goes on: "
            f"node-import jobs watch {submitted.job_id}"
        )
    return Submitted(submitted.job_id, submitted.identity, answer)


def _publish(settings: Settings, topic: str, request: dict[str, Any]) -> Submitted:
    from node_import.cli.request import encoded
    from node_import.cli.request_publisher import RequestPublisher
    from node_import.contracts.identity import job_id

    # One group's requests share a key and so a partition, which keeps them in order.
    key = str(request["groupId"]).encode("utf-8")
    identity = RequestPublisher(settings).publish(topic, key, encoded(request))
    return Submitted(job_id(identity), identity)


def _database(settings: Settings) -> Database:
    return deployment_database(settings)


def _exactly_one(file: str | None, refs_from: str | None, ref: list[str] | None) -> None:
    if sum(bool(source) for source in (file, refs_from, ref)) != 1:
        message = "give exactly one of --file, --refs-from and --ref (which may be repeated)"
        raise UsageError(message)


def _print(submitted: Submitted, *, as_json: bool) -> None:
    if as_json:
        print_document(submitted.as_document())
        return
    print_text(f"job {submitted.job_id} from {submitted.identity}")
    for line in describe_answer(submitted.answer):
        print_text(printable(line))


def describe_answer(answer: Answer | None) -> list[str]:
    """An answer in a few lines for people."""
    lines = []
    if answer and answer.status:
        status = answer.status
        lines.append(f"{status['status']}: {status['processed']:,} of {status['total']:,} rows")
        if status.get("failureCode"):
            lines.append(f"{status['failureCode']}: {status.get('failureReason')}")
        links = {name: status.get(name) for name in ("rejectsUrl", "resultUrl")}
        lines.extend(f"{name}: {url}" for name, url in links.items() if url)
    if answer and answer.dead_letter:
        letter = answer.dead_letter
        place = f"{letter['topic']}[{letter['partition']}]@{letter['offset']}"
        lines.append(f"dead letter {place}: {letter['errorMessage']}")
    return lines
