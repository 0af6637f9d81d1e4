"""What is said of budgets of latency where the target has another CPU than this machine."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import Protocol

from edgecompress.errors import they_are
from edgecompress.recipe.tables import Isa, Recipe
from edgecompress.targets.cpus import another_cpu, times_here
from edgecompress.validation.budgets import AGAINST_THE_FLOAT, MEASURES, OF_LATENCY

ON_A_DEVICE = "to time it there, give --device ssh://HOST"
ORIGINAL = "the float model (--original)"


def untimed(budgets: Sequence[str], isa: Isa | None) -> str:
    """That nothing measures these budgets, and how to.

    Args:
        budgets: their names.
        isa: of the target.

    >>> untimed(["min_speedup"], "wasm").partition(": ")[0]
    'min_speedup is not measured'
    """
    return f"{they_are(budgets)} not measured: {another_cpu(isa)}; {_fix(isa)}"


def _fix(isa: Isa | None) -> str:
    return "time it in the browser" if isa == "wasm" else f"{ON_A_DEVICE} or adb://SERIAL"


class Judged(Protocol):
    """A budget with its outcome, of a run or as a manifest has it."""

    @property
    def budget(self) -> str: ...  # noqa: D102

    @property
    def outcome(self) -> str: ...  # noqa: D102


def left_open(checks: Iterable[Judged], recipe: Recipe) -> list[str]:
    """The budgets of latency that nothing measured because the target has another CPU."""
    if times_here(recipe.cpu.isa):
        return []
    itself = () if recipe.techniques else AGAINST_THE_FLOAT
    return [
        each.budget
        for each in checks
        if each.outcome == "not measured" and each.budget in OF_LATENCY and each.budget not in itself
    ]


def left_open_in_words(
    budgets: Sequence[str], isa: Isa | None, *, timed: Collection[str] = (), original: bool = False
) -> str:
    """Why these budgets of latency are left open, and what helps.

    Args:
        budgets: of :func:`left_open`, one at least.
        isa: of the target.
        timed: the measures that a device took.
        original: whether the float model was given.

    >>> left_open_in_words(["min_speedup"], "armv8.0", timed=["latency_ms"]).partition("; ")[2]
    'give the float model (--original), which is timed in turn, or drop it with --min-speedup none'
    """
    needs_float = "min_speedup" in budgets and not original
    if timed and needs_float:
        told = f"{they_are(budgets)} not measured; give {ORIGINAL}, which is timed in turn"
    else:
        told = untimed(budgets, isa) + (f" and {ORIGINAL}" if needs_float and isa != "wasm" else "")
    dropped = " ".join(f"--{name.replace('_', '-')} none" for name in budgets)
    return f"{told}, or drop {'it' if len(budgets) == 1 else 'them'} with {dropped}"


def decided_here(asked: Sequence[str], measured_here: Collection[str], isa: Isa | None) -> str | None:
    """That this machine's times decide budgets because the caller set them; None where they decide none.

    Args:
        asked: budgets that the caller set.
        measured_here: the measures that this machine took now.
        isa: of the target.
    """
    held = [name for name in OF_LATENCY if name in asked and MEASURES[name][0] in measured_here]
    if times_here(isa) or not held:
        return None
    return f"{they_are(held)} asked for, and decided by this machine's times: {another_cpu(isa)}; {_fix(isa)}"
