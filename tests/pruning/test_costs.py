"""Costs that are counted on the graph, against PyTorch's own counter on the pruned network."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from edgecompress.pruning.costs import count_macs, count_parameters
from edgecompress.pruning.structure.groups import as_flags
from edgecompress.pruning.structured import cut_out, examine
from tests.networks import ConvNet, LinearStack, ResidualNet, seeded

INPUTS = {
    ConvNet: torch.randn(2, 3, 16, 16),
    ResidualNet: torch.randn(2, 3, 16, 16),
    LinearStack: torch.randn(2, 32),
}


@pytest.mark.parametrize("kind", INPUTS)
def test_macs_and_parameters_before_and_after(kind: type[nn.Module]) -> None:
    module, inputs = seeded(kind), INPUTS[kind]
    subject = examine(module, (inputs,))
    units = [unit for group in subject.groups for unit in group.units[: len(group.units) // 2]]
    assert units
    for gone, network in (([], module), (units, cut_out(subject, units).model)):
        flags = as_flags(subject.structure, gone)
        with FlopCounterMode(display=False) as counter, torch.no_grad():
            network(inputs)
        assert count_macs(subject.structure, flags) == counter.get_total_flops() // 2
        assert count_parameters(subject.structure, flags) == sum(one.numel() for one in network.parameters())


def test_attention_counts_both_of_its_products() -> None:
    class Attention(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.query, self.key, self.value = (nn.Linear(8, 8, bias=False) for _ in range(3))

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            parts = [layer(x).view(1, 5, 2, 4).transpose(1, 2) for layer in (self.query, self.key, self.value)]
            return nn.functional.scaled_dot_product_attention(*parts)

    structure = examine(Attention(), (torch.randn(1, 5, 8),)).structure
    assert count_macs(structure, as_flags(structure, [])) == 3 * 5 * 8 * 8 + 2 * 2 * 5 * 5 * 4
