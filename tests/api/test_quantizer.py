"""Quantized models are called like the original, and have the size of their file."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import onnx
import onnxruntime
import pytest
import torch
from torch import Tensor, nn

from edgecompress import InputError, ModelError, QuantizedModel, Quantizer, Recipe, RecipeError, TargetProfile
from edgecompress.calibration import Demand, Statistics
from edgecompress.metrics.agreement import Agreement
from edgecompress.recipe.tables import Distillation, Export, Quantization
from tests.networks import ConvNet, LinearStack, TwoInputs, images, seeded, uneven, vectors


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
    onnxruntime.InferenceSession(path)
    return onnx.load(path).graph.node


def test_outputs_keep_their_structure() -> None:
    features, token = torch.randn(5, 4, generator=torch.Generator().manual_seed(0)), torch.arange(5)
    with pytest.warns(UserWarning, match="there is calibration data of 5 samples only") as told:
        quantized = Quantizer.static_quantize(seeded(TwoInputs), [((features, token), None)])
    assert {Path(each.filename) for each in told} == {Path(__file__)}
    answer = quantized(features, token)
    assert answer.keys() == {"logits", "hidden"}
    assert answer["logits"].shape == (5, 10)


def test_wrong_inputs_are_refused() -> None:
    quantized = Quantizer.static_quantize(seeded(LinearStack), vectors())
    with pytest.raises(ModelError, match=r"^the quantized model takes the inputs features; call it with those$"):
        quantized(torch.zeros(1, 32), torch.zeros(1, 32))
    with pytest.raises(ModelError, match=r"^the quantized model takes the inputs features; call it with those$"):
        quantized(picture=torch.zeros(1, 32))


def _half(statistics: Statistics, _demand: Demand) -> tuple[float, float]:
    return statistics.histogram.low / 2, statistics.histogram.high / 2


def _made_by(observer: Any, scheme: Any) -> QuantizedModel:
    return Quantizer.static_quantize(nn.Linear(32, 8), vectors(), scheme=scheme, observer=observer)


def _made_from_profile(observer: Any, scheme: Any) -> QuantizedModel:
    recipe = Recipe(quantization=Quantization(enabled=True, scheme=scheme, observer="mse"))
    profile = TargetProfile(name="mine", strategy="quantization", reason="mine", recipe=recipe)
    network = nn.Linear(32, 8)
    return Quantizer.post_training_quantize(network, vectors(), target=profile, observer=observer)


MAKERS = (_made_by, _made_from_profile)


@pytest.mark.parametrize(
    ("make", "scheme", "codes", "observer", "share"),
    [
        (_made_by, "fbgemm", 127, _half, 0.5),
        (_made_by, "qnnpack", 255, "min_max", 1.0),
        (_made_from_profile, "qnnpack", 255, _half, 0.5),
    ],
)
def test_a_name_or_a_function_decides_on_the_ranges(
    make: Callable[[Any, Any], QuantizedModel], scheme: str, codes: int, observer: Any, share: float
) -> None:
    """The codes from 0 to the last one stand for the share of what was seen of the input that the observer says."""
    seen = torch.cat([rows for rows, _ in vectors()])
    low, high = float(seen.min()) * share, float(seen.max()) * share
    graph = onnx.load_from_string(make(observer, scheme).artifact).graph
    constants = {tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in graph.initializer}
    (quantize,) = [node for node in graph.node if node.op_type == "QuantizeLinear" and node.input[0] == "input"]
    scale, zero_point = (constants[name] for name in quantize.input[1:])
    assert float(scale) == pytest.approx((high - low) / codes, rel=1e-6)
    assert int(zero_point) == round(-low * codes / (high - low))


def test_a_function_that_gives_no_range_of_what_was_seen_is_one_line() -> None:
    with pytest.raises(
        RecipeError, match=r"^observer '<lambda>' gives tensor '\w+' 1 to -1, where .*; repair it, or ch"
    ):
        _made_by(lambda *_: (1.0, -1.0), "fbgemm")


@pytest.mark.parametrize("make", MAKERS)
@pytest.mark.parametrize(
    ("observer", "told"),
    [
        (len, "observer 'len' cannot be called with (statistics, demand); give a function of these"),
        ("mes", ", got 'mes' in 'observer'; did you mean 'mse'?"),
        (3, "expected text, got 3 in 'observer'"),
    ],
)
def test_what_is_no_observer_is_told_before_anything_runs(
    make: Callable[[Any, Any], QuantizedModel], observer: Any, told: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("edgecompress.api.quantizer.convert", None)
    with pytest.raises(RecipeError) as caught:
        make(observer, "fbgemm")
    assert str(caught.value).endswith(told)


def test_a_scheme_that_is_not_there_is_one_line() -> None:
    with pytest.raises(RecipeError) as caught:
        Quantizer.static_quantize(seeded(ConvNet), images(), scheme="fbgem")  # type: ignore[arg-type]
    assert (
        str(caught.value)
        == "expected a value that is 'fbgemm' or 'qnnpack', got 'fbgem' in 'scheme'; did you mean 'fbgemm'?"
    )


@pytest.mark.parametrize(
    "table",
    [
        {"scheme": "qnnpack", "granularity": "per_tensor", "observer": "min_max"},
        {"scheme": "fbgemm", "keep_float": ("classifier",), "bias_correction": True},
    ],
)
def test_every_key_of_a_recipe_is_reached(table: dict[str, Any]) -> None:
    recipe = Recipe(quantization=Quantization(**table), export=Export(simplify=False))
    profile = TargetProfile(name="mine", strategy="quantization", reason="mine", recipe=recipe)
    own = Quantizer.static_quantize(seeded(ConvNet), images(), recipe=recipe)
    assert own.artifact == Quantizer.post_training_quantize(seeded(ConvNet), images(), target=profile).artifact
    assert own.artifact != Quantizer.static_quantize(seeded(ConvNet), images()).artifact


def test_what_is_given_goes_before_the_recipe() -> None:
    recipe = Recipe(quantization=Quantization(scheme="qnnpack", granularity="per_tensor", observer="min_max"))
    given: dict[str, Any] = {"scheme": "fbgemm", "granularity": "per_channel", "observer": "histogram"}
    own = Quantizer.static_quantize(seeded(ConvNet), images(), recipe=recipe, **given)
    assert own.artifact == Quantizer.static_quantize(seeded(ConvNet), images()).artifact


def test_a_recipe_that_is_none_is_one_line() -> None:
    with pytest.raises(RecipeError, match=r"^expected a Recipe, got 3 in 'recipe'; make it with parse_recipe$"):
        Quantizer.static_quantize(seeded(ConvNet), images(), recipe=3)  # type: ignore[arg-type]


def test_a_target_decides_how_to_quantize() -> None:
    first = Quantizer.post_training_quantize(seeded(ConvNet), images(), target="mobile")
    other = Quantizer.post_training_quantize(seeded(ConvNet), images(), target="edge")
    plain = Quantizer.static_quantize(seeded(ConvNet), images(), scheme="qnnpack")
    assert other.artifact != first.artifact
    assert first.artifact != plain.artifact  # the profile corrects biases
    x = images()[0][0]
    assert _agreement(seeded(ConvNet)(x), first(x)) > _agreement(seeded(ConvNet)(x), plain(x))


def test_training_with_the_integers_in_place_is_one_call() -> None:
    network, shown = uneven(), [image for image, _ in images(rows=32, batches=4, seed=5)]
    with torch.no_grad():
        labelled = [(image, network(image).argmax(1)) for image in shown]
    before = {name: value.clone() for name, value in network.state_dict().items()}
    asked: dict[str, Any] = {"scheme": "qnnpack", "granularity": "per_tensor"}
    soft = Recipe(distillation=Distillation(alpha=1.0))
    plain = Quantizer.static_quantize(network, shown, **asked)
    trained = Quantizer.train(network, shown, labelled, epochs=6, learning_rate=0.05, recipe=soft, **asked)
    wanted = network(shown[0])
    assert _agreement(wanted, trained(shown[0])) > _agreement(wanted, plain(shown[0])) + 0.5
    assert all(torch.equal(before[name], value) for name, value in network.state_dict().items())


def test_a_loss_of_ones_own_trains() -> None:
    def loss(outputs: Tensor, labels: Tensor) -> Tensor:
        called.append(len(labels))
        return nn.functional.cross_entropy(outputs, labels)

    called: list[int] = []
    Quantizer.train(seeded(ConvNet), images(), images(), epochs=1, loss=loss)
    assert called


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"epochs": 0}, "expected a value that is greater than 0, got 0 in 'epochs'"),
        ({"learning_rate": -1}, "expected a value that is greater than 0, got -1 in 'learning_rate'"),
        ({"train_data": None}, "the train data is None; return an iterable of batches"),
        (
            {"train_data": [x for x, _ in images()]},
            "the first train batch: there are no labels; return (inputs, labels)",
        ),
    ],
)
def test_what_cannot_be_trained_with_is_one_line(given: dict[str, Any], told: str) -> None:
    with pytest.raises(InputError) as caught:
        Quantizer.train(seeded(ConvNet), images(), **{"train_data": images(), **given})
    assert str(caught.value) == told


def test_what_has_no_trained_form_is_named() -> None:
    class Recurrent(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.LSTM(32, 10, batch_first=True)

        def forward(self, features: Tensor) -> Tensor:
            return self.layer(features[:, None])[0][:, 0]  # type: ignore[no-any-return]

    told = r"^LSTM '.*' has no form in PyTorch here; use Quantizer\.static_quantize, which needs none$"
    with pytest.raises(ModelError, match=told):
        Quantizer.train(seeded(Recurrent), vectors(), vectors())


def test_a_training_that_diverges_is_a_warning() -> None:
    told = r"^quantization-aware training was given up: .*; lower learning_rate$"
    with pytest.warns(UserWarning, match=told):
        wild = Quantizer.train(seeded(ConvNet), images(), images(), learning_rate=1e30)
    assert wild.artifact == Quantizer.static_quantize(seeded(ConvNet), images()).artifact


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
    assert [refusal.name for refusal in quantized.refusals] == ["features.0", "features.3"]


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
    for each in evidence.values():
        assert each.original_metric is not None
        assert each.latency.speedup > 0
        assert each.parity.sqnr_db > 20
    assert evidence["qnnpack"].compressed_bytes == evidence["fbgemm"].compressed_bytes
