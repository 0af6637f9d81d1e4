"""What every step of a run is given besides the network."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import onnx_ir as ir
from torch import nn

from edgecompress.calibration import Observer, Sharing
from edgecompress.data.batches import Batch
from edgecompress.data.splits import Streams
from edgecompress.loading.losses import LossOrName
from edgecompress.progress import Progress
from edgecompress.pruning.criterion import Criterion
from edgecompress.recipe.tables import Recipe
from edgecompress.runtime import Network
from edgecompress.techniques.checkpoints import CHOICE
from edgecompress.techniques.kept import Kept
from edgecompress.timing.clock import Clock


@dataclass(frozen=True, kw_only=True)
class Context:
    """What the steps of a run have in common.

    Attributes:
        recipe: what is asked.
        example: a batch to run networks on.
        streams: the data: to calibrate on, needed for quantization; to train on, where a technique trains; and to
            measure accuracy on.
        teacher: whose outputs are learned; None for the network's own, until the run begins.
        original: the network as it came, ready to run; None until the run begins.
        reference: the float ONNX model that the artifact is compared with; None until there is one.
        checkpoints: folder that a killed run goes on from; None keeps none.
        sharing: the workers and the file of the calibration; None for only this process, and no file.
        progress: told of long work.
        criterion: a function that stands in for the criterion that the recipe names.
        observer: a function that stands in for the observer that the recipe names.
        clock: what times candidates for a goal in latency; None for this machine.
        loss: a function or an object that stands in for the loss that the recipe names.
        kept: what runs on the same network and data keep for each other; None where nothing is.
    """

    recipe: Recipe
    example: Batch
    streams: Streams = field(default_factory=Streams)
    teacher: nn.Module | None = None
    original: Network | None = None
    reference: ir.Model | None = None
    checkpoints: Path | None = None
    sharing: Sharing | None = None
    progress: Progress = field(default_factory=Progress)
    criterion: Criterion | None = None
    observer: Observer | None = None
    loss: LossOrName | None = None
    clock: Clock | None = None
    kept: Kept | None = None

    @property
    def teaching(self) -> nn.Module:
        """The teacher, in a run that has begun."""
        assert self.teacher is not None
        return self.teacher

    @property
    def fixed(self) -> str:
        """All of the recipe, as text: what was chosen under another one does not count."""
        return self.recipe.model_dump_json()

    def checkpoint(self, name: str) -> Path | None:
        """The folder of this name among the checkpoints."""
        return None if self.checkpoints is None else self.checkpoints / name

    def choice(self, name: str) -> Path | None:
        """The file among the checkpoints in which a choice of this name is kept."""
        return self.checkpoint(f"{name}{CHOICE}")
