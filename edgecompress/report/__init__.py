"""The report of a run: one JSON document, and one HTML page made from it."""

from edgecompress.report.files import report_files
from edgecompress.report.reading import check_outside, read_report, write_page

__all__ = ["check_outside", "read_report", "report_files", "write_page"]
