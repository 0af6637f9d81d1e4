"""The network, the optimizer and the scheduler on their device, as Accelerate prepares them."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler
from torch.optim.swa_utils import AveragedModel

from edgecompress.errors import RecipeError
from edgecompress.training.bound_optimizer import copied_together, freeze_others
from edgecompress.training.micro_batches import with_channels_last
from edgecompress.training.optimizers import OptimizerFactory, parameter_groups, sgd
from edgecompress.training.settings import Settings

if TYPE_CHECKING:
    from accelerate import Accelerator
    from accelerate.optimizer import AcceleratedOptimizer


@dataclass(frozen=True, kw_only=True)
class Engine:
    """What moves while a network is trained; ``wrapped`` is ``module`` as the processes share it.

    ``average`` follows ``module`` with a moving average of its weights and buffers, where the settings ask for one.
    """

    accelerator: Accelerator
    module: nn.Module
    wrapped: nn.Module
    optimizer: AcceleratedOptimizer
    scheduler: LRScheduler
    max_gradient_norm: float | None
    average: AveragedModel | None

    @classmethod
    def start(cls, network: nn.Module, settings: Settings, steps: int) -> Engine:
        """Ready for ``steps`` optimizer steps on a copy of ``network``.

        Raises:
            ModelError: no parameter requires a gradient.
            RecipeError: Accelerate cannot run as the settings want, or the optimizer is another network's.
        """
        accelerator = _accelerator(settings)
        module, given = copied_together(network, settings.optimizer)
        module.train()
        if settings.channels_last:
            module = with_channels_last(module)
        if accelerator.num_processes > 1 and accelerator.device.type == "cuda":
            # Gloo has no counterpart on CPUs: there each process normalizes its own rows.
            module = nn.SyncBatchNorm.convert_sync_batchnorm(module)  # type: ignore[no-untyped-call]
        module = module.to(accelerator.device)
        optimizer = _optimizer(given, module, settings)
        scheduler = settings.scheduler(optimizer, steps)
        wrapped, prepared = accelerator.prepare(module, optimizer)
        return cls(
            accelerator=accelerator,
            module=module,
            wrapped=wrapped,
            optimizer=prepared,
            scheduler=scheduler,
            max_gradient_norm=settings.max_gradient_norm,
            average=_average(module, settings.average_decay),
        )

    @property
    def result(self) -> nn.Module:
        """The network that training is for: the average, or what is trained itself."""
        return self.module if self.average is None else self.average.module

    @property
    def device(self) -> torch.device:
        """Device of the network."""
        return torch.device(self.accelerator.device)

    @property
    def rank(self) -> int:
        """This process among all."""
        return int(self.accelerator.process_index)

    @property
    def processes(self) -> int:
        """Number of processes that share the work."""
        return int(self.accelerator.num_processes)

    def shared_only_if(self, last: bool) -> contextlib.AbstractContextManager[Any]:
        """Gradients are exchanged only in the last backward pass of a step."""
        return contextlib.nullcontext() if last else self.accelerator.no_sync(self.wrapped)

    def summed(self, values: Tensor) -> Tensor:
        """The sum over the processes."""
        return values if self.processes == 1 else self.accelerator.reduce(values.to(self.device), "sum")

    def gradient_norm(self) -> float:
        """The length of the whole gradient, which is then shortened where the settings say so.

        A scaler of half precision (fp16) skips such steps by itself: there it is 0.
        """
        parameters = [p for p in self.module.parameters() if p.grad is not None]
        if self.max_gradient_norm is not None:
            norm = self.accelerator.clip_grad_norm_(parameters, self.max_gradient_norm)
        else:
            norm = nn.utils.get_total_norm([p.grad for p in parameters if p.grad is not None])
        return 0.0 if self.accelerator.scaler is not None else float(norm)

    def update(self) -> None:
        """One step of the optimizer and of the scheduler, along the gradients that were gathered."""
        self.optimizer.step()
        if not self.accelerator.optimizer_step_was_skipped:
            self.scheduler.step()
            if self.average is not None:
                self.average.update_parameters(self.module)
        self.optimizer.zero_grad()

    def share_buffers(self) -> None:
        """Every process takes the first one's buffers: batch-norm statistics are of its own rows only."""
        if self.processes == 1:
            return
        from accelerate.utils import broadcast

        for network in dict.fromkeys((self.module, self.result)):
            for buffer in network.buffers():
                buffer.copy_(broadcast(buffer, from_process=0))

    def agreed(self, value: Any) -> Any:
        """What the first process has."""
        if self.processes == 1:
            return value
        from accelerate.utils import broadcast_object_list

        return broadcast_object_list([value], from_process=0)[0]

    def weights(self) -> dict[str, Tensor]:
        """A copy of the result's state, on the CPU."""
        return {name: value.detach().cpu().clone() for name, value in self.result.state_dict().items()}

    def to_state(self) -> dict[str, Any]:
        """Everything that a step changes."""
        scaler = self.accelerator.scaler
        return {
            "model": self.module.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "scheduler": self.scheduler.state_dict(),
            "scaler": None if scaler is None else scaler.state_dict(),
            "average": None if self.average is None else self.average.state_dict(),
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on from what :meth:`to_state` gave."""
        self.module.load_state_dict(state["model"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.scheduler.load_state_dict(state["scheduler"])
        if self.accelerator.scaler is not None and state["scaler"] is not None:
            self.accelerator.scaler.load_state_dict(state["scaler"])
        if self.average is not None:
            self.average.load_state_dict(state["average"])


def _optimizer(given: OptimizerFactory | Optimizer | None, module: nn.Module, settings: Settings) -> Optimizer:
    if not isinstance(given, Optimizer):
        return (given or sgd)(parameter_groups(module, settings.weight_decay), settings.learning_rate)
    freeze_others(module, given)
    return given


def _average(module: nn.Module, decay: float | None) -> AveragedModel | None:
    if decay is None:
        return None

    def follow(average: Tensor, now: Tensor, steps: Tensor | int) -> Tensor:
        """Early on the average is that of the few steps there were; masks and counters are taken as they are."""
        if not now.is_floating_point():
            return now.clone()
        return average.lerp(now, 1 - min(decay, (1 + int(steps)) / (10 + int(steps))))

    return AveragedModel(module, avg_fn=follow, use_buffers=True)


def _accelerator(settings: Settings) -> Accelerator:
    from accelerate import Accelerator
    from accelerate.utils import GradientAccumulationPlugin

    # The loop accumulates by itself: it knows how many samples make a step, whatever the environment says.
    plugin = GradientAccumulationPlugin(num_steps=1)
    try:
        # Processes that joined before Accelerate looked are seen by it on CPUs only where it is told so.
        joined = torch.distributed.is_available() and torch.distributed.is_initialized()
        cpu = joined and not torch.cuda.is_available()
        return Accelerator(cpu=cpu, mixed_precision=_precision(settings), gradient_accumulation_plugin=plugin)
    except ValueError as error:
        raise RecipeError(
            f"mixed_precision {settings.mixed_precision!r} is not to be had: {error}; say 'auto' or 'no'"
        ) from error


def _precision(settings: Settings) -> str | None:
    if settings.mixed_precision != "auto":
        return settings.mixed_precision
    if "ACCELERATE_MIXED_PRECISION" in os.environ:
        return None
    return "bf16" if torch.cuda.is_available() and torch.cuda.is_bf16_supported() else "no"
