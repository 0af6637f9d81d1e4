"""Pruning: which weights a model can do without, masks that keep them out, and counts of what is left."""

from edgecompress.pruning.counts import Counts, count
from edgecompress.pruning.pruner import ModelPruner

__all__ = ["Counts", "ModelPruner", "count"]
