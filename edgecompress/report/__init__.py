"""The report of a run: one JSON document, and one HTML page made from it."""

from edgecompress.report.files import report_files

__all__ = ["report_files"]
