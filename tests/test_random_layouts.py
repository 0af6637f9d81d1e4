"""Random layouts of inputs and states, from the network to a bundle whose every output is right."""

from __future__ import annotations

import io
import warnings
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import onnx
import onnx_ir as ir
import onnxruntime
import torch
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

import edgecompress
from edgecompress.arrays import SHARED
from edgecompress.bundle import selftest

CLASSES, CHANNELS, TIME, LAYERS, HIDDEN = 5, 6, 7, 2, 8
QUICK = ('export.formats=["onnx"]', "export.simplify=false", "cpu.runs=10", "cpu.threads=1", "report.examples=0")
Outputs = list[np.ndarray[Any, Any]]


class _Layout(nn.Module):
    """A step of a stream: features, a state and a gain give scores and the next state, laid out as they came."""

    def __init__(self, x_axis: int, h_axis: int) -> None:
        super().__init__()
        self.x_axis, self.h_axis = x_axis, h_axis
        self.conv = nn.Conv1d(CHANNELS, HIDDEN, 3, padding=1)
        self.mix = nn.Linear(HIDDEN, HIDDEN)
        self.out = nn.Linear(HIDDEN, CLASSES)

    def forward(self, x: Tensor, h: Tensor, gain: Tensor) -> tuple[Tensor, Tensor]:
        features = self.conv(x.movedim(self.x_axis, 0)).relu().mean(2)
        state = self.mix(h.movedim(self.h_axis, 0)).tanh() + features[:, None]
        return self.out(state.sum(1)) * gain, state.movedim(0, self.h_axis)

    def draw(self, rows: int, gain: tuple[int, ...], seed: int) -> tuple[Tensor, ...]:
        generator = torch.Generator().manual_seed(seed)
        x = torch.randn(rows, CHANNELS, TIME, generator=generator).movedim(0, self.x_axis)
        h = torch.randn(rows, LAYERS, HIDDEN, generator=generator).movedim(0, self.h_axis)
        return x.contiguous(), h.contiguous(), torch.full(gain, 0.5)


def _as_file(model: _Layout, inputs: tuple[Tensor, ...]) -> ir.Model:
    """As the older exporter writes it, with names for the dimensions."""
    buffer = io.BytesIO()
    axes = {"x": {model.x_axis: "batch"}, "h": {model.h_axis: "batch"}, "h2": {model.h_axis: "batch"}}
    names = {"input_names": ["x", "h", "gain"], "output_names": ["y", "h2"]}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the older exporter is deprecated
        torch.onnx.export(model, inputs, buffer, dynamo=False, dynamic_axes=axes, opset_version=17, **names)  # type: ignore[arg-type]
    return ir.from_proto(onnx.load_from_string(buffer.getvalue()))


def _run(session: onnxruntime.InferenceSession, inputs: tuple[Tensor, ...]) -> Outputs:
    feed = {name: value.numpy() for name, value in zip(("x", "h", "gain"), inputs, strict=True)}
    outputs: Outputs = session.run(None, feed)
    return outputs


@settings(max_examples=4, phases=[Phase.generate])
@given(
    x_axis=st.integers(0, 2),
    h_axis=st.integers(0, 2),
    gain=st.sampled_from([(), (1,)]),
    rows=st.integers(1, 4),
    as_file=st.booleans(),
    integers=st.booleans(),
    seed=st.integers(0, 2**16),
)
def test_every_layout_becomes_a_bundle(
    x_axis: int, h_axis: int, gain: tuple[int, ...], rows: int, as_file: bool, integers: bool, seed: int
) -> None:
    torch.manual_seed(seed)
    model = _Layout(x_axis, h_axis).eval()
    data = [(model.draw(rows, gain, seed + index), None) for index in range(6)]
    given_model = _as_file(model, data[0][0]) if as_file else model
    with TemporaryDirectory() as folder:
        bundle = edgecompress.compress(
            given_model,
            target="mini-pc",
            calibration=data,
            output=Path(folder) / "b",
            overrides=[*QUICK, f"quantization.enabled={integers}".lower()],
        )
        said = bundle.manifest.recipe["export"]["batch_axes"]
        assert {name: said.get(name, 0) for name in ("x", "h")} == {"x": x_axis, "h": h_axis}
        assert said.get("gain", SHARED) == SHARED
        assert selftest.run(bundle.path)["verdict"] == "pass"
        session = onnxruntime.InferenceSession(bundle.artifact, providers=["CPUExecutionProvider"])
    for count in range(1, 5):
        inputs = model.draw(count, gain, seed + 100)
        with torch.no_grad():
            wanted = [output.numpy() for output in model(*inputs)]
        found = _run(session, inputs)
        for want, got in zip(wanted, found, strict=True):
            assert np.linalg.norm(got - want) < (0.3 if integers else 1e-4) * np.linalg.norm(want)
        x, h, factor = inputs
        parts = [_run(session, (x.narrow(x_axis, row, 1), h.narrow(h_axis, row, 1), factor)) for row in range(count)]
        for axis, whole, *alone in zip((0, h_axis), found, *parts, strict=True):
            np.testing.assert_allclose(np.concatenate(alone, axis), whole, atol=1e-5)
