"""What every technique is given beside the network."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from torch import nn

from edgecompress.data.batches import Batch
from edgecompress.data.splits import Streams
from edgecompress.progress import Progress
from edgecompress.pruning.criterion import Criterion
from edgecompress.recipe.tables import Recipe


@dataclass(frozen=True, kw_only=True)
class Context:
    """What the techniques of a run have in common.

    Attributes:
        original: the network as it came.
        teacher: the network whose outputs are learned: the original, or one that the user gave.
        recipe: what is asked.
        example: a batch to run networks on.
        streams: the data.
        checkpoints: folder that a killed run goes on from; None keeps none.
        progress: told of long work.
        criterion: a function that stands in for the criterion that the recipe names.
    """

    original: nn.Module
    teacher: nn.Module
    recipe: Recipe
    example: Batch
    streams: Streams
    checkpoints: Path | None
    progress: Progress
    criterion: Criterion | None = None

    @property
    def fixed(self) -> str:
        """All of the recipe, as text: what was chosen under another one does not count."""
        return self.recipe.model_dump_json()

    def kept(self, name: str) -> Path | None:
        """The file or folder of this name among the checkpoints."""
        return None if self.checkpoints is None else self.checkpoints / name
