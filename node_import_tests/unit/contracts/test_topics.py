"""What a topic's name says."""

from __future__ import annotations

import re

import pytest

from node_import.contracts.node_type import NodeType
from node_import.contracts.topics import (
    LetterTopics,
    RequestTopic,
    RequestTopics,
    dead_letter_topic,
)
from node_import.settings import Settings

PATTERN = re.compile(Settings.model_fields["request_topic_pattern"].default)
TOPICS = RequestTopics(PATTERN, "-dlt", {"left-alone-users", "status"})


@pytest.mark.parametrize(
    ("topic", "domain"),
    [("acme-users", "acme"), ("a.b_c-9-users", "a.b_c-9"), ("users-users", "users")],
)
def test_request_topics_name_their_domain(topic: str, domain: str) -> None:
    """Everything before the suffix."""
    assert TOPICS.parse(topic) == RequestTopic(topic, domain, NodeType.USER)


@pytest.mark.parametrize(
    "topic",
    [
        "acme-users-dlt",
        "acme-users2",
        "-users",
        "Acme-users",
        "acme-products",
        "left-alone-users",
        "__consumer_offsets",
        "acme-users\n",
    ],
)
def test_other_topics_are_left_alone(topic: str) -> None:
    """Dead letters, other suffixes, excluded ones."""
    assert TOPICS.parse(topic) is None


def test_dead_letters_are_never_requests_whatever_the_pattern() -> None:
    """A pattern without anchors must match whole names, and never a dead-letter topic."""
    loose = RequestTopics(re.compile("(?P<domain>.+)-users.*"), "-dlt", {"the-users-status"})
    assert loose.parse("acme-users") is not None
    assert loose.parse(dead_letter_topic("acme-users", "-dlt")) is None
    assert loose.parse("the-users-status") is None


def test_a_dead_letter_topic_is_known_by_its_request_topic() -> None:
    """Under its own name, with the domain of the other; only of topics that are read."""
    letters = LetterTopics(TOPICS)
    assert letters.parse("acme-users-dlt") == RequestTopic("acme-users-dlt", "acme", NodeType.USER)
    assert letters.request_topic("acme-users-dlt") == "acme-users"
    for other in ("acme-users", "orders-dlt", "left-alone-users-dlt", "acme-users-dlt-dlt"):
        assert letters.parse(other) is None


def test_the_suffix_gives_the_type() -> None:
    """A deployment's own pattern may read topics of other types."""
    every = RequestTopics(re.compile("(?P<domain>.+)-(users|products|resources|things)"), "-dlt")
    types = {suffix: every.parse(f"a-{suffix}") for suffix in ("products", "resources", "things")}
    assert {suffix: topic.node_type for suffix, topic in types.items() if topic} == {
        "products": NodeType.PRODUCT,
        "resources": NodeType.RESOURCE,
        "things": NodeType.USER,
    }
