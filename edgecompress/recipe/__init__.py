"""The recipe: tables of keys that are checked when they are made, overrides, and how arguments are read."""

from edgecompress.recipe.budgets import Budgets
from edgecompress.recipe.samples import Images, Samples
from edgecompress.recipe.tables import (
    Cpu,
    Distillation,
    Evaluation,
    Export,
    LowRank,
    Pruning,
    Quantization,
    Recipe,
    Report,
    Training,
)

__all__ = [
    "Budgets",
    "Cpu",
    "Distillation",
    "Evaluation",
    "Export",
    "Images",
    "LowRank",
    "Pruning",
    "Quantization",
    "Recipe",
    "Report",
    "Samples",
    "Training",
]
