"""The batch axes of networks whose layout is known, and the batch that cannot vary."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import onnx
import onnx_ir as ir
import pytest
import torch
from torch import Tensor, nn

from edgecompress.arrays import SHARED
from edgecompress.axes.batch import Settled, settle_batch
from edgecompress.errors import RecipeError
from edgecompress.recipe.tables import Export, Recipe
from edgecompress.runtime import declared_shapes
from tests.networks import ConvNet, seeded


class _Recurrent(nn.Module):
    """States as PyTorch's own layers take them: (layers, batch, hidden)."""

    def __init__(self, *, batch_first: bool = True) -> None:
        super().__init__()
        self.gru = nn.GRU(5, 6, num_layers=2, batch_first=batch_first)

    def forward(self, x: Tensor, h: Tensor) -> tuple[Tensor, Tensor]:
        y, h = self.gru(x, h)
        return y, h


class _Rated(nn.Module):
    """A sample rate is one number for all samples."""

    def forward(self, x: Tensor, rate: Tensor) -> Tensor:
        return x * float(rate)


class _OneStream(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x.view(1, 5).cumsum(1)


class _Pairs(nn.Module):
    """Every image is held against every text: the samples of a batch mix."""

    def forward(self, image: Tensor, text: Tensor) -> Tensor:
        return image @ text.T


class _Looked(nn.Module):
    def forward(self, ids: Tensor, place: Tensor) -> Tensor:
        return (ids + place).float().cumsum(1)


def _settled(model: nn.Module | ir.Model, *inputs: Tensor, **export: Any) -> tuple[Settled, list[str]]:
    warnings: list[str] = []
    recipe = Recipe(export=Export(**export))
    return settle_batch(model, lambda: [(inputs, None)], "calibration", recipe, warnings.append), warnings


@pytest.mark.parametrize(
    ("make", "inputs", "axes"),
    [
        (_Recurrent, [(4, 7, 5), (2, 4, 6)], {"h": 1}),
        (_Recurrent, [(1, 7, 5), (2, 1, 6)], {"h": 1}),
        (_Recurrent, [(2, 2, 5), (2, 2, 6)], {"h": 1}),
        (lambda: _Recurrent(batch_first=False), [(7, 4, 5), (2, 4, 6)], {"x": 1, "h": 1}),
        (lambda: _Recurrent(batch_first=False), [(7, 1, 5), (2, 1, 6)], {"x": 1, "h": 1}),
        (_Rated, [(4, 3), ()], {}),
        (_Rated, [(1, 3), (1,)], {"rate": SHARED}),
        (_Rated, [(1, 2), (1,)], {"rate": SHARED}),
        (_Pairs, [(4, 8), (4, 8)], {}),
        (_Looked, [(4, 6), (6,)], {"place": SHARED}),
        (lambda: seeded(ConvNet), [(4, 3, 16, 16)], {}),
        (lambda: seeded(ConvNet), [(1, 3, 16, 16)], {}),
    ],
)
def test_the_axis_along_which_samples_do_not_depend_on_each_other(
    make: Callable[[], nn.Module], inputs: list[tuple[int, ...]], axes: dict[str, int]
) -> None:
    torch.manual_seed(0)
    settled, warnings = _settled(make(), *(torch.rand(shape) + 1 for shape in inputs))
    assert settled.recipe.export.batch_axes == axes
    assert settled.recipe.export.batch_size is None
    assert not warnings


def test_a_batch_that_cannot_vary_is_fixed_and_that_is_said() -> None:
    settled, warnings = _settled(_OneStream(), torch.rand(1, 5))
    assert settled.recipe.export.batch_size == 1
    assert warnings == ["the model takes one sample at a time, and no other number; the batch is fixed at 1"]


def test_a_batch_that_the_recipe_fixes_is_no_news() -> None:
    settled, warnings = _settled(_OneStream(), torch.rand(1, 5), batch_size=1)
    assert settled.recipe.export.batch_size == 1
    assert not warnings


def test_a_network_that_does_not_run_is_left_to_the_check_of_the_first_batch() -> None:
    settled, warnings = _settled(seeded(ConvNet), torch.rand(4, 5))
    assert settled.recipe == Recipe()
    assert not warnings


@pytest.mark.filterwarnings("error")
def test_a_network_that_answers_nan_is_left_to_the_check_of_the_first_batch() -> None:
    network = seeded(ConvNet)
    with torch.no_grad():
        for weight in network.parameters():
            weight.fill_(torch.nan)
    settled, warnings = _settled(network, torch.randn(4, 3, 16, 16))
    assert (settled.recipe.export.batch_axes, warnings) == ({}, [])


def test_what_the_recipe_says_is_not_searched_for() -> None:
    settled, _ = _settled(_Pairs(), torch.rand(4, 8), torch.rand(4, 8), batch_axes={"text": SHARED})
    assert settled.recipe.export.batch_axes == {"text": SHARED}


def test_an_axis_that_holds_no_samples_is_refused() -> None:
    with pytest.raises(RecipeError) as caught:
        _settled(_Recurrent(), torch.rand(1, 7, 5), torch.rand(2, 1, 6), batch_axes={"h": 0})
    assert str(caught.value) == (
        "export.batch_axes.h is 0, where the model takes one number of samples only; the samples of 'h' lie along"
        " axis 1"
    )


def test_the_network_is_not_modified() -> None:
    model = seeded(ConvNet).train()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    _settled(model, torch.rand(4, 3, 16, 16))
    assert all(part.training for part in model.modules())
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


ADDED = """<ir_version: 10, opset_import: ["" : 18]>
agraph (float[{x}] x, float[{h}] h) => (float[a, b, c] y) {{
    t = Transpose<perm=[1, 0, 2]>(h)
    r = Reshape(t, rows)
    m = ReduceMean<keepdims=1>(r, axes)
    y = Concat<axis=1>(x, m)
}}"""


def _added(x: str, h: str) -> ir.Model:
    """``x`` of shape (batch, time, 3) with the mean over the layers of ``h``, (layers, batch, 3), behind it."""
    text = ADDED.format(x=x, h=h).replace("{\n", "<int64[1] axes = {1}, int64[3] rows = {-1, 2, 3}> {\n", 1)
    return ir.from_onnx_text(text)


@pytest.mark.parametrize(
    ("x", "h"),
    [("batch,time,3", "2,batch,3"), ("x_0,x_1,3", "h_0,h_1,3"), ("4,7,3", "2,4,3")],
)
def test_dimensions_of_a_file_tell_where_the_batch_lies(x: str, h: str) -> None:
    settled, warnings = _settled(_added(x, h), torch.rand(4, 7, 3), torch.rand(2, 4, 3))
    assert settled.recipe.export.batch_axes == {"h": 1}
    assert not warnings


def test_a_file_whose_state_is_declared_for_one_stream_is_fixed_at_one() -> None:
    settled, warnings = _settled(_added("batch,time,3", "2,1,3"), torch.rand(1, 7, 3), torch.rand(2, 1, 3))
    assert settled.recipe.export.batch_size == 1
    assert len(warnings) == 1
    assert declared_shapes(settled.network) == {"x": (1, "time", 3), "h": (2, 1, 3)}


def test_an_onnx_model_declares_the_batch_size_that_the_recipe_asks_for() -> None:
    text = '<ir_version: 10, opset_import: ["": 20]> m (float[N,5] x) => (float[N,5] y) { h = Relu(x) y = Neg(h) }'
    model = ir.from_proto(onnx.parser.parse_model(text))
    settled, warnings = _settled(model, torch.rand(4, 5), batch_size=2)
    assert not warnings
    assert declared_shapes(settled.network) == {"x": (2, 5)}
    assert isinstance(settled.network, ir.Model)
    assert [list(value.shape or ()) for value in settled.network.graph.outputs] == [[2, 5]]
    assert declared_shapes(model) == {"x": ("N", 5)}
