"""The topic on which a domain's requests are read: the request pattern, turned round."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from node_import.errors import UsageError

if TYPE_CHECKING:
    from node_import.settings import Settings

_DOMAIN_GROUP = re.compile(r"\(\?P<domain>.*\)")
_ESCAPED = re.compile(r"\\(.)")


def find_request_topic(domain: str, settings: Settings) -> str | None:
    """The topic that names `domain` under the request pattern; None if there is none to be found.

    `{domain}-users` where the pattern takes it, else the pattern itself with the name in place of
    its group, which works as long as the rest of the pattern is literal.
    """
    from node_import.contracts.topics import RequestTopics

    pattern = settings.request_topic_pattern
    topics = RequestTopics(re.compile(pattern), settings.dlt_suffix, settings.request_topic_exclude)
    before, _, after = _DOMAIN_GROUP.sub("\0", pattern.lstrip("^").rstrip("$")).partition("\0")
    literal = _ESCAPED.sub(r"\1", before) + domain + _ESCAPED.sub(r"\1", after)
    for candidate in (f"{domain}-users", literal):
        found = topics.parse(candidate)
        if found and found.domain == domain:
            return candidate
    return None


def request_topic(domain: str, settings: Settings) -> str:
    """The topic of `domain`; UsageError if the pattern has none for it."""
    topic = find_request_topic(domain, settings)
    if topic is None:
        message = (
            f"no topic of the domain {domain} matches NODE_IMPORT_REQUEST_TOPIC_PATTERN "
            f"({settings.request_topic_pattern}); name it with --topic"
        )
        raise UsageError(message)
    return topic
