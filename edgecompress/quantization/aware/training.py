"""Quantization-aware training of a lowering: the network that the file holds is the one that learns."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from torch import nn

from edgecompress.arrays import Inputs
from edgecompress.quantization.aware.faithfulness import CodeDifference, require_faithful
from edgecompress.quantization.aware.fake_quantized import Arrange, FakeQuantized, learned_lowering
from edgecompress.quantization.lowering import Lowering

Teach = Callable[[nn.Module], nn.Module]
"""From a network to a trained copy of it."""


@dataclass(frozen=True, kw_only=True)
class TrainedLowering:
    """What training made of a lowering, and the largest difference between the file and the trained network."""

    lowering: Lowering
    difference: CodeDifference | None

    @property
    def in_words(self) -> str:
        """How well the file follows the network, as a sentence."""
        found = self.difference
        if found is None or not found.largest:
            return "every value of the file is that of the network that was trained"
        return (
            "every value of the file is within one step of the network that was trained;"
            f" most differ in {found.name} ({found.differing:.2%})"
        )


def train_lowering(lowering: Lowering, teach: Teach, probe: Inputs, arrange: Arrange = tuple) -> TrainedLowering:
    """Train the weights, biases and steps of a lowering; placement, zero points and scheme stay.

    Args:
        lowering: not modified.
        teach: trains the network that the lowering writes, and returns the trained copy.
        probe: inputs on which the file has to answer as that copy.
        arrange: what ``teach`` reads of the graph's outputs; by default a tuple of them.

    Raises:
        NoFormError: an operator cannot be trained through; nothing was trained.
        EdgecompressError: a value of the file differs by more than a step.
    """
    trained = teach(FakeQuantized(lowering, arrange))
    assert isinstance(trained, FakeQuantized)
    learned = learned_lowering(lowering, trained.eval())
    return TrainedLowering(lowering=learned, difference=require_faithful(learned.write(), trained, probe))
