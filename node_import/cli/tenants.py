"""`node-import domain` and `node-import group`: who may import, and into what."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

import typer

from node_import.cli.command_group import command_group
from node_import.cli.deployment import as_operator, deployment_database, deployment_settings
from node_import.cli.output import AsJson, note, print_document, print_table, print_text

domain_app = command_group("Domains: the tenants.")
group_app = command_group("Matching groups of a domain.")

GivenId = Annotated[
    UUID | None, typer.Option("--id", help="Its id, if it has one elsewhere; else a new one.")
]


@domain_app.command("add")
def add_domain(
    name: Annotated[str, typer.Argument(help="Its name, as in the topic NAME-users.")],
    domain_id: GivenId = None,
    as_json: AsJson = False,
) -> None:
    """Add a domain. Its requests are read from the topic NAME-users.

    \b
    Examples:
      node-import domain add acme
      node-import domain add acme --id 6c0b9b0e-6d9f-4c3e-9e0c-0c1f6c1f7a11
    """
    from node_import.cli.request_topic import find_request_topic
    from node_import.jobs import tenants

    settings = deployment_settings()
    with as_operator(deployment_database(settings)) as conn:
        domain = tenants.add_domain(conn, name, domain_id)
    topic = find_request_topic(name, settings)
    if topic is None:
        note(
            f"warning: no topic can name the domain {name} under "
            f"NODE_IMPORT_REQUEST_TOPIC_PATTERN ({settings.request_topic_pattern})"
        )
    if as_json:
        print_document(domain.as_document())
    else:
        where = f"; its requests come on the topic {topic}" if topic else ""
        print_text(f"domain {domain.name} ({domain.id}){where}")


@domain_app.command("list")
def list_domains(as_json: AsJson = False) -> None:
    """List the domains and their groups.

    \b
    Examples:
      node-import domain list
      node-import domain list --json
    """
    from node_import.jobs import tenants

    with as_operator(deployment_database(deployment_settings())) as conn:
        domains = tenants.all_domains(conn)
    if as_json:
        print_document([domain.as_document() for domain in domains])
    elif domains:
        rows = [
            (domain.name, domain.id, domain.active, group.name, group.id)
            if group
            else (domain.name, domain.id, domain.active, None, None)
            for domain in domains
            for group in domain.groups or (None,)
        ]
        print_table(("DOMAIN", "DOMAIN ID", "ACTIVE", "GROUP", "GROUP ID"), rows)
    else:
        print_text("no domains yet; add one with `node-import domain add NAME`")


@group_app.command("add")
def add_group(
    domain: Annotated[str, typer.Argument(help="Name or id of its domain.")],
    name: Annotated[str, typer.Argument(help="Its name; requests may use it as groupId.")],
    group_id: GivenId = None,
    as_json: AsJson = False,
) -> None:
    """Add a matching group to a domain.

    \b
    Examples:
      node-import group add acme members
      node-import group add acme members --id 0b7a3a52-91a5-4b0f-8a4e-5a1f0c7f9e02
    """
    from node_import.jobs import tenants

    with as_operator(deployment_database(deployment_settings())) as conn:
        owner = tenants.find_domain(conn, domain)
        group = tenants.add_group(conn, owner, name, group_id)
    if as_json:
        print_document(group.as_document())
    else:
        print_text(f"group {group.name} ({group.id}) of the domain {owner.name}")
