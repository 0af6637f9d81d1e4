"""Modes of a network, part by part."""

from __future__ import annotations

import contextlib

from edgecompress.modules.modes import evaluating
from tests.networks import ConvNet, seeded


def test_every_part_has_its_own_mode_back_even_after_an_error() -> None:
    network = seeded(ConvNet).train()
    network.get_submodule("features.1").eval()
    inside = []
    with contextlib.suppress(KeyError), evaluating(network):
        inside = [part.training for part in network.modules()]
        raise KeyError
    assert inside
    assert not any(inside)
    assert [name for name, part in network.named_modules() if not part.training] == ["features.1"]
