"""The demo's network learns the digits."""

from __future__ import annotations

import torch

from edgecompress.cli.demo_network import load_digits, make_demo
from edgecompress.progress import Progress


def test_two_epochs_are_enough_for_nine_digits_of_ten() -> None:
    before = torch.random.get_rng_state()
    demo = make_demo(Progress(), epochs=2)
    assert (torch.random.get_rng_state() == before).all()
    with torch.no_grad():
        right = sum(int((demo.model(x).argmax(1) == y).sum()) for x, y in demo.evaluation)
    total = sum(len(y) for _, y in demo.evaluation)
    assert total == 597
    assert right / total > 0.9


def test_digits_are_images_between_zero_and_one() -> None:
    images, labels = load_digits()
    assert images.shape == (1797, 1, 32, 32)
    assert float(images.min()) == 0
    assert float(images.max()) <= 1
    assert set(labels.tolist()) == set(range(10))
