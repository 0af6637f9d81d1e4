"""What a search found."""

from __future__ import annotations

import statistics
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from edgecompress.comparison.search.front import ChosenTrial, choose_trial, front_of, knee_of
from edgecompress.comparison.search.study import Known
from edgecompress.comparison.search.trial import TRIALS, Measures, SearchTrial
from edgecompress.recipe.wording import ADVISES
from edgecompress.targets import TargetProfile

FORMAT = 1


@dataclass(frozen=True, kw_only=True)
class SearchResult:
    """All trials of a search, and which of them no other one beats.

    Attributes:
        folder: holds the study and the bundles, in ``trials``.
        target: its name.
        trials: those that ended, in their order.
        front: their numbers, the best metric first.
        knee: the one of the front that is nearest to the best of all three; None where the front has less than three.
        chosen: the one that the budgets and the target choose, of the front where one there keeps the budgets; None
            where no trial does.
        reason: for that.
        running: how many trials other workers are at.
        command: makes the chosen trial again; None where there is none, or another worker has its recipe.
    """

    folder: Path
    target: str
    trials: tuple[SearchTrial, ...] = field(metadata=ADVISES)
    front: tuple[int, ...]
    knee: int | None
    chosen: int | None
    reason: str = field(metadata=ADVISES)
    running: int
    command: str | None = None

    @property
    def measured(self) -> Mapping[int, Measures]:
        """The measures of trials with a bundle, by number."""
        return Known(trials={trial.number: trial for trial in self.trials}).measured

    @property
    def original_ms(self) -> float | None:
        """The latency of the original in milliseconds: the median over the trials; None without one."""
        found = [measures.original_ms for measures in self.measured.values()]
        return statistics.median(found) if found else None

    @property
    def failed(self) -> tuple[SearchTrial, ...]:
        """The trials without a bundle."""
        return tuple(trial for trial in self.trials if trial.failure is not None)

    @property
    def shown(self) -> tuple[int, ...]:
        """The numbers of the front, and after them the chosen one where that is not of the front."""
        return self.front if self.chosen is None or self.chosen in self.front else (*self.front, self.chosen)

    def trial(self, number: int) -> SearchTrial:
        """The trial of that number."""
        return next(trial for trial in self.trials if trial.number == number)

    def report(self, trial: SearchTrial) -> str | None:
        """Where the report of a trial lies, from the folder; None where another worker has the bundle in its own."""
        relative = f"{TRIALS}/{trial.folder}/report.html"
        return relative if (self.folder / relative).is_file() else None

    @property
    def holds_all(self) -> bool:
        """Whether the folder has the bundle of every trial that made one."""
        return all(self.report(self.trial(number)) is not None for number in self.measured)

    def document(self) -> dict[str, Any]:
        """The same as plain data, for JSON."""
        return {
            "format_version": FORMAT,
            "folder": str(self.folder),
            "target": self.target,
            "trials": [trial.document() for trial in self.trials],
            "front": list(self.front),
            "knee": self.knee,
            "chosen": self.chosen,
            "reason": self.reason,
            "running": self.running,
            "command": self.command,
            "original_ms": self.original_ms,
        }


def result_of(known: Known, folder: Path, profile: TargetProfile) -> SearchResult:
    """What the trials of a study amount to, for a target."""
    measured = known.measured
    front = front_of(measured)
    chosen = (
        choose_trial(measured, front, profile) if front else ChosenTrial(number=None, reason="no trial has a bundle")
    )
    return SearchResult(
        folder=folder,
        target=profile.name,
        trials=tuple(known.trials[number] for number in sorted(known.trials)),
        front=front,
        knee=knee_of(measured, front),
        chosen=chosen.number,
        reason=chosen.reason,
        running=len(known.running),
    )
