"""The command line."""

from edgecompress.cli.app import main

__all__ = ["main"]
