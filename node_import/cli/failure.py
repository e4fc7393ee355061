"""A command that ran and did not do what was asked, for a reason outside the error tree."""

from __future__ import annotations


class CommandFailed(Exception):
    """Exit code 1; its text is the line for the user."""
