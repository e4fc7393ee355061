"""The `node-import` command. Start-up is quick: what a command needs is imported inside it."""

from node_import.cli.app import main

__all__ = ["main"]
