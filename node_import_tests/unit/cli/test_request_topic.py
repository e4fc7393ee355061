"""The request pattern, turned round."""

from __future__ import annotations

import pytest

from node_import.cli.request_topic import find_request_topic, request_topic
from node_import.errors import UsageError
from node_import.settings import Settings

DEFAULT = str(Settings.model_fields["request_topic_pattern"].default)
ANY = r"^(?P<domain>[a-z0-9][a-z0-9._-]*)-(users|products)$"


def settings(pattern: str = DEFAULT, **more: object) -> Settings:
    return Settings(
        postgres_dsn="unused",
        kafka_bootstrap_servers="unused",
        request_topic_pattern=pattern,
        **more,  # type: ignore[arg-type]
    )


@pytest.mark.parametrize(
    ("pattern", "topic"),
    [
        (DEFAULT, "acme-users"),
        (ANY, "acme-users"),
        (r"^imports\.(?P<domain>[a-z]+)\.v1$", "imports.acme.v1"),
        (r"(?P<domain>[a-z]+(-[a-z]+)?)_in", "acme_in"),
    ],
)
def test_a_domain_has_a_topic(pattern: str, topic: str) -> None:
    """DOMAIN-users if the pattern takes it, else the pattern with the name in its place."""
    assert request_topic("acme", settings(pattern)) == topic


@pytest.mark.parametrize("domain", ["Acme", "a b", "", "acme-users-dlt/x", "ä"])
def test_a_name_that_the_pattern_refuses_has_none(domain: str) -> None:
    """No topic would ever be read as this domain's."""
    assert find_request_topic(domain, settings()) is None


def test_a_pattern_that_cannot_be_turned_round_asks_for_the_topic() -> None:
    """The message names the option."""
    with pytest.raises(UsageError, match="--topic"):
        request_topic("acme", settings(r"^(?P<domain>[a-z]+)-(nodes|items)$"))


def test_a_topic_that_is_not_read_is_none() -> None:
    """A request on an excluded topic would wait for ever."""
    assert find_request_topic("acme", settings(request_topic_exclude="acme-users")) is None
