"""The package's own losses against PyTorch's, and what all of them have in common."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from edgecompress.errors import DataError
from edgecompress.registry import LOSSES, built_in
from edgecompress.training.losses import named_loss

DRAWN = torch.Generator().manual_seed(0)
SCORES = torch.randn(4, 3, 5, dtype=torch.float64, generator=DRAWN)
MASK = torch.randint(0, 3, (4, 5), generator=DRAWN)
NUMBERS = torch.randn(4, 3, 5, dtype=torch.float64, generator=DRAWN)
TAGS = torch.randint(0, 2, (4, 3, 5), generator=DRAWN)
SEQUENCES = torch.tensor([[1, 2], [2, -100], [4, 4], [-100, -100]])


def _ctc(scores: Tensor, rows: Tensor) -> Tensor:
    lengths = (rows > 0).sum(1)
    steps = torch.full((len(rows),), scores.shape[1])
    loss: Tensor = nn.CTCLoss()(scores.log_softmax(-1).transpose(0, 1), rows, steps, lengths)
    return loss


Case = tuple[Tensor, Callable[[Tensor, Any], Tensor]]
CASES: dict[str, Case] = {
    "cross_entropy": (MASK, nn.CrossEntropyLoss()),
    "mse": (NUMBERS, nn.MSELoss()),
    "l1": (NUMBERS, nn.L1Loss()),
    "smooth_l1": (NUMBERS, nn.SmoothL1Loss()),
    "bce_with_logits": (TAGS, lambda scores, tags: functional.binary_cross_entropy_with_logits(scores, tags.double())),
    "ctc": (SEQUENCES, _ctc),
}


def test_every_loss_has_its_case() -> None:
    assert CASES.keys() == set(built_in(LOSSES))


@pytest.mark.parametrize("name", CASES)
def test_a_loss_is_that_of_pytorch_on_the_first_output(name: str) -> None:
    targets, oracle = CASES[name]
    found = named_loss(name)({"first": SCORES, "second": NUMBERS}, {}, targets)
    torch.testing.assert_close(found, oracle(SCORES, targets), rtol=1e-12, atol=0)


@pytest.mark.parametrize("name", CASES)
def test_the_gradient_is_that_of_the_loss(name: str) -> None:
    loss = named_loss(name)
    scores = SCORES.clone().requires_grad_(True)
    assert torch.autograd.gradcheck(lambda own: loss(own, {}, CASES[name][0]), (scores,))


@pytest.mark.parametrize("hidden", [0.3, 1.0])
def test_cross_entropy_ignores_as_pytorch_does(hidden: float) -> None:
    hides = torch.rand(MASK.shape, generator=torch.Generator().manual_seed(1)) < hidden
    labels = torch.where(hides, 255, MASK)
    found = replace(named_loss("cross_entropy"), ignore_index=255)(SCORES, {}, labels)
    wanted = torch.zeros(()) if hides.all() else functional.cross_entropy(SCORES, labels, ignore_index=255)
    torch.testing.assert_close(found, wanted, check_dtype=False)


@pytest.mark.parametrize("name", ["mse", "l1", "smooth_l1", "bce_with_logits"])
def test_numbers_that_are_ignored_count_for_nothing(name: str) -> None:
    loss, tags = replace(named_loss(name), ignore_index=7), TAGS.clone()
    tags[:2] = 7
    torch.testing.assert_close(loss(SCORES, {}, tags), loss(SCORES[2:], {}, TAGS[2:]))


@pytest.mark.parametrize("name", [name for name in CASES if name != "ctc"])
def test_a_batch_of_which_nothing_counts_has_a_gradient_of_zero(name: str) -> None:
    hidden = torch.full_like(CASES[name][0], 255)
    scores = SCORES.clone().requires_grad_(True)
    value = replace(named_loss(name), ignore_index=255)(scores, {}, hidden)
    value.backward()  # type: ignore[no-untyped-call]
    assert float(value.detach()) == 0
    assert scores.grad is not None
    assert not scores.grad.any()


def test_the_axis_of_the_classes_is_that_of_the_run() -> None:
    square, labels = torch.randn(2, 4, 4, generator=DRAWN), torch.randint(0, 4, (2, 4), generator=DRAWN)
    for axis in (1, -1):
        found = replace(named_loss("cross_entropy"), class_axis=axis)(square, {}, labels)
        torch.testing.assert_close(found, functional.cross_entropy(square.movedim(axis, 1), labels))


def test_a_sequence_that_no_path_writes_spoils_no_batch() -> None:
    scores = torch.randn(1, 2, 4, generator=DRAWN).requires_grad_(True)
    value = named_loss("ctc")(scores, {}, [[3, 3]])  # a blank has to stand between them
    value.backward()  # type: ignore[no-untyped-call]
    assert float(value.detach()) == 0
    assert scores.grad is not None
    assert scores.grad.isfinite().all()


def test_labels_of_bce_are_probabilities() -> None:
    with pytest.raises(DataError) as caught:
        named_loss("bce_with_logits")(SCORES, {}, TAGS * 3)
    assert str(caught.value) == ("label 3 is no probability; give 0 to 1, and -100 (integers) for what does not count")
