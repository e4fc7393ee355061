"""What a topic's name says: whether it holds requests, of which domain, for which node type."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace

from node_import.contracts.node_type import NodeType

# The suffix of a request topic decides the type of rows that do not name one.
NODE_TYPES_BY_SUFFIX: Mapping[str, NodeType] = {
    "-users": NodeType.USER,
    "-products": NodeType.PRODUCT,
    "-resources": NodeType.RESOURCE,
}


@dataclass(frozen=True, slots=True)
class RequestTopic:
    """A topic that holds requests: the domain it belongs to, by name, and its node type.

    Also one that holds the dead letters of such a topic, under its own name.
    """

    name: str
    domain: str
    node_type: NodeType


@dataclass(frozen=True, slots=True)
class RequestTopics:
    """Which topics hold requests.

    `pattern` has a group `domain` and must match a whole name, whether or not it is anchored.
    Dead-letter topics and the status topic are never read, whatever the pattern says: a letter
    that came back as a request would go round for ever.
    """

    pattern: re.Pattern[str]
    dlt_suffix: str
    excluded: Collection[str] = ()

    def parse(self, topic: str) -> RequestTopic | None:
        """The request topic of that name; None if it is something else."""
        if topic in self.excluded or topic.endswith(self.dlt_suffix):
            return None
        match = self.pattern.fullmatch(topic)
        if match is None or not match["domain"]:
            return None
        return RequestTopic(topic, match["domain"], node_type_of(topic))


@dataclass(frozen=True, slots=True)
class LetterTopics:
    """Which topics hold the dead letters of request topics."""

    requests: RequestTopics

    def parse(self, topic: str) -> RequestTopic | None:
        """The dead-letter topic of that name, with domain and type of its request topic."""
        if not topic.endswith(self.requests.dlt_suffix):
            return None
        request = self.requests.parse(self.request_topic(topic))
        return replace(request, name=topic) if request is not None else None

    def request_topic(self, letter_topic: str) -> str:
        """Where the letters of a dead-letter topic came from, and where a replay goes."""
        return letter_topic.removesuffix(self.requests.dlt_suffix)


def node_type_of(topic: str) -> NodeType:
    """The node type that a topic's suffix stands for; USER where a pattern allows other names."""
    for suffix, node_type in NODE_TYPES_BY_SUFFIX.items():
        if topic.endswith(suffix):
            return node_type
    return NodeType.USER


def dead_letter_topic(topic: str, dlt_suffix: str) -> str:
    """Where the dead letters of a request topic go."""
    return topic + dlt_suffix
