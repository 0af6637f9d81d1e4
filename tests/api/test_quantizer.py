"""Quantized models are called like the original, and have the size of their file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import onnxruntime
import pytest
import torch
from torch import Tensor

from edgecompress import ModelError, Quantizer, RecipeError
from edgecompress.metrics.agreement import Agreement
from tests.networks import ConvNet, LinearStack, TwoInputs, images, seeded, vectors


def _agreement(wanted: Tensor, found: Tensor) -> float:
    return Agreement.between([wanted.detach().numpy()], [found.numpy()]).sqnr_db


@pytest.mark.parametrize("scheme", ["fbgemm", "qnnpack"])
def test_a_static_model_answers_like_the_original(scheme: Any, tmp_path: Path) -> None:
    model = seeded(ConvNet)
    quantized = Quantizer.static_quantize(model, images(), scheme=scheme)
    x = images()[0][0]
    assert _agreement(model(x), quantized(x)) > 25
    assert _agreement(model(x), quantized(image=x)) > 25
    path = quantized.save(tmp_path / "model.onnx")
    assert path.stat().st_size == quantized.size_bytes
    operators = {node.op_type for node in onnxruntime_graph(path)}
    assert "QuantizeLinear" in operators


def onnxruntime_graph(path: Path) -> Any:
    import onnx

    onnxruntime.InferenceSession(path)
    return onnx.load(path).graph.node


def test_outputs_keep_their_structure() -> None:
    features, token = torch.randn(5, 4, generator=torch.Generator().manual_seed(0)), torch.arange(5)
    with pytest.warns(UserWarning, match="there is calibration data of 5 samples only") as told:
        quantized = Quantizer.static_quantize(seeded(TwoInputs), [((features, token), None)])
    assert {Path(one.filename) for one in told} == {Path(__file__)}
    answer = quantized(features, token)
    assert answer.keys() == {"logits", "hidden"}
    assert answer["logits"].shape == (5, 10)


def test_wrong_inputs_are_refused() -> None:
    quantized = Quantizer.static_quantize(seeded(LinearStack), vectors())
    with pytest.raises(ModelError, match=r"^the quantized model takes the inputs features; call it with those$"):
        quantized(torch.zeros(1, 32), torch.zeros(1, 32))
    with pytest.raises(ModelError, match=r"^the quantized model takes the inputs features; call it with those$"):
        quantized(picture=torch.zeros(1, 32))


def test_a_scheme_that_is_not_there_is_one_line() -> None:
    with pytest.raises(RecipeError) as caught:
        Quantizer.static_quantize(seeded(ConvNet), images(), scheme="fbgem")  # type: ignore[arg-type]
    assert str(caught.value) == "expected a value that is 'fbgemm' or 'qnnpack', got 'fbgem' in 'scheme'"


def test_a_target_decides_how_to_quantize() -> None:
    one = Quantizer.post_training_quantize(seeded(ConvNet), images(), target="mobile")
    other = Quantizer.post_training_quantize(seeded(ConvNet), images(), target="edge")
    plain = Quantizer.static_quantize(seeded(ConvNet), images(), scheme="qnnpack")
    assert other.artifact != one.artifact
    assert one.artifact != plain.artifact  # the profile corrects biases
    x = images()[0][0]
    assert _agreement(seeded(ConvNet)(x), one(x)) > _agreement(seeded(ConvNet)(x), plain(x))


def test_dynamic_quantization_takes_linear_layers(tmp_path: Path) -> None:
    model, x = seeded(LinearStack), vectors()[0][0]
    quantized = Quantizer.dynamic_quantize(model, x)
    assert _agreement(model(x), quantized(x)) > 25
    assert quantized.refusals == ()
    floats = sum(parameter.numel() * 4 for parameter in model.parameters())
    assert quantized.size_bytes < floats
    assert quantized.save(tmp_path / "model.onnx").stat().st_size == quantized.size_bytes


def test_dynamic_quantization_says_that_it_leaves_convolutions() -> None:
    quantized = Quantizer.dynamic_quantize(seeded(ConvNet), images()[0][0])
    assert [one.name for one in quantized.refusals] == ["features.0", "features.3"]


def test_a_dynamic_model_without_example_is_captured_at_its_first_call() -> None:
    model, x = seeded(LinearStack), vectors()[0][0]
    quantized = Quantizer.dynamic_quantize(model)
    with pytest.raises(ModelError, match="call it once, or give example_inputs"):
        _ = quantized.size_bytes
    assert _agreement(model(x), quantized(x)) > 25
    assert quantized(x[:1]).shape == (1, 10)
    assert quantized.size_bytes > 0


def test_the_ways_to_quantize_are_compared() -> None:
    evidence = Quantizer.compare_quantization(seeded(ConvNet), images(), images(seed=1))
    assert evidence.keys() == {"fbgemm", "qnnpack", "dynamic"}
    for one in evidence.values():
        assert one.original_accuracy is not None
        assert one.latency.speedup > 0
        assert one.parity.sqnr_db > 20
    assert evidence["qnnpack"].compressed_bytes == evidence["fbgemm"].compressed_bytes
