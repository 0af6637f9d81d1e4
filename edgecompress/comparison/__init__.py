"""The reference table for a model of one's own: every technique next to the original, measured on what would ship."""

from edgecompress.comparison.compare import Comparison, compare
from edgecompress.comparison.rows import ROWS

__all__ = ["ROWS", "Comparison", "compare"]
