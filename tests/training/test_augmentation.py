"""Every augmented image is a shifted, perhaps mirrored, original."""

from __future__ import annotations

import pytest
import torch

from edgecompress.errors import DataError
from edgecompress.training import AUGMENTATIONS, crop_and_flip, flip
from edgecompress.training.settings import Augment

AUGMENTS = [augment for augment in AUGMENTATIONS.values() if augment is not None]


def _variants(image: torch.Tensor) -> set[bytes]:
    """All that crop and flip can make of (channels, 8, 16): shifts by one row and two columns at most."""
    padded = torch.nn.functional.pad(image, (2, 2, 1, 1))
    crops = [padded[:, down : down + 8, right : right + 16] for down in range(3) for right in range(5)]
    return {each.numpy().tobytes() for crop in crops for each in (crop.contiguous(), crop.flip(2).contiguous())}


def test_the_variants_are_those_by_hand_and_all_occur() -> None:
    image = torch.randn(3, 8, 16, generator=torch.Generator().manual_seed(0))
    with torch.random.fork_rng():
        torch.manual_seed(0)
        moved = crop_and_flip({"image": image.expand(1000, -1, -1, -1)})["image"]
    assert {each.contiguous().numpy().tobytes() for each in moved} == _variants(image)


def test_flipping_gives_the_image_and_its_mirror_image_alike() -> None:
    image = torch.randn(3, 8, 16, generator=torch.Generator().manual_seed(0))
    with torch.random.fork_rng():
        torch.manual_seed(0)
        turned = flip({"image": image.expand(1000, -1, -1, -1)})["image"]
    same, mirrored = (int((turned == each).all((1, 2, 3)).sum()) for each in (image, image.flip(2)))
    assert same + mirrored == 1000
    assert abs(same - mirrored) < 150  # five standard deviations


@pytest.mark.parametrize("augment", AUGMENTS)
def test_images_of_a_row_move_together_and_the_rest_stays(augment: Augment) -> None:
    inputs = {"image": torch.rand(5, 1, 8, 8), "mask": torch.zeros(5, 1, 8, 8), "size": torch.arange(5)}
    inputs["mask"] = inputs["image"] * 2
    moved = augment(inputs)
    assert torch.equal(moved["mask"], moved["image"] * 2)
    assert moved["size"] is inputs["size"]


@pytest.mark.parametrize("augment", AUGMENTS)
@pytest.mark.parametrize("layout", [torch.channels_last, torch.contiguous_format])
def test_the_layout_is_kept(layout: torch.memory_format, augment: Augment) -> None:
    image = torch.rand(4, 3, 8, 8).contiguous(memory_format=layout)
    assert augment({"image": image})["image"].is_contiguous(memory_format=layout)


@pytest.mark.parametrize("augment", AUGMENTS)
def test_inputs_without_images_are_refused(augment: Augment) -> None:
    with pytest.raises(DataError, match="no input among token is an image"):
        augment({"token": torch.zeros(2, 3)})
