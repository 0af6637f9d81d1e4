"""Scales and zero points of whole networks agree with the observers of ``torch.ao`` on the same data."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import Any

import numpy as np
import onnx_ir as ir
import pytest
import torch
from torch import nn
from torch.ao.quantization import get_default_qconfig
from torch.nn.utils.fusion import fuse_conv_bn_eval

from edgecompress.calibration.schemes import weight_params
from edgecompress.data.splits import Streams
from edgecompress.exporters.graph import constant
from edgecompress.loading.sources import open_batches
from edgecompress.pipeline.fold import convert
from edgecompress.recipe.tables import Export, Quantization, Recipe
from edgecompress.runtime import open_session
from edgecompress.techniques.context import Context
from tests.networks import ConvNet, LinearStack, ResidualNet, images, seeded, vectors

pytestmark = [
    pytest.mark.filterwarnings("ignore:.*deprecated:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:Please use quant_min and quant_max:UserWarning"),  # torch's own default qconfig
]
NETWORKS: list[tuple[type[nn.Module], Callable[..., Any]]] = [
    (ConvNet, images),
    (ResidualNet, images),
    (LinearStack, vectors),
]


def _observer(scheme: str, role: str) -> Any:
    """PyTorch's own observer for ``activation`` or ``weight`` under a scheme."""
    return getattr(get_default_qconfig(scheme), role)()  # type: ignore[no-untyped-call]


def _quantized(kind: type[nn.Module], batches: list[Any], scheme: str, granularity: str) -> tuple[ir.Model, ir.Model]:
    """The float graph that was calibrated, and the quantized one."""
    network = seeded(kind)
    table = Quantization.model_validate(
        {"enabled": True, "scheme": scheme, "granularity": granularity, "integer_entry": True}
    )
    recipe = Recipe(quantization=table, export=Export(simplify=False))
    data = open_batches(batches, "calibration", network, recipe)
    done = convert(network, Context(recipe=recipe, example=data.first(), streams=Streams(calibration=data))).done
    return done[-2].result.model, done[-1].result.model


def _activations(model: ir.Model, names: list[str], batches: list[Any]) -> Iterator[dict[str, torch.Tensor]]:
    """What the float graph computes, batch for batch."""
    watched = model.clone()
    values = {str(value.name): value for node in watched.graph for value in node.outputs}
    watched.graph.outputs.clear()
    watched.graph.outputs.extend(values[name] for name in names if name in values)
    session = open_session(watched, threads=1)
    entry = str(watched.graph.inputs[0].name)
    for inputs, _ in batches:
        outputs = session.run(None, {entry: inputs.numpy()})
        found = dict(zip([str(value.name) for value in watched.graph.outputs], outputs, strict=True))
        yield {name: torch.from_numpy(array) for name, array in found.items()} | {entry: inputs}


def _stored(model: ir.Model, name: str) -> np.ndarray[Any, Any]:
    array = constant(model.graph.initializers[name])
    assert array is not None
    return array


def _zero_point(model: ir.Model, name: str) -> np.ndarray[Any, Any]:
    reader, _ = next(iter(model.graph.initializers[f"{name}/scale"].uses()))
    array = constant(reader.inputs[2])
    assert array is not None
    return array


@pytest.mark.parametrize(("kind", "make"), NETWORKS)
@pytest.mark.parametrize("scheme", ["fbgemm", "qnnpack"])
def test_activations_have_the_observer_s_scale_and_zero_point(
    kind: type[nn.Module], make: Callable[..., Any], scheme: str
) -> None:
    # One batch: torch.ao's histogram then has the extent of the data, as ours always has.
    batches = make(rows=8, batches=1)
    float_model, quantized = _quantized(kind, batches, scheme, "per_channel")
    names = [name.removesuffix("/scale") for name in quantized.graph.initializers if name.endswith("/scale")]
    names = [name for name in names if not name.endswith(("/weight", "/bias"))]
    for values in _activations(float_model, names, batches):
        assert set(names) <= set(values)
        for name in names:
            observer = _observer(scheme, "activation")
            observer(values[name])
            scale, zero_point = observer.calculate_qparams()
            np.testing.assert_allclose(_stored(quantized, f"{name}/scale"), scale.item(), rtol=1e-6, err_msg=name)
            assert _zero_point(quantized, name) == int(zero_point), name


@pytest.mark.parametrize(("kind", "make"), NETWORKS)
def test_several_batches_come_close_to_the_observer(kind: type[nn.Module], make: Callable[..., Any]) -> None:
    # torch.ao spreads its histogram anew when a batch widens the extent, which moves counts between bins:
    # its range is known to a few of its 2048 bins only, and 1 % of the range are twenty.
    batches = make(rows=8, batches=3)
    float_model, quantized = _quantized(kind, batches, "qnnpack", "per_channel")
    names = [name.removesuffix("/scale") for name in quantized.graph.initializers if name.endswith("/scale")]
    names = [name for name in names if not name.endswith(("/weight", "/bias"))]
    observers = {name: _observer("qnnpack", "activation") for name in names}
    for values in _activations(float_model, names, batches):
        for name in names:
            observers[name](values[name])
    for name in names:
        scale, zero_point = observers[name].calculate_qparams()
        np.testing.assert_allclose(_stored(quantized, f"{name}/scale"), scale.item(), rtol=0.01, err_msg=name)
        assert abs(int(_zero_point(quantized, name)) - int(zero_point)) <= 2, name


def _folded(network: nn.Module) -> dict[str, torch.Tensor]:
    """The weights of convolutions and linear layers, batch norms folded in, by the name of the layer."""
    weights = {}
    network = copy.deepcopy(network)
    for name, part in network.named_modules():
        if isinstance(part, nn.Linear):
            weights[name] = part.weight.detach()
        if not isinstance(part, nn.Sequential):
            continue
        layers = list(part.named_children())
        for (own, layer), (_, following) in pairwise(layers):
            if isinstance(layer, nn.Conv2d) and isinstance(following, nn.BatchNorm2d):
                weights[f"{name}.{own}"] = fuse_conv_bn_eval(layer, following).weight.detach()
    return weights


@pytest.mark.parametrize(("kind", "make"), NETWORKS)
@pytest.mark.parametrize(("scheme", "granularity"), [("fbgemm", "per_channel"), ("qnnpack", "per_tensor")])
def test_weights_have_the_observer_s_scales(
    kind: type[nn.Module], make: Callable[..., Any], scheme: str, granularity: str
) -> None:
    _, quantized = _quantized(kind, make(rows=8, batches=1), scheme, granularity)
    layers = _folded(seeded(kind))
    assert layers
    for name, weight in layers.items():
        observer = _observer(scheme, "weight")
        observer(weight)
        scale, zero_point = observer.calculate_qparams()
        stored = _stored(quantized, f"{name}/weight/scale")
        # Folding batch norm rounds differently in PyTorch and in the exporter, by some float32 steps.
        np.testing.assert_allclose(stored, scale.reshape(stored.shape), rtol=2e-6, err_msg=name)
        assert not _zero_point(quantized, f"{name}/weight").any()
        assert not zero_point.any()


@pytest.mark.parametrize(("scheme", "axis"), [("fbgemm", 0), ("qnnpack", None)])
def test_the_same_weight_has_exactly_the_observer_s_scale(scheme: str, axis: int | None) -> None:
    weight = torch.randn(16, 8, 3, 3, generator=torch.Generator().manual_seed(0))
    observer = _observer(scheme, "weight")
    observer(weight)
    scale, _ = observer.calculate_qparams()
    ours = weight_params(weight.numpy(), axis).scale
    np.testing.assert_array_almost_equal_nulp(ours, scale.reshape(ours.shape).numpy(), nulp=1)
