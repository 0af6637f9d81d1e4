"""The loss of a student: by a task on its outputs, and by feature terms, against a teacher that stays as it is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from edgecompress.errors import ModelError, RecipeError
from edgecompress.modules.copies import copied
from edgecompress.training.checkpoint import fingerprint
from edgecompress.training.feature_taps import Tapped, TappedOutputs
from edgecompress.training.feature_terms import FeatureTerm
from edgecompress.training.micro_batches import with_channels_last
from edgecompress.training.readings import first_output
from edgecompress.training.tasks import Task, task_of
from edgecompress.training.teacher_outputs import TeacherOutputs
from edgecompress.training.user_calls import run_network


class DistillationLoss:
    """What the teacher says and what the labels say, weighed by a task; and how the features differ.

    Attributes:
        tapped: a frozen copy of the teacher, in evaluation mode, that hands back the features.
        task: the loss of the outputs.
        features: the feature terms; a student that is trained by them has to be tapped,
            see :func:`edgecompress.training.feature_taps.tap`.
        cache: the teacher's outputs on disk, or None.
    """

    def __init__(
        self,
        teacher: nn.Module,
        task: Task | None = None,
        *,
        temperature: float = 4.0,
        alpha: float = 0.5,
        features: Sequence[FeatureTerm] = (),
        cache: Path | None = None,
    ) -> None:
        """
        Args:
            teacher: takes the student's inputs; not modified, its batch-norm statistics included.
            task: by default classification at ``temperature`` and ``alpha``, which count for nothing otherwise.
            temperature: above 0; the higher, the more the classes other than the likeliest count.
            alpha: 0 to 1, the weight of the teacher against the labels; at 1 no labels are needed.
            features: feature terms, added to the task's loss.
            cache: a folder for the teacher's outputs.

        Raises:
            RecipeError: temperature or alpha is out of range, the teacher lacks a layer, or features are asked of a
                cache.
            OutputError: the cache cannot be used.
        """
        if cache is not None and features:
            raise RecipeError("the cache keeps the teacher's outputs, not its features; leave cache or features out")
        self.task = task_of("classification", temperature, alpha) if task is None else task
        self.features = tuple(features)
        frozen = with_channels_last(copied(teacher).eval().requires_grad_(False))
        self.tapped = Tapped(frozen, [term.source for term in self.features])
        self.made_of = fingerprint(teacher, self.task, self.features)
        self.cache = None if cache is None else TeacherOutputs(cache, frozen)

    @property
    def teacher(self) -> nn.Module:
        """The frozen copy."""
        return self.tapped.network

    def __call__(self, outputs: Any, inputs: Mapping[str, Tensor], labels: Tensor | None, /) -> Tensor:
        """The loss of a student's outputs; the teacher is run where the task or a feature term needs it.

        Raises:
            ModelError: the teacher's outputs have another shape, or it fails.
            DataError: labels are missing, do not fit the outputs' shape, or are out of range.
        """
        own = outputs if isinstance(outputs, TappedOutputs) else TappedOutputs(outputs, ())
        if len(own.features) != len(self.features):
            raise ModelError(
                f"the loss has {len(self.features)} feature terms, the student {len(own.features)}; tap it"
            )
        if not (self.task.asks_teacher or self.features):
            return self.task(own.outputs, None, labels)
        given = self._ask(inputs, first_output(own.outputs).device)
        value = self.task(own.outputs, given.outputs, labels)
        for term, ours, theirs in zip(self.features, own.features, given.features, strict=True):
            if ours is not None and theirs is not None:
                value = value + _full(term, ours, theirs)
        return value

    def _ask(self, inputs: Mapping[str, Tensor], device: torch.device) -> TappedOutputs:
        self.tapped.to(device)
        with torch.no_grad():
            if self.cache is not None:
                return TappedOutputs(self.cache.ask(inputs), ())
            answer = run_network(self.tapped, inputs, "the teacher")
        assert isinstance(answer, TappedOutputs)
        return answer


def _full(term: FeatureTerm, own: Tensor, given: Tensor) -> Tensor:
    """Sums of squares and their differences are taken in full precision, whatever the networks run in."""
    with torch.autocast(own.device.type, enabled=False):
        wide = torch.promote_types(own.dtype, torch.float32)
        return term(own.to(wide), given.to(wide))
