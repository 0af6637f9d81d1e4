"""The exact text of what the techniques tell of a mistake: the cause, then the fix."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import torch
from torch import Tensor, nn

from edgecompress.data.batches import Batch
from edgecompress.errors import InputError
from edgecompress.low_rank.factorize import factorize
from edgecompress.low_rank.layers import check_finite, unprotected
from edgecompress.low_rank.request import LowRankRequest
from edgecompress.modules.names import check_names
from edgecompress.progress import Progress
from edgecompress.pruning.blocks import choose_blocks
from edgecompress.pruning.masks.sparsity import seeded_generator
from edgecompress.training import (
    SCHEDULES,
    DistillationLoss,
    Hint,
    Settings,
    cross_entropy,
    mean_squared_error,
    train,
)
from edgecompress.training.augmentation import crop_and_flip
from edgecompress.training.batch_norm import reestimate_batch_norm
from edgecompress.training.bound_optimizer import copied_together
from edgecompress.training.evaluation import score
from edgecompress.training.feature_taps import Tapped
from edgecompress.training.matching import check_distillation
from edgecompress.training.micro_batches import MicroBatch
from edgecompress.training.packed_outputs import RowForm
from edgecompress.training.readings import first_output
from edgecompress.training.teacher_outputs import TeacherOutputs
from edgecompress.training.user_calls import run_loss, run_network
from tests.training.batches import batches

Mistake = Callable[[], object]
FLOATS = torch.zeros(2, 3)
CPU = torch.device("cpu")


def _told(mistake: Mistake) -> str:
    with pytest.raises(InputError) as caught:
        mistake()
    return str(caught.value)


class _Failing(nn.Module):
    def forward(self, x: torch.Tensor) -> Any:
        raise RuntimeError("no such backbone")


def _loss_of(value: Any) -> Mistake:
    part = MicroBatch(inputs={}, labels=None, rows=2)
    return lambda: run_loss(lambda *_: value() if callable(value) else value, FLOATS, part, "batch 0")


def _low_rank(include: tuple[str, ...]) -> Mistake:
    layer = nn.Linear(3, 3)
    network = nn.Sequential(layer, nn.ReLU())
    return lambda: unprotected({"0": layer}, network, None, include, ())


_DATA = [(FLOATS, torch.zeros(2, dtype=torch.int64))]
HINT = Hint(student="0", teacher="0")


class _Pair(NamedTuple):
    left: Tensor
    right: Tensor


class _OnlyOnce:
    """Batches in one epoch alone."""

    def __init__(self) -> None:
        self._left = [list(batches(_DATA, name="input"))]

    def count(self) -> int:
        return 1

    def __iter__(self) -> Iterator[Batch]:
        return iter(self._left.pop() if self._left else [])


@pytest.mark.parametrize(
    ("mistake", "told"),
    [
        (
            lambda: run_network(_Failing(), {"x": FLOATS}, "batch 0"),
            "batch 0: the network fails: RuntimeError: no such backbone; repair its forward",
        ),
        (
            _loss_of(lambda: 1 // 0),
            "batch 0: the loss fails: ZeroDivisionError: integer division or modulo by zero; repair it",
        ),
        (_loss_of(FLOATS), "batch 0: the loss is no single number; return the mean over the batch"),
        (
            lambda: train(nn.Linear(3, 2), _OnlyOnce(), Settings(epochs=2), cross_entropy),
            "the train data yields no batches in epoch 2; return the same number each time",
        ),
        (
            lambda: DistillationLoss(nn.Linear(3, 2), features=(HINT,), cache=Path("cache")),
            "the cache keeps the teacher's outputs, not its features; leave cache or features out",
        ),
        (
            lambda: RowForm.of(_Pair(FLOATS, FLOATS), 2),
            "the teacher's outputs are of a kind that cannot be kept; leave cache out",
        ),
        (
            lambda: mean_squared_error(FLOATS, {}, torch.zeros(2)),
            "labels of shape (2,) do not fit outputs of shape (2, 3); give as many",
        ),
        (lambda: first_output("text"), "the network returns a str without a tensor; return scores"),
        (lambda: check_distillation(0, 0.5), "temperature is 0; give a number above 0"),
        (lambda: check_distillation(1, 2), "alpha is 2; give 0 (labels only) to 1 (teacher only)"),
        (lambda: SCHEDULES["cubic"](1.5, 2), "amount is 1.5; give 0 or more, and less than 1"),
        (lambda: SCHEDULES["cubic"](0.5, 0), "a schedule of 0 steps prunes nothing; give 1 or more"),
        (
            lambda: Settings(average_decay=1.0),
            "average_decay is 1.0; give a number between 0 and 1, or None",
        ),
        (lambda: Settings(epochs=0), "epochs is 0; give a whole number of 1 or more"),
        (lambda: Settings(learning_rate=0.0), "learning_rate is 0.0; give a number above 0"),
        (
            lambda: crop_and_flip({"x": FLOATS}),
            "no input among x is an image (rows, channels, height, width); leave augment out",
        ),
        (
            lambda: copied_together(nn.Linear(3, 2), torch.optim.SGD(nn.Linear(5, 4).parameters())),
            "the optimizer holds a parameter of shape (4, 5) that Linear does not have; make it for the parameters of"
            " the network that is trained",
        ),
        (
            lambda: score(nn.Identity(), [Batch(inputs={"x": FLOATS.numpy()})], lambda *_: FLOATS.sum(), CPU),
            "evaluation batch 0 has no labels; return (inputs, labels)",
        ),
        (
            lambda: score(nn.Identity(), [], cross_entropy, CPU),
            "the evaluation data yields no labelled samples; return at least one batch",
        ),
        (
            lambda: RowForm.of((FLOATS,), 3),
            "the teacher's outputs are not all tensors with the batch first; leave cache out",
        ),
        (
            lambda: reestimate_batch_norm(nn.BatchNorm1d(3), [], Progress()),
            "the data for batch norm yields no batches; return at least one",
        ),
        (
            lambda: Tapped(nn.Sequential(nn.ReLU()), ["zzz"]),
            "Sequential has no layer 'zzz'; network.named_modules() has the names",
        ),
        (
            lambda: check_names(["zzz"], nn.Sequential(nn.ReLU()), "pruning.protect"),
            "'pruning.protect' names 'zzz', which the model does not have; inspect lists the names",
        ),
        (
            lambda: choose_blocks([], 0.5),
            "the model has no residual block that could go; choose another pruning.method",
        ),
        (lambda: seeded_generator(-1), "seed is -1; give a whole number from 0 up to 2^63"),
        (
            lambda: factorize(nn.Linear(3, 3), LowRankRequest(amount=0.5, goal="macs")),
            "the goal 'macs' needs example inputs; give them, or choose 'parameters'",
        ),
        (
            _low_rank(("1",)),
            "'low_rank.include' names '1', which holds no layer that can be decomposed; take it out",
        ),
        (
            lambda: unprotected({"0": nn.Linear(3, 3)}, nn.Sequential(nn.Linear(3, 3)), None, ["0"], ["0"]),
            "'0' stands in both 'low_rank.include' and 'low_rank.protect'; leave it out of one",
        ),
        (
            lambda: check_finite({"head": _spoiled()}),
            "'head.weight' holds NaN; repair it, or name its layer in 'low_rank.protect'",
        ),
    ],
)
def test_techniques(mistake: Mistake, told: str) -> None:
    assert _told(mistake) == told


def _spoiled() -> nn.Linear:
    layer = nn.Linear(3, 3)
    nn.init.constant_(layer.weight, torch.nan)
    return layer


def test_caches_of_a_teacher(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    cache = TeacherOutputs(Path("cache"), _Ragged())
    cache.ask({"x": torch.zeros(2, 3)})
    assert _told(lambda: cache.ask({"x": torch.ones(2, 4)})) == (
        "the teacher's outputs differ in shape from sample to sample; leave cache out"
    )
    spoilt = Path("spoilt", cache.path.name)
    spoilt.parent.mkdir()
    spoilt.write_bytes(b"junk" * 1000)
    assert _told(lambda: TeacherOutputs(Path("spoilt"), _Ragged())) == (
        f"'{spoilt}' is no file of teacher outputs of this version; delete it, or choose another cache folder"
    )


class _Ragged(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return 2 * x


def test_a_precision_that_is_not_to_be_had(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(**_: Any) -> None:
        raise ValueError("it requires a GPU")

    monkeypatch.setattr("accelerate.Accelerator", refuse)
    settings = Settings(mixed_precision="fp16")
    assert _told(lambda: train(nn.Linear(3, 2), batches(_DATA, name="input"), settings, cross_entropy)) == (
        "mixed_precision 'fp16' is not to be had: it requires a GPU; say 'auto' or 'no'"
    )
