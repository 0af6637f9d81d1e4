"""Places that measure, too: what they are asked, and what they have in addition to others."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, Self, runtime_checkable

from edgecompress.arrays import Inputs
from edgecompress.recipe.device import Device
from edgecompress.validation.elsewhere.place import Answer, Place


@dataclass(frozen=True, kw_only=True)
class TimingTask:
    """What is timed at a place, in addition to what is run there.

    Attributes:
        sample: one sample, or as many as the model takes in each run.
        runs: timed runs of each file.
        threads: of each session, where the place does not say.
        original: the bytes of the float file, which is timed in turn with the artifact.
        called: what messages call that file.
        weigh: measure memory, too.
    """

    sample: Inputs
    runs: int
    threads: int
    original: bytes | None = None
    called: str = "the float model"
    weigh: bool = True


@runtime_checkable
class TimedPlace(Place, Protocol):
    """A place that measures."""

    def prepared(self, settings: Device) -> Self:
        """The place as a recipe has it, found to be there with all that the run needs.

        Raises:
            RecipeError: it is not, in one line with what to do.
        """
        ...

    def measure(self, model: Path, batches: Sequence[Inputs], timing: TimingTask) -> Answer:
        """Run every batch, as ``run`` does, and time the model on one sample; the answer has ``measured``."""
        ...
