"""What all groups of commands have in common."""

from __future__ import annotations

import typer


def command_group(help_text: str, name: str | None = None) -> typer.Typer:
    """A group of commands whose help is plain text: examples keep their lines, also in a pipe."""
    return typer.Typer(
        name=name,
        help=help_text,
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
        rich_markup_mode=None,
        context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    )
