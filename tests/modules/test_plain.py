"""Wrappers come off, and norms of weights are folded: what is left computes the same."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, distributed, nn
from torch.nn.utils import parametrizations, parametrize, spectral_norm, weight_norm

from edgecompress import Distiller, LowRankDecomposition, ModelPruner, Quantizer, compress
from edgecompress.modules.plain import normed_weights, plain_copy, unwrapped
from edgecompress.pipeline.plan import make_plan
from edgecompress.pruning.masks.mask import Mask
from edgecompress.runtime import open_session
from edgecompress.targets import load_profile

ROWS = torch.linspace(-1, 1, 48).view(4, 12)
Norm = Callable[[nn.Linear], nn.Module]


def _old(norm: Callable[..., nn.Module]) -> Norm:
    def apply(layer: nn.Linear) -> nn.Module:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)
            return norm(layer)

    return apply


NORMS: dict[str, tuple[Norm, str]] = {
    "weight norm": (parametrizations.weight_norm, "weight norm"),
    "spectral norm": (parametrizations.spectral_norm, "spectral norm"),
    "weight norm as a hook": (_old(weight_norm), "weight norm"),
    "spectral norm as a hook": (_old(spectral_norm), "spectral norm"),
}


def _net(first: Norm = lambda layer: layer, second: Norm = lambda layer: layer) -> nn.Sequential:
    torch.manual_seed(0)
    layers = nn.Linear(12, 16), nn.Linear(16, 16), nn.Linear(16, 3)
    return nn.Sequential(first(layers[0]), nn.ReLU(), second(layers[1]), nn.ReLU(), layers[2])


@pytest.fixture
def group(tmp_path: Path) -> Iterator[None]:
    distributed.init_process_group("gloo", init_method=f"file://{tmp_path / 'group'}", rank=0, world_size=1)
    yield
    distributed.destroy_process_group()


WRAPPERS: dict[str, Callable[[nn.Module], Any]] = {
    "DataParallel": nn.DataParallel,
    "DistributedDataParallel": nn.parallel.DistributedDataParallel,
    "compiled": lambda model: torch.compile(model, backend="eager"),
    "compiled, then parallel": lambda model: nn.DataParallel(WRAPPERS["compiled"](model)),
}


@pytest.mark.usefixtures("group")
@pytest.mark.parametrize("name", WRAPPERS)
def test_a_wrapper_comes_off_wherever_a_module_comes_in(name: str) -> None:
    net = _net().eval()
    wrapped = WRAPPERS[name](net)
    assert unwrapped(wrapped) is net
    pruned, bare = (ModelPruner(each, ROWS).structured_pruning(amount=0.5).model for each in (wrapped, net))
    assert torch.equal(pruned(ROWS), bare(ROWS))
    assert pruned.state_dict().keys() == net.state_dict().keys()
    assert LowRankDecomposition.apply_to_model(wrapped, 0.25, multiple=1).changes
    assert isinstance(LowRankDecomposition.decompose_linear(WRAPPERS[name](net[2]), 0.25), nn.Sequential)
    assert Distiller(wrapped, WRAPPERS[name](_net())).teacher is net


def test_a_wrapped_model_is_quantized() -> None:
    net = _net().eval()
    integers, same = (Quantizer.dynamic_quantize(each, ROWS)(ROWS) for each in (nn.DataParallel(net), net))
    assert torch.equal(integers, same)


def test_parts_that_are_wrapped_come_off_too() -> None:
    net = _net()
    outer = nn.Sequential(WRAPPERS["compiled"](net[:2]), nn.DataParallel(net[2:]))
    plain = plain_copy(outer)
    names = [f"{layer}.{tensor}" for layer in ("0.0", "1.2", "1.4") for tensor in ("weight", "bias")]
    assert list(plain.model.state_dict()) == names
    assert torch.equal(plain.model(ROWS), net(ROWS))
    assert not isinstance(outer[1], nn.Sequential)


def test_parts_within_wrapped_parts_come_off_too_and_under_each_of_their_names() -> None:
    net = _net()
    inner = nn.DataParallel(net[2])
    outer = nn.Sequential(nn.DataParallel(nn.Sequential(net[0], net[1], inner)), inner, WRAPPERS["compiled"](net[4:]))
    plain = plain_copy(outer).model
    assert not [name for name, part in plain.named_modules() if part is not unwrapped(part)]
    assert plain.get_submodule("0.2") is plain.get_submodule("1")
    assert torch.equal(plain(ROWS), net[4](net[2](net[:3](ROWS))))


@pytest.mark.parametrize("name", NORMS)
@pytest.mark.parametrize("training", [True, False])
def test_a_norm_is_folded_and_told(name: str, training: bool) -> None:
    norm, word = NORMS[name]
    model = _net(norm).train()
    for _ in range(3):  # spectral norm finds its value step by step
        model(ROWS)
    model.train(training)
    before = copy.deepcopy({key: value.detach() for key, value in model.state_dict().items()})
    plain = plain_copy(model)
    assert plain.changes == (f"0.weight: its {word} is folded into plain weights",)
    assert plain.model.state_dict().keys() == _net().state_dict().keys()
    assert all(parameter.requires_grad for parameter in plain.model.parameters())
    assert plain.model.training is training
    torch.testing.assert_close(plain.model(ROWS), model.eval()(ROWS))
    assert before.keys() == model.state_dict().keys()
    assert all(torch.equal(before[key], value) for key, value in model.state_dict().items())


@given(st.lists(st.sampled_from(sorted(NORMS)), min_size=2, max_size=2), st.booleans())
def test_any_norms_together_are_folded(names: list[str], frozen: bool) -> None:
    model = _net(*(NORMS[name][0] for name in names)).eval().requires_grad_(not frozen)
    plain = plain_copy(model)
    assert plain.changes == tuple(normed_weights(model))
    assert len(plain.changes) == 2
    assert not list(normed_weights(plain.model))
    torch.testing.assert_close(plain.model(ROWS), model(ROWS))
    assert all(parameter.requires_grad is not frozen for parameter in plain.model.parameters())


class _Doubled(nn.Module):
    def forward(self, weight: Tensor) -> Tensor:
        return 2 * weight


@pytest.mark.parametrize("other", [Mask(torch.ones(16, 12, dtype=torch.bool)), _Doubled()])
def test_another_parametrization_stays(other: nn.Module) -> None:
    model = _net(parametrizations.weight_norm)
    parametrize.register_parametrization(model[0], "weight", other)
    plain = plain_copy(model)
    assert not plain.changes
    assert plain.model.state_dict().keys() == model.state_dict().keys()


@pytest.mark.parametrize("name", NORMS)
def test_what_a_norm_made_is_pruned_and_factorized(name: str) -> None:
    norm, word = NORMS[name]
    model = _net(norm).eval()
    told = f"0.weight: its {word} is folded into plain weights"
    pruned = ModelPruner(model, ROWS).structured_pruning(amount=0.5)
    assert pruned.changes[0] == told
    assert "0: 16 -> 8 channels" in pruned.changes
    assert told in ModelPruner(model).magnitude_pruning(0.5).changes
    assert LowRankDecomposition.apply_to_model(model, 0.25, multiple=1).changes[:1] == (told,)
    layers = LowRankDecomposition.decompose_linear(model[0], 0.25)  # type: ignore[arg-type]
    assert isinstance(layers, nn.Sequential)
    assert told in make_plan(model, load_profile("mobile")).warnings


def test_a_model_with_norms_is_exported_with_plain_weights(tmp_path: Path) -> None:
    model = _net(NORMS["spectral norm as a hook"][0], NORMS["weight norm"][0]).eval()
    overrides = ["quantization.enabled=false", "cpu.runs=10"]
    bundle = compress(model, calibration=[ROWS], output=tmp_path / "o", overrides=overrides)
    session = open_session(bundle.artifact, 1)
    (outputs,) = session.run(None, {session.get_inputs()[0].name: ROWS.numpy()})
    torch.testing.assert_close(torch.from_numpy(outputs), model(ROWS).detach())
