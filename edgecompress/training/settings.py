"""Settings of a training: a record that is checked when it is made."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal, get_args

from torch import Tensor, optim
from torch.optim import Optimizer

from edgecompress.errors import RecipeError
from edgecompress.recipe.arguments import number, whole, word
from edgecompress.training.learning_rate import SchedulerFactory, one_cycle
from edgecompress.training.optimizers import OptimizerFactory

Augment = Callable[[Mapping[str, Tensor]], Mapping[str, Tensor]]
"""Inputs by name to inputs of the same names: what varies the samples of a batch, on the device."""


Precision = Literal["auto", "no", "fp16", "bf16"]
PRECISIONS = get_args(Precision)


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What decides the trained weights, in addition to the network, the loss and the data.

    ``learning_rate`` is the highest one; ``scheduler`` shapes it over the run. ``weight_decay`` spares norms and
    biases. ``accumulation`` batches make one step, the mean over all their samples. Gradients longer than
    ``max_gradient_norm`` are clipped to it. ``patience`` is the number of epochs without a better evaluation
    after which training stops. A checkpoint is written ``checkpoint_steps`` steps or ``checkpoint_seconds``
    seconds after the last one, whichever comes first, and after every epoch.

    Raises:
        RecipeError: a value is impossible.
    """

    epochs: int = 4
    learning_rate: float = 0.02
    weight_decay: float = 5e-4
    optimizer: OptimizerFactory | Optimizer | None = None
    """What makes one, by default what the task asks for, or else SGD; or one that was made for the parameters of the
    network that is trained: a copy of it trains the copy, and its own learning rates, which the scheduler scales, and
    weight decays hold in the place of those here."""
    scheduler: SchedulerFactory = one_cycle
    accumulation: int = 1
    max_gradient_norm: float | None = None
    mixed_precision: Precision = "auto"
    """``auto`` is what ``accelerate launch`` was told, else bf16 on a GPU that has it and full precision elsewhere."""
    average_decay: float | None = None
    """Hand back the moving average of the weights, which keeps this share of itself at each step (Polyak and Juditsky,
    1992); None hands back the last weights."""
    channels_last: bool = True
    """Keep images and their filters channel by channel: the same sums in less time on CPUs and GPUs."""
    augment: Augment | None = None
    patience: int | None = None
    seed: int = 0
    checkpoint_steps: int | None = None
    checkpoint_seconds: float = 60.0

    def __post_init__(self) -> None:
        for name in ("epochs", "accumulation"):
            whole(name, getattr(self, name), 1, "give a whole number of 1 or more")
        for name in ("patience", "checkpoint_steps"):
            if (given := getattr(self, name)) is not None:
                whole(name, given, 1, "give a whole number of 1 or more, or None")
        whole("seed", self.seed, 0, "give a whole number of 0 or more")
        for name in ("weight_decay", "checkpoint_seconds"):
            number(name, getattr(self, name), lambda value: value >= 0, "give 0 or more")
        number("learning_rate", self.learning_rate, lambda value: value > 0, "give a number above 0")
        if self.max_gradient_norm is not None:
            number(
                "max_gradient_norm", self.max_gradient_norm, lambda value: value > 0, "give a number above 0, or None"
            )
        if self.average_decay is not None:
            give = "give a number between 0 and 1, or None"
            number("average_decay", self.average_decay, lambda share: 0 < share < 1, give)
        word("mixed_precision", self.mixed_precision, PRECISIONS)
        if not (self.optimizer is None or isinstance(self.optimizer, Optimizer) or callable(self.optimizer)):
            named = {name.lower(): name for name in optim.__all__ if name != "Optimizer"}.get(
                str(self.optimizer).lower(), "Adam"
            )
            raise RecipeError(
                f"optimizer is {self.optimizer!r}; give a class of torch.optim, such as torch.optim.{named}, or an"
                " optimizer of the parameters that are trained"
            )
