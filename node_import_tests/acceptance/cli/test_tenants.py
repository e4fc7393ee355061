"""`node-import domain` and `node-import group`."""

from __future__ import annotations

import uuid
from collections.abc import Callable

from node_import_tests.support.command_line import CommandLine, TypedTenant


def test_a_domain_and_its_groups_are_listed(
    cli: CommandLine, unique_name: Callable[[str], str]
) -> None:
    """What `add` printed is what `list` shows, with the ids that were asked for."""
    name, domain_id, group_id = unique_name("acme"), str(uuid.uuid4()), str(uuid.uuid4())
    domain = cli.document("domain", "add", name, "--id", domain_id)
    assert domain == {"id": domain_id, "name": name, "active": True, "groups": []}
    members = cli.document("group", "add", name, "members", "--id", group_id)
    assert members == {"id": group_id, "name": "members"}
    guests = cli.document("group", "add", domain_id, "Gäste & Co")
    assert cli.document("domain", "list") == [{**domain, "groups": [guests, members]}]


def test_the_list_is_a_table_for_people(cli: CommandLine, tenant: TypedTenant) -> None:
    """Names and ids of domains and groups, a line a group."""
    lines = cli("domain", "list").out.splitlines()
    assert lines[0].split() == ["DOMAIN", "DOMAIN", "ID", "ACTIVE", "GROUP", "GROUP", "ID"]
    assert lines[1].split() == [
        tenant.domain["name"],
        tenant.domain["id"],
        "yes",
        tenant.group["name"],
        tenant.group["id"],
    ]


def test_an_empty_list_says_what_to_do(cli: CommandLine) -> None:
    """The first thing that a newcomer sees."""
    assert "node-import domain add" in cli("domain", "list").out
    assert cli.document("domain", "list") == []


def test_names_and_ids_are_taken_once(cli: CommandLine, tenant: TypedTenant) -> None:
    """A second domain or group of the same name or id is refused."""
    name, domain_id = tenant.domain["name"], tenant.domain["id"]
    assert "exists already" in cli.refusal("domain", "add", name)
    assert "exists already" in cli.refusal("domain", "add", "other", "--id", domain_id)
    assert "exists already" in cli.refusal("group", "add", name, "members")
    group_id = tenant.group["id"]
    assert "exists already" in cli.refusal("group", "add", name, "other", "--id", group_id)


def test_two_domains_may_have_groups_of_one_name(cli: CommandLine, tenant: TypedTenant) -> None:
    """Group names belong to their domain."""
    cli.document("domain", "add", "second")
    assert cli.document("group", "add", "second", "members")["id"] != tenant.group["id"]


def test_a_group_cannot_be_named_like_an_id(cli: CommandLine, tenant: TypedTenant) -> None:
    """A message that names a UUID means an id, so such a group could not be addressed."""
    said = cli.refusal("group", "add", tenant.domain["name"], str(uuid.uuid4()))
    assert "UUID" in said


def test_an_unknown_domain_says_how_to_add_it(cli: CommandLine) -> None:
    """The refusal holds the next command."""
    assert "node-import domain add nobody" in cli.refusal("group", "add", "nobody", "members")


def test_a_name_that_no_topic_can_have_is_warned_of(cli: CommandLine) -> None:
    """Requests could never reach it; the name is still the user's to choose."""
    outcome = cli("domain", "add", "Acme Corp")
    assert outcome.status == 0
    assert "NODE_IMPORT_REQUEST_TOPIC_PATTERN" in outcome.err
    assert "acme-users" in cli("domain", "add", "acme").out


def test_a_bad_id_is_wrong_usage(cli: CommandLine) -> None:
    """What is no UUID is said at once."""
    assert "UUID" in cli.refusal("domain", "add", "acme", "--id", "42")
