"""Checkpoints of a calibration: the file that it is kept in while it runs, and how a killed run goes on."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from pathlib import Path

from edgecompress.calibration.state import Calibration, Mark, Survey
from edgecompress.calibration.statistics_file import load, save
from edgecompress.calibration.workers import Workers
from edgecompress.errors import DataError, ModelError

SAVE_EVERY_SECONDS = 1.0
"""What a killed run loses at most, besides the batch that it was at."""


@dataclass(frozen=True, kw_only=True)
class Sharing:
    """Who shares the work of a calibration, and the file, if any, that keeps it.

    While several workers run, each keeps its own part next to ``file``; the first one writes the whole at the end.
    """

    workers: Workers = field(default_factory=Workers)
    file: Path | None = None

    @property
    def part(self) -> Path | None:
        """The file that this worker writes as it goes."""
        if self.file is None or self.workers.count == 1:
            return self.file
        return self.file.with_name(f"{self.file.name}.{self.workers.rank}-of-{self.workers.count}")

    def resume(self, model: str) -> Calibration:
        """What was kept, the same survey for every worker; a calibration of nothing where nothing was.

        Raises:
            DataError: what was kept belongs to another model or to other tensors.
            ModelError: the workers hold different models.
        """
        kept = self.workers.exchange(lambda: self._kept(model))
        if any(calibration.model != model for calibration in kept):
            raise ModelError("the workers hold different models; give each the same model, weights and versions")
        whole = next((calibration for calibration in kept if calibration.complete), None)
        survey = next((calibration.survey for calibration in kept if calibration.survey.complete), None)
        own = kept[self.workers.rank]
        if whole is not None:
            return whole
        return own if survey is None or own.survey == survey else Calibration.over(survey, model)

    def finish(self, calibration: Calibration) -> None:
        """Keep the whole, and drop the parts."""
        if self.file is None:
            return
        if self.workers.rank == 0:
            save(calibration, self.file)
        if self.part is not None and self.part != self.file:
            self.part.unlink(missing_ok=True)

    def check(self, index: int, mark: Mark, survey: Survey) -> None:
        """Refuse a batch that is not the one that the kept survey read at its place.

        Raises:
            DataError: the data is not that of the file.
        """
        known = survey.batches.get(index)
        if known is not None and known != mark:
            raise self.other_data(f"batch {index} is not the one that was counted")
        if known is None and survey.complete:
            raise self.other_data(f"there is a batch {index} beyond those that were counted")

    def other_data(self, fault: str) -> DataError:
        """What to raise where the kept statistics are of other data."""
        return DataError(
            f"statistics {str(self.file)!r} belong to other calibration data: {fault};"
            " delete the file, or choose another --statistics FILE"
        )

    def _kept(self, model: str) -> Calibration:
        nothing = Calibration.over(Survey(), model)
        for path in dict.fromkeys((self.file, self.part)):
            if path is None or not path.exists():
                continue
            found = load(path)
            if found.model != model:
                raise DataError(
                    f"statistics {str(path)!r} belong to another model or other tensors;"
                    " delete the file, or choose another --statistics FILE"
                )
            # A single process that was killed may have left ``file`` in part: several workers begin anew.
            if found.complete or path == self.part:
                return found
        return nothing


class Keeper:
    """Writes a calibration to a file now and then; to none where there is no file."""

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._due = 0.0

    def keep(self, calibration: Calibration) -> None:
        """Write, unless the last time is less than :data:`SAVE_EVERY_SECONDS` ago."""
        if self._path is None or time.monotonic() < self._due:
            return
        save(calibration, self._path)
        self._due = time.monotonic() + SAVE_EVERY_SECONDS
