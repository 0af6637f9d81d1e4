"""What would make a network run is found by trying it, and is what was done to the inputs, undone."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from edgecompress.data.batches import Batch
from edgecompress.errors import ModelError
from edgecompress.modules.capture import check_runs
from edgecompress.modules.near_inputs import SWAPPED, near_inputs
from tests.networks import ConvNet, images, seeded

Spoil = Callable[[Tensor], Tensor]
IMAGES = images(rows=3, batches=1)[0][0]


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda x: x.double(), "give float32, as the model has it: x.float()"),
        (
            lambda x: (100 * x).to(torch.uint8),
            "they are pictures as bytes: scale and normalize them as in training, such as (x.float() / 255 - mean)"
            " / std",
        ),
        (lambda x: x.permute(0, 2, 3, 1), "the channels are last in them: give x.permute(0, 3, 1, 2)"),
        (
            lambda x: x.permute(0, 2, 3, 1).to(torch.uint8),
            "they are pictures as bytes with the channels last: take x.permute(0, 3, 1, 2), and scale and normalize"
            " them as in training, such as (x.float() / 255 - mean) / std",
        ),
        (
            lambda x: x.permute(0, 2, 3, 1).double(),
            "the channels are last in them, and they are no float32: give x.permute(0, 3, 1, 2).float()",
        ),
    ],
)
def test_images_in_another_form(spoil: Spoil, words: str) -> None:
    assert near_inputs(seeded(ConvNet), {"image": spoil(IMAGES).numpy()}) == words


def test_a_model_in_half_precision_tokens_that_are_no_whole_numbers_and_single_samples() -> None:
    half = near_inputs(nn.Linear(3, 2).half(), {"input": torch.ones(4, 3).numpy()})
    assert half == "the model is in half precision: give it in float32, with model.float()"
    tokens = near_inputs(nn.Embedding(9, 2), {"input": torch.ones(4, 3).numpy()})
    assert tokens == "give whole numbers (int64): x.long()"
    single = near_inputs(nn.Sequential(nn.Flatten(), nn.Linear(12, 2)), {"input": torch.ones(3, 4).numpy()})
    assert single == "it is a single sample: give batches, with the samples along the first dimension"


def test_nothing_is_told_where_nothing_helps() -> None:
    assert near_inputs(nn.Linear(5, 2), {"input": torch.ones(4, 3).numpy()}) is None


@pytest.mark.parametrize("kind", [torch.int64, torch.float32])
def test_labels_in_the_place_of_inputs(kind: torch.dtype) -> None:
    network, classes = seeded(ConvNet), torch.arange(3).to(kind)
    assert near_inputs(network, {"image": classes.numpy()}, IMAGES.numpy()) == SWAPPED
    with pytest.raises(ModelError, match=r"; inputs and labels are swapped: give \(inputs, labels\)$"):
        check_runs(network, Batch(inputs={"image": classes.numpy()}, labels=IMAGES.numpy()))
    assert near_inputs(network, {"image": classes.numpy()}, classes.numpy()) is None
    assert near_inputs(network, {"image": classes.numpy()}, [{"boxes": IMAGES}]) is None
