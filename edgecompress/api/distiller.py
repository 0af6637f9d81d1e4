"""The front end for distillation: a small network learns what a large one knows."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from edgecompress.axes.classes import both_open, settle_class_axis
from edgecompress.data.batches import ANY, Batch, Batches
from edgecompress.errors import RecipeError
from edgecompress.loading.losses import LossOrName, open_loss
from edgecompress.loading.opened import open_together
from edgecompress.loading.own_loss import takes_batch
from edgecompress.loading.sources import Data
from edgecompress.loading.user_code import place_of
from edgecompress.metrics.accuracy import open_class_axes
from edgecompress.modules.checks import check_teacher, require_module
from edgecompress.modules.modes import evaluating
from edgecompress.modules.named_inputs import answering
from edgecompress.progress import Progress
from edgecompress.recipe.arguments import check_seed, named_as_arguments, path, whole
from edgecompress.recipe.tables import Distillation, Recipe, Training
from edgecompress.recipe.wording import caller_warnings, in_python_words
from edgecompress.system.randomness import own_randomness
from edgecompress.training import (
    DistillationLoss,
    FeatureTerm,
    Score,
    Settings,
    Taught,
    Trained,
    distillation_loss,
    one_cycle,
    task_of,
    teach,
)
from edgecompress.training.evaluation import score
from edgecompress.training.learning_rate import SchedulerFactory
from edgecompress.training.losses import BY_TASK
from edgecompress.training.micro_batches import to_part
from edgecompress.training.optimizers import OptimizerFactory
from edgecompress.training.readings import first_output
from edgecompress.training.settings import Augment
from edgecompress.training.tasks import Task
from edgecompress.training.teaching import device_of


class Distiller:
    """Teaches a student what a teacher knows; the teacher is never modified.

    Args:
        teacher: the trained network, with the same inputs as the student.
        student: a smaller network with the same inputs and outputs, such as ``SmallNet()``; it is trained in place,
            and what fails leaves it as it was.
        temperature: above 0; the higher, the more the classes after the first count.
        alpha: 0 to 1, the weight of the teacher against the labels; at 0 it is not asked, at 1 no labels are needed.
        loss: what counts against the labels: ``classification`` (cross entropy, as in Hinton et al., 2015),
            ``regression`` (the mean squared error), the name of another loss, ``file.py:callable``, or a function
            ``(outputs, labels) -> scalar``, an object that is called so, or its class. The outputs are also held
            against the teacher's, each by what it is (:class:`~edgecompress.training.Matching`). A function that needs
            three arguments, the student's outputs, the teacher's, and the labels, weighs them by itself.
        features: terms on layers, by name, that are added to the loss: :class:`~edgecompress.training.Hint`,
            :class:`~edgecompress.training.AttentionTransfer`, :class:`~edgecompress.training.Relational`.
        cache: a folder where the teacher's outputs are kept, so that it sees each sample once; without features.
        seed: of all that is drawn.
        class_axis: the axis of the scores that holds the classes, 1 or -1; by default the one that the labels lack,
            and axis 1 where as many classes as places leave two open, with a warning.
        ignore_index: a label that counts for nothing, in addition to -100.
        output_weights: what the difference from the teacher's output weighs, by the name of the output: the key where
            the networks return a dict, ``output_0``, ... in a tuple, ``output`` where there is one. 1 where none is
            given, and 0 leaves an output out.

    Raises:
        RecipeError: temperature, alpha, the class axis or a weight is out of range, or there is no such loss.
        ModelError: teacher or student is no module, or they are one.

    >>> import torch
    >>> distiller = Distiller(nn.Linear(4, 3), nn.Linear(4, 3), alpha=1.0)
    >>> scores = torch.tensor([[1.0, 0.0, -1.0]])
    >>> float(distiller.distillation_loss(scores, scores, None))
    0.0
    """

    @in_python_words
    def __init__(
        self,
        teacher: nn.Module,
        student: nn.Module,
        temperature: float = 4.0,
        alpha: float = 0.5,
        *,
        loss: LossOrName = "classification",
        features: Sequence[FeatureTerm] = (),
        cache: str | Path | None = None,
        seed: int = 0,
        class_axis: int | None = None,
        ignore_index: int | None = None,
        output_weights: Mapping[str, float] | None = None,
    ) -> None:
        self.student = require_module("student", student)
        self.teacher = check_teacher(teacher, student)
        self.temperature, self.alpha, self.seed = temperature, alpha, check_seed(seed)
        give = "give 1, or -1 for the last axis"
        self.class_axis = None if class_axis is None else whole("class_axis", class_axis, -1, give)
        self._recipe = _asked(loss, ignore_index, output_weights)
        self.task = task_of(
            loss if _weighs_itself(loss) else open_loss(self._recipe.training, loss),
            temperature,
            alpha,
            self.class_axis,
            ignore_index=self._recipe.training.ignore_index,
            output_weights=self._recipe.distillation.output_weights,
        )
        self.features = tuple(features)
        self.cache = None if cache is None else path("cache", cache)

    @in_python_words
    def distillation_loss(self, student_logits: Tensor, teacher_logits: Tensor, labels: Tensor | None) -> Tensor:
        """alpha * T^2 * KL(softmax(teacher / T) || softmax(student / T)) + (1 - alpha) * cross entropy.

        Args:
            student_logits: (rows, classes, ...) or (..., classes).
            teacher_logits: of the same shape; no gradient flows into them.
            labels: class indices, -100 for what does not count; None where alpha is 1, and scores are (rows, classes)
                or ``class_axis`` was given.

        Returns:
            The mean over the labels that count, a scalar of the scores' dtype.

        Raises:
            ModelError: the shapes differ.
            DataError: labels are missing, do not fit, or are out of range.
        """
        if self.class_axis is None and labels is not None:
            axes = open_class_axes(student_logits.shape, labels.shape)
            if len(axes) > 1:
                caller_warnings().warn(both_open(student_logits.shape))
        return distillation_loss(student_logits, teacher_logits, labels, self.temperature, self.alpha, self.class_axis)

    @in_python_words
    def train_student(
        self,
        train_loader: Data,
        optimizer: Optimizer | OptimizerFactory | None = None,
        epochs: int = 5,
        *,
        evaluation: Data | None = None,
        scheduler: SchedulerFactory = one_cycle,
        learning_rate: float | None = None,
        weight_decay: float | None = None,
        accumulation: int = 1,
        max_gradient_norm: float | None = None,
        mixed_precision: Literal["auto", "no", "fp16", "bf16"] = "auto",
        patience: int | None = None,
        average_decay: float | None = None,
        augment: Augment | None = None,
        checkpoints: str | Path | None = None,
        progress: Progress | None = None,
    ) -> Trained:
        """Train the student; in the end it has the best weights, and is in evaluation mode.

        Args:
            train_loader: labelled batches, read once for each epoch.
            optimizer: one for the student's parameters, whose own learning rates and weight decays hold; or a function
                of parameter groups and a learning rate; by default SGD with momentum, and AdamW at a tenth of the
                learning rate for a loss that is none of classes.
            epochs: passes over the data.
            evaluation: labelled batches, measured after each epoch; the weights of the best epoch are kept. Without it
                those of the last.
            scheduler: shapes the learning rate: a function of the optimizer and the number of steps.
            learning_rate: the highest one, 0.02 by default.
            weight_decay: 0.0005 by default, not on norms and biases.
            accumulation: batches to one step.
            max_gradient_norm: longer gradients are clipped to it.
            mixed_precision: ``auto`` is bf16 on a GPU that has it.
            patience: epochs without a better evaluation after which training stops.
            average_decay: take the moving average of the weights, which keeps this share of itself at each step.
            augment: varies the inputs of a batch, for student and teacher alike.
            checkpoints: a folder from which a run that was killed goes on, to the same weights.
            progress: told of every batch, with loss, accuracy and rate.

        Returns:
            The student, what each epoch gave, and the epoch whose weights it has.

        Raises:
            RecipeError: a setting is impossible, or a layer of a feature term is not there or cannot be compared.
            ModelError: outputs differ in shape, or a network or the loss fails.
            DataError: there are no data, labels are missing, or the loss is not finite: the batch is named, and the
                last checkpoint stays.
            OutputError: the folder of the checkpoints or of the cache cannot be used.
        """
        settings = Settings(
            epochs=epochs,
            optimizer=optimizer,
            scheduler=scheduler,
            accumulation=accumulation,
            max_gradient_norm=max_gradient_norm,
            mixed_precision=mixed_precision,
            patience=patience,
            average_decay=average_decay,
            augment=augment,
            seed=self.seed,
            **_rates(optimizer, learning_rate=learning_rate, weight_decay=weight_decay),
        )
        given = {"train": train_loader, **({} if evaluation is None else {"evaluation": evaluation})}
        opened = open_together(self.student, given, self._recipe)
        student, batches = opened.module, opened.batches
        (train, measured), task = self._settled(student, batches["train"], batches.get("evaluation"))
        assert train is not None
        trained = teach(
            student,
            answering(self.teacher, student, opened.source),
            train,
            settings,
            task,
            features=self.features,
            cache=self.cache,
            evaluation=measured,
            checkpoints=None if checkpoints is None else path("checkpoints", checkpoints),
            progress=progress,
        )
        student.load_state_dict(trained.model.state_dict())
        return replace(trained, model=self.student.eval())

    @in_python_words
    def evaluate(self, loader: Data) -> Score:
        """The student's top-1 accuracy in percent; where labels are no classes, its mean loss.

        That is the mean squared error against the labels, or the loss of the user's own.

        Args:
            loader: batches ``(inputs, labels)``, as :meth:`train_student` takes them.

        Raises:
            DataError: there are no data or no labels.
            ModelError: the network fails.
        """
        return self._score(self.student, loader)

    @in_python_words
    def evaluate_teacher(self, loader: Data) -> Score:
        """The same of the teacher: what the student is after.

        The arguments and errors are those of :meth:`evaluate`.
        """
        return self._score(self.teacher, loader)

    def _score(self, network: nn.Module, loader: Data) -> Score:
        opened = open_together(network, {"evaluation": loader}, self._recipe)
        named = opened.module
        loss = self.task.measure or DistillationLoss(answering(self.teacher, named, opened.source), self.task)
        (batches,), _ = self._settled(named, opened.batches["evaluation"])
        assert batches is not None
        return score(named, batches, loss, device_of(network))

    def _settled(self, network: nn.Module, *data: Batches | None) -> tuple[list[Batches | None], Task]:
        """The data and the task, with the axis of the classes; the last data count most."""
        if self._recipe.training.loss is not None:
            data = tuple(None if batches is None else replace(batches, label_kinds=ANY) for batches in data)

        def shape(batch: Batch) -> torch.Size:
            part = to_part(batch, batch.rows, device_of(network), False)
            return first_output(network(**part.inputs)).shape

        with own_randomness(), evaluating(network), torch.no_grad():
            axis = settle_class_axis(shape, reversed(data), self.class_axis, caller_warnings().warn)
        task = self.task.with_class_axis(axis) if isinstance(self.task, Taught) else self.task
        return [None if batches is None else replace(batches, class_axis=axis) for batches in data], task


def _asked(loss: Any, ignore_index: int | None, output_weights: Mapping[str, float] | None) -> Recipe:
    """The recipe that says the same as the arguments: a task, or a loss that takes labels of any form."""
    with named_as_arguments("training"), named_as_arguments("distillation"):
        training = Training(ignore_index=ignore_index)
        if isinstance(loss, str) and loss in BY_TASK:
            training = training.model_copy(update={"task": loss})
        else:
            training = training.model_copy(update={"loss": loss if isinstance(loss, str) else place_of(loss)})
        learned = Distillation().model_copy(update={"output_weights": output_weights or {}})
        return Recipe(training=training, distillation=learned)


def _weighs_itself(loss: Any) -> bool:
    """Whether a loss asks for the student's outputs, the teacher's, and the labels, and does not do with fewer."""
    return not isinstance(loss, (str, type)) and takes_batch(loss, 3) and not takes_batch(loss, 2)


def _rates(optimizer: Callable[..., Any] | Optimizer | None, **given: float | None) -> dict[str, Any]:
    rates = {name: value for name, value in given.items() if value is not None}
    if rates and isinstance(optimizer, Optimizer):
        raise RecipeError(f"the optimizer has a {next(iter(rates))} of its own; leave one of the two out")
    return rates
