"""A fault that is planted in a step ends the run at that very step."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx_ir as ir
import pytest
import torch
from torch import Tensor, nn

from edgecompress import ModelPruner
from edgecompress.calibration import QuantParams, Scheme, Sharing
from edgecompress.calibration.freshness import UNREPEATABLE
from edgecompress.data.splits import Streams
from edgecompress.errors import DataError, EdgecompressError, ParityError
from edgecompress.exporters.canonicalize.batch_norms import convolve_batch_norms
from edgecompress.loading.sources import open_batches
from edgecompress.pipeline.fold import convert
from edgecompress.progress import Progress
from edgecompress.pruning.channels.structured import cut_out, examine
from edgecompress.pruning.structure.analysis import Channels
from edgecompress.recipe.tables import Cpu, Export, Quantization, Recipe
from edgecompress.registry import OBSERVERS, find
from edgecompress.runtime import signature, to_bytes
from edgecompress.step import Conversion, Stage, StepResult
from edgecompress.techniques.context import Context
from edgecompress.validation import gather
from tests.networks import ConvNet, ResidualNet, images, seeded

RECIPE = Recipe(
    quantization=Quantization(enabled=True, adaround=False, bias_correction=False), export=Export(simplify=False)
)
FLOAT = Recipe(export=Export(simplify=False))
Run = Callable[..., Any]


class TwoHeads(nn.Module):
    """Two outputs of one shape."""

    def __init__(self) -> None:
        super().__init__()
        self.body = seeded(ConvNet)
        self.other = seeded(ConvNet, seed=1)

    def forward(self, image: Tensor) -> dict[str, Tensor]:
        return {"sign": self.body(image), "mirror": -2 * self.other(image)}


class Difference(nn.Module):
    """Two inputs of one shape, whose order counts."""

    def forward(self, left: Tensor, right: Tensor) -> Tensor:
        return torch.relu(left) - right


def _convert(network: nn.Module, recipe: Recipe, data: Any = None, sharing: Sharing | None = None) -> Conversion:
    batches = open_batches(images() if data is None else data, "calibration", network, recipe)
    streams = Streams(calibration=batches)
    return convert(network, Context(recipe=recipe, example=batches.first(), streams=streams, sharing=sharing))


def _raises_if(told: bool, kind: type[Exception], message: str) -> AbstractContextManager[object]:
    return pytest.raises(kind, match=message) if told else nullcontext()


def _plant(monkeypatch: pytest.MonkeyPatch, place: str, name: str, fault: Callable[[Run], Run]) -> None:
    module = importlib.import_module(place)
    monkeypatch.setattr(module, name, fault(getattr(module, name)))


def _spoiling(change: Callable[[ir.Model], None]) -> Callable[[Run], Run]:
    """A fault in a function that makes a model, or a step's result with one."""

    def fault(run: Run) -> Run:
        def spoiled(*args: Any, **kwargs: Any) -> Any:
            made = run(*args, **kwargs)
            change(made.model if isinstance(made, StepResult) else made)
            return made

        return spoiled

    return fault


def _drop(kind: str) -> Callable[[ir.Model], None]:
    """Let the readers of a node read what the node reads, where the shape stays."""

    def change(model: ir.Model) -> None:
        node = next(node for node in reversed(model.graph) if node.op_type == kind and _same_shape(node))
        source = node.inputs[0]
        assert source is not None
        for user, place in tuple(node.outputs[0].uses()):
            user.replace_input_with(place, source)

    return change


def _same_shape(node: ir.Node) -> bool:
    source, result = node.inputs[0], node.outputs[0]
    return source is not None and (node.op_type == "Relu" or source.shape == result.shape)


def _swap_outputs(model: ir.Model) -> None:
    first, second = model.graph.outputs
    model.graph.outputs.clear()
    model.graph.outputs.extend([second, first])


def _swap_input_names(model: ir.Model) -> None:
    first, second = model.graph.inputs
    first.name, second.name = "swapped", first.name
    first.name = "right"


def test_without_a_fault_nothing_is_refused() -> None:
    for network in (seeded(ConvNet), seeded(ResidualNet), TwoHeads().eval()):
        assert _convert(network, RECIPE).done[-1].agreement.sqnr_db > 10


@pytest.mark.parametrize("kind", ["Relu", "Conv"])
@pytest.mark.parametrize(("step", "function"), [("export", "to_onnx"), ("canonicalize", "canonicalize")])
def test_a_dropped_layer(step: str, function: str, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    network = seeded(ConvNet) if kind == "Relu" else seeded(ResidualNet)
    _plant(monkeypatch, "edgecompress.pipeline.to_onnx", function, _spoiling(_drop(kind)))
    with pytest.raises(ParityError, match=f"step '{step}' changed what the model computes"):
        _convert(network, FLOAT)


def test_a_layer_that_simplification_drops(monkeypatch: pytest.MonkeyPatch) -> None:
    def fault(_run: Run) -> Run:
        def dropping(model: ir.Model) -> StepResult[ir.Model]:
            copy = model.clone()
            _drop("Relu")(copy)
            return StepResult(model=copy)

        return dropping

    _plant(monkeypatch, "edgecompress.pipeline.to_onnx", "simplify", fault)
    with pytest.raises(ParityError, match="step 'simplify' changed what the model computes"):
        _convert(seeded(ConvNet), Recipe())


@pytest.mark.parametrize(
    ("step", "place", "function", "recipe"),
    [
        ("export", "edgecompress.pipeline.to_onnx", "to_onnx", FLOAT),
        ("quantize", "edgecompress.techniques.steps.quantization", "quantize_static", RECIPE),
    ],
)
def test_swapped_outputs(step: str, place: str, function: str, recipe: Recipe, monkeypatch: pytest.MonkeyPatch) -> None:
    _plant(monkeypatch, place, function, _spoiling(_swap_outputs))
    with pytest.raises(ParityError, match=f"step '{step}' changed what the model computes"):
        _convert(TwoHeads().eval(), recipe)


def test_swapped_input_names(monkeypatch: pytest.MonkeyPatch) -> None:
    _plant(monkeypatch, "edgecompress.pipeline.to_onnx", "to_onnx", _spoiling(_swap_input_names))
    data = [((torch.randn(4, 8), torch.randn(4, 8)), None)]
    with pytest.raises(ParityError, match="step 'export' changed what the model computes"):
        _convert(Difference(), FLOAT, data)


def test_a_batch_norm_that_is_folded_without_its_mean(monkeypatch: pytest.MonkeyPatch) -> None:
    def change(model: ir.Model) -> None:
        conv = next(node for node in model.graph if node.op_type == "Conv" and len(node.inputs) > 2)
        bias = conv.inputs[2]
        assert bias is not None
        assert bias.const_value is not None
        bias.const_value = ir.tensor(0 * bias.const_value.numpy(), name=bias.name)

    _plant(monkeypatch, "edgecompress.pipeline.to_onnx", "to_onnx", _spoiling(change))
    with pytest.raises(ParityError, match="step 'export' changed what the model computes"):
        _convert(seeded(ConvNet), FLOAT)
    assert callable(convolve_batch_norms)


def test_a_step_whose_model_answers_nothing_that_is_a_number(monkeypatch: pytest.MonkeyPatch) -> None:
    def change(model: ir.Model) -> None:
        for value in model.graph.initializers.values():
            if value.const_value is not None and value.const_value.dtype == ir.DataType.FLOAT:
                value.const_value = ir.tensor(np.nan * value.const_value.numpy(), name=value.name)

    _plant(monkeypatch, "edgecompress.pipeline.to_onnx", "to_onnx", _spoiling(change))
    with pytest.raises(ParityError, match="step 'export' changed what the model computes"):
        _convert(seeded(ConvNet), FLOAT)


def test_statistics_of_another_model(tmp_path: Path) -> None:
    sharing = Sharing(file=tmp_path / "statistics.npz")
    _convert(seeded(ConvNet), RECIPE, sharing=sharing)
    with pytest.raises(DataError, match="belong to another model or other tensors; delete the file"):
        _convert(seeded(ConvNet, seed=1), RECIPE, sharing=sharing)


def test_integers_that_always_answer_zero(monkeypatch: pytest.MonkeyPatch) -> None:
    def silence(model: ir.Model) -> None:
        for name, value in model.graph.initializers.items():
            if name.endswith("/q"):
                value.const_value = ir.tensor(0 * value.const_value.numpy(), name=name)  # type: ignore[union-attr]

    network = nn.Sequential(nn.Conv2d(3, 4, 3, bias=False), nn.ReLU(), nn.Conv2d(4, 4, 3, bias=False)).eval()
    _plant(monkeypatch, "edgecompress.techniques.steps.quantization", "quantize_static", _spoiling(silence))
    with pytest.raises(ParityError, match=r"step 'quantize' changed what the model computes: 0\.0 dB agreement"):
        _convert(network, RECIPE)


def test_statistics_of_other_data(tmp_path: Path) -> None:
    sharing = Sharing(file=tmp_path / "statistics.npz")
    _convert(seeded(ConvNet), RECIPE, sharing=sharing)
    with pytest.raises(DataError, match="belong to other calibration data: batch 0 is not the one that was counted"):
        _convert(seeded(ConvNet), RECIPE, images(seed=1), sharing=sharing)


def test_a_mask_that_is_not_applied(monkeypatch: pytest.MonkeyPatch) -> None:
    pruner = ModelPruner(seeded(ConvNet))
    pruner.magnitude_pruning(0.5)
    monkeypatch.setattr(Tensor, "masked_fill_", lambda weight, _keep, _value: weight)  # nothing is written
    with pytest.raises(EdgecompressError, match=r"'features\.0\.weight' is not zero where its mask is"):
        pruner.apply_masks()


@pytest.mark.parametrize("factor", [1 / 8, 8, 1.1])
@pytest.mark.parametrize("name", ["fbgemm", "qnnpack"])
def test_a_scale_of_an_activation_that_is_wrong(name: str, factor: float, monkeypatch: pytest.MonkeyPatch) -> None:
    def fault(run: Run) -> Run:
        def wrong(*args: Any) -> QuantParams:
            params: QuantParams = run(*args)
            return replace(params, scale=np.asarray(params.scale * factor, np.float32))

        return wrong

    monkeypatch.setattr(Scheme, "activation_params", fault(Scheme.activation_params))
    recipe = RECIPE.model_copy(update={"quantization": RECIPE.quantization.model_copy(update={"scheme": name})})
    with pytest.raises(EdgecompressError, match=r"the integers of tensor '.*' stand for .*, where .* was decided"):
        _convert(seeded(ConvNet), recipe)


@pytest.mark.parametrize(
    ("factor", "told"), [(1 / 8, r"clips tensor '.*' to .* times the error of no clipping"), (8, r"gives tensor '.*'")]
)
@pytest.mark.parametrize("observer", ["min_max", "mse", "histogram"])
def test_a_range_that_is_not_that_of_what_was_seen(
    observer: str, factor: float, told: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def wrong(*args: Any) -> tuple[float, float]:
        low, high = observe(*args)
        return factor * low, factor * high

    observe = find(OBSERVERS, observer)
    monkeypatch.setattr(f"edgecompress.calibration.observers.{observer}.find_range", wrong)
    recipe = RECIPE.model_copy(update={"quantization": RECIPE.quantization.model_copy(update={"observer": observer})})
    with pytest.raises(EdgecompressError, match=f"observer '{observer}' {told}"):
        _convert(seeded(ConvNet), recipe)


@pytest.mark.parametrize(
    ("part", "change"),
    [
        ("params", lambda params: {"scale": np.asarray(params.scale * np.float32(8))}),
        ("params", lambda params: {"zero_point": (params.zero_point + 1).astype(params.dtype)}),
        ("weights", lambda params: {"scale": np.asarray(params.scale * np.float32(8))}),
        ("weights", lambda params: {"scale": np.asarray(params.scale / np.float32(8))}),
    ],
)
def test_a_scale_in_the_file_that_is_not_the_one_decided_on(
    part: str, change: Callable[[QuantParams], dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fault(run: Run) -> Run:
        def wrong(*args: Any) -> Any:
            decided = dict(zip(("model", "placement", "params", "weights"), args, strict=True))
            changed = {name: replace(params, **change(params)) for name, params in decided[part].items()}
            return run(**{**decided, part: changed})

        return wrong

    _plant(monkeypatch, "edgecompress.quantization.lowering", "insert_qdq", fault)
    monkeypatch.setattr("edgecompress.techniques.steps.quantization.GARBAGE_DB", -200.0)
    with pytest.raises(EdgecompressError, match=r"has another scale than was decided|stand for another weight"):
        _convert(seeded(ConvNet), RECIPE)


def test_statistics_that_are_stale(monkeypatch: pytest.MonkeyPatch) -> None:
    network = seeded(ConvNet)
    other = open_batches(images(seed=1), "calibration", network, RECIPE)

    def fault(run: Run) -> Run:
        def stale(model: Any, tensors: Any, batches: Any, *rest: Any) -> Any:
            return run(model, tensors, replace(other, signature=batches.signature), *rest)

        return stale

    _plant(monkeypatch, "edgecompress.quantization.static", "collect", fault)
    with pytest.raises(DataError) as caught:
        _convert(network, RECIPE)
    assert str(caught.value) == (
        "the statistics are of other calibration data: batch 0 is not the one that was counted; give data that repeats"
        " itself"
    )


def test_calibration_data_that_does_not_repeat_itself_is_told() -> None:
    def drawn() -> Iterator[Tensor]:
        yield torch.randn(16, 3, 16, 16)

    assert _convert(seeded(ConvNet), RECIPE, drawn).done[-1].result.warnings == (UNREPEATABLE,)


@pytest.mark.parametrize("place", ["edgecompress.pruning.structure.surgery", "edgecompress.pruning.structure.groups"])
def test_other_channels_removed_than_were_chosen(place: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """In the surgery alone, or in what it shares with the oracle that it is compared with."""
    function = "cut" if place.endswith("surgery") else "kept_by_axis"

    def fault(run: Run) -> Run:
        def wrong(channels: Channels, gone: Tensor) -> Any:
            return run(channels, gone.roll(1))

        def wrong_cut(tensor: Tensor, channels: Channels, gone: Tensor) -> Any:
            return run(tensor, channels, gone.roll(1))

        return wrong_cut if function == "cut" else wrong

    subject = examine(seeded(ConvNet), (images()[0][0],))
    units = [unit for group in subject.groups for unit in group.units[:3]]
    assert cut_out(subject, units).removed
    for module in (place, "edgecompress.pruning.structure.zeroed_channels"):
        if function == "kept_by_axis" or module == place:
            _plant(monkeypatch, module, function, fault)
    with pytest.raises(EdgecompressError, match=r"was left with other channels than were chosen"):
        cut_out(subject, units)


def test_labels_shifted_by_one() -> None:
    torch.manual_seed(0)
    network = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(3, 10, bias=False)).eval()
    answers = [network(image).argmax(1) for image, _ in images()]
    conversion = _convert(network, FLOAT)
    stages = [Stage(name=name, content=to_bytes(model)) for name, model in conversion.stages]
    for shift in (0, 1, -1):
        data = [(image, (answer + shift) % 10) for (image, _), answer in zip(images(), answers, strict=True)]
        batches = replace(open_batches(data, "evaluation", network, FLOAT), signature=signature(conversion.artifact))
        with _raises_if(shift != 0, DataError, "the labels of the evaluation data are shifted by one"):
            assert gather(stages, batches, Cpu(runs=10), Progress()).doubts == ()
