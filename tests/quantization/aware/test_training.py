"""A lowering that was trained writes the network that learned."""

from __future__ import annotations

import numpy as np
import torch
from torch import nn

from edgecompress.modules.copies import copied
from edgecompress.quantization.aware.training import train_lowering
from edgecompress.runtime import ALL_CORES, open_session, run_session
from tests.exporters.graphs import draw, graph
from tests.quantization.lowerings import lowering_of

DATA = draw(16, 4, 8, 8)
PADS = "pads=[1,1,1,1]"
MODEL = graph(
    f"a = Conv<{PADS}>(x, w, b) r = Relu(a) y = Conv<{PADS}>(r, v)",
    w=draw(4, 4, 3, 3),
    v=draw(4, 4, 3, 3, seed=1),
    b=draw(4),
)


def _error(answers: np.ndarray, target: torch.Tensor) -> float:
    return float(np.square(answers - target.numpy()).mean())


def test_the_file_of_a_trained_lowering_comes_nearer_to_what_was_taught() -> None:
    lowering = lowering_of(MODEL, DATA, scheme="qnnpack", granularity="per_tensor", integer_entry=True)
    given = torch.tensor(DATA)
    (floats,) = run_session(open_session(MODEL, ALL_CORES), {"x": DATA})
    target = torch.tensor(1.05 * floats)

    def teach(network: nn.Module) -> nn.Module:
        learner = copied(network)
        optimizer = torch.optim.AdamW(learner.parameters(), lr=0.1)
        for _ in range(100):
            optimizer.zero_grad()
            (learner(given) - target).square().mean().backward()
            optimizer.step()
        return learner

    trained = train_lowering(lowering, teach, {"x": DATA}, arrange=lambda outputs: outputs[0])
    before, after = (
        run_session(open_session(each.write(), ALL_CORES), {"x": DATA})[0] for each in (lowering, trained.lowering)
    )
    assert _error(after, target) < 0.5 * _error(before, target)
    assert "of the network that was trained" in trained.in_words
