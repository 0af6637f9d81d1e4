"""Costs that are counted on the graph, against PyTorch's own counter on the pruned network."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from edgecompress.pruning.channels.cost_terms import add_up, full
from edgecompress.pruning.channels.costs import channel_terms, macs_terms, parameter_terms
from edgecompress.pruning.channels.importance import score
from edgecompress.pruning.channels.structured import cut_out, examine
from edgecompress.pruning.channels.widths import choose
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
    structure, groups = subject.structure, subject.groups
    scores = score(subject, "random")
    macs, parameters = add_up(macs_terms(structure, groups)), add_up(parameter_terms(structure, groups))
    halves = {group.name: len(group.units) // 2 for group in groups}
    for widths in (full(groups), halves):
        network = cut_out(subject, choose(groups, scores, widths)).model
        with FlopCounterMode(display=False) as counter, torch.no_grad():
            network(inputs)
        assert macs(widths) == counter.get_total_flops() // 2
        assert parameters(widths) == sum(parameter.numel() for parameter in network.parameters())


def test_attention_counts_both_of_its_products() -> None:
    class Attention(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.query, self.key, self.value = (nn.Linear(8, 8, bias=False) for _ in range(3))

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            parts = [layer(x).view(1, 5, 2, 4).transpose(1, 2) for layer in (self.query, self.key, self.value)]
            return nn.functional.scaled_dot_product_attention(*parts)

    subject = examine(Attention(), (torch.randn(1, 5, 8),))
    assert add_up(macs_terms(subject.structure, ()))({}) == 3 * 5 * 8 * 8 + 2 * 2 * 5 * 5 * 4


class _Einsums(nn.Module):
    """12 places of 8, mixed from 6; ``last`` is the equation of the product that narrows 16 channels to 8."""

    def __init__(self, last: str) -> None:
        super().__init__()
        self.last = last
        self.places = nn.Parameter(torch.randn(12, 6))
        self.wide = nn.Parameter(torch.randn(8, 16))
        self.narrow = nn.Parameter(torch.randn(16, 8))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        hidden = torch.einsum("btd,dh->bth", (self.places @ x).relu(), self.wide).relu()
        return torch.einsum(self.last, hidden, self.narrow)


@pytest.mark.parametrize("last", ["bth,hd->btd", "...h,hd->...d", "b t h, h d"])
def test_an_einsum_counts_as_the_product_that_it_is(last: str) -> None:
    inputs = torch.randn(2, 6, 8)
    torch.manual_seed(0)
    subject = examine(_Einsums(last).eval(), (inputs,))
    macs, whole = add_up(macs_terms(subject.structure, subject.groups)), full(subject.groups)
    assert macs(whole) == 2 * 12 * (6 * 8 + 8 * 16 + 16 * 8)
    widths = {name: width // 2 for name, width in whole.items()}
    network = cut_out(subject, choose(subject.groups, score(subject, "random"), widths)).model
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        network(inputs)
    assert macs(widths) == counter.get_total_flops() // 2


def test_channels_are_those_of_the_widest_tensor_of_a_group() -> None:
    subject = examine(seeded(ConvNet), (INPUTS[ConvNet],))
    assert add_up(channel_terms(subject.structure, subject.groups))(full(subject.groups)) == 8 + 16
