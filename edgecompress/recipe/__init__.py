"""The recipe: tables of keys that are checked when they are made, overrides, and how arguments are read."""

from edgecompress.recipe.tables import (
    Budgets,
    Cpu,
    Distillation,
    Evaluation,
    Export,
    Images,
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
    "Training",
]
