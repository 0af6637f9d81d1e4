"""Quantization-aware training on the whole road: it learns, and a run that was killed ends with the same file."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnx_ir as ir
import pytest
import torch
from onnx.numpy_helper import to_array
from torch import Tensor, nn

from edgecompress.cli import main
from edgecompress.data.batches import Batches
from edgecompress.data.splits import Streams
from edgecompress.errors import DataError, ModelError
from edgecompress.pipeline.fold import convert, float_original
from edgecompress.pipeline.plan import conversion_steps
from edgecompress.recipe.budgets import Budgets
from edgecompress.recipe.tables import Distillation, Quantization, Recipe
from edgecompress.runtime import Network, to_bytes
from edgecompress.step import Conversion
from edgecompress.techniques.context import Context
from tests.networks import ConvNet, images, seeded, uneven
from tests.ranks import run_twice
from tests.techniques.contexts import NAMES, batches

RECIPE = Recipe(
    distillation=Distillation(alpha=1.0),
    quantization=Quantization(
        enabled=True, granularity="per_tensor", training="always", training_epochs=6, training_rate=0.05
    ),
)
SHOWN = [image for image, _ in images(rows=32, batches=4, seed=5)]


TAUGHT = """
from tests.networks import images, uneven

def net(): return uneven()
def data(): return images(rows=32, batches=4, seed=5)
"""
SHARED = "compress taught.py:net --calibration taught.py:data --train taught.py:data --target mobile"
QUICK = (
    *("export.simplify=false", "export.formats=onnx", "cpu.runs=10", "quantization.placement=table"),
    *("quantization.integer_entry=true", "quantization.granularity=per_tensor", "quantization.training=always"),
    *("quantization.training_epochs=3", "quantization.training_rate=0.05", "quantization.fallback_evaluations=0"),
)


def _labelled(network: nn.Module) -> list[tuple[Tensor, Tensor]]:
    """Images with the network's own answers as labels."""
    with torch.no_grad():
        return [(image, network(image).argmax(1)) for image in SHOWN]


def _context(recipe: Recipe, data: Any, checkpoints: Path | None = None) -> Context:
    train = Batches(role="train", source=lambda: data, inputs=NAMES)
    streams = Streams(calibration=batches("calibration"), train=train)
    return Context(recipe=recipe, example=batches("calibration").first(), streams=streams, checkpoints=checkpoints)


def _converted(network: Network, recipe: Recipe = RECIPE, data: Any = None, at: Path | None = None) -> Conversion:
    return convert(network, _context(recipe, data if data is not None else _labelled(seeded(ConvNet)), at))


def test_training_brings_the_outputs_nearer_to_the_original() -> None:
    network = uneven()
    plain = RECIPE.model_copy(update={"quantization": RECIPE.quantization.model_copy(update={"training": "never"})})
    before, after = (_converted(network, recipe).done[-1] for recipe in (plain, RECIPE))
    assert after.agreement.sqnr_db > before.agreement.sqnr_db + 2
    assert any("of the network that was trained" in change for change in after.result.changes)


def test_an_onnx_model_is_trained_too_with_itself_as_its_teacher() -> None:
    network = seeded(ConvNet)
    floats = float_original(network, Recipe(), batches("calibration").first())
    assert isinstance(floats, ir.Model)
    ending = _converted(floats).done[-1].result.changes
    assert any("of the network that was trained" in change for change in ending)


def test_a_killed_training_ends_with_the_same_file(tmp_path: Path) -> None:
    data = _labelled(seeded(ConvNet))

    class Deadly:
        def __init__(self) -> None:
            self.readings = 0

        def __iter__(self) -> Iterator[Any]:
            self.readings += 1
            for index, batch in enumerate(data):
                if alive is not self and self.readings > 3 and index == 2:
                    raise KeyboardInterrupt
                yield batch

        def __len__(self) -> int:
            return len(data)

    alive: Any = None
    whole = _converted(seeded(ConvNet), data=data)
    with pytest.raises(KeyboardInterrupt):
        _converted(seeded(ConvNet), data=Deadly(), at=tmp_path)
    assert list(tmp_path.rglob("*"))
    resumed = _converted(seeded(ConvNet), data=data, at=tmp_path)
    assert to_bytes(resumed.artifact) == to_bytes(whole.artifact)


def test_two_processes_end_with_the_student_of_one(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Each takes its half of every batch, so that sums round otherwise."""
    (project / "taught.py").write_text(TAUGHT)
    command = [*SHARED.split(), *(part for key in QUICK for part in ("--set", key)), "--output"]
    first, second = run_twice("-m", "edgecompress", *command, "two")
    assert (first.returncode, second.returncode) == (1, 0), first.stderr + second.stderr
    assert (second.stdout, second.stderr) == ("", "")
    assert main([*command, "one"]) == 1, capsys.readouterr().err
    alone, shared = (_constants(Path(name)) for name in ("one", "two"))
    assert alone.keys() == shared.keys()
    for name, array in alone.items():
        apart = np.abs(shared[name].astype(np.float64) - array).max(initial=0)
        assert apart <= (1 if array.dtype == np.int8 else 1e-4), name  # a weight between two codes takes either


def _constants(bundle: Path) -> dict[str, Any]:
    """Those of its model that are INT8 or floats, by name."""
    found = {each.name: to_array(each) for each in onnx.load(bundle / "model.onnx").graph.initializer}
    return {name: array for name, array in found.items() if array.dtype in (np.int8, np.float32)}


def test_a_training_that_diverges_leaves_the_integers_as_they_were() -> None:
    never, wild = (
        RECIPE.quantization.model_copy(update=each) for each in ({"training": "never"}, {"training_rate": 1e30})
    )
    left, given_up = (
        _converted(seeded(ConvNet), RECIPE.model_copy(update={"quantization": quantization}))
        for quantization in (never, wild)
    )
    assert to_bytes(given_up.artifact) == to_bytes(left.artifact)
    (warning,) = (each for each in given_up.done[-1].result.warnings if "training" in each)
    assert re.fullmatch(
        r"quantization-aware training was given up: epoch \d, train batch \d: the (loss|gradient) is (nan|inf);"
        r" lower quantization\.training_rate",
        warning,
    )


@pytest.mark.parametrize(
    ("asked", "least_db", "rate", "outcome"),
    [
        ("if_missed", 1, 0.05, None),
        ("if_missed", 200, 0.05, "network that was trained"),
        ("if_missed", 200, 20.0, "undone, since the model was more accurate before"),
        ("always", 200, 20.0, "undone, since the model was more accurate before"),
    ],
)
def test_the_budget_decides_on_training_where_nothing_may_return_to_float(
    asked: str, least_db: float, rate: float, outcome: str | None
) -> None:
    training = {"training": asked, "training_rate": rate, "fallback_evaluations": 0}
    quantization = RECIPE.quantization.model_copy(update=training)
    recipe = RECIPE.model_copy(update={"quantization": quantization, "budgets": Budgets(min_sqnr_db=least_db)})
    context = _context(recipe, _labelled(seeded(ConvNet)))
    judged = replace(context, streams=replace(context.streams, evaluation=batches("evaluation")))
    changes = convert(uneven(), judged).done[-1].result.changes
    trained = [change for change in changes if change.startswith("trained")]
    assert len(trained) == (outcome is not None)
    assert outcome is None or outcome in trained[0]
    assert not any("fallback" in change for change in changes)


def test_training_that_is_asked_for_needs_data() -> None:
    context = Context(
        recipe=RECIPE, example=batches("calibration").first(), streams=Streams(calibration=batches("calibration"))
    )
    told = "quantization.training=always needs training data; give train (--train), or set quantization.training=never"
    with pytest.raises(DataError, match=f"^{re.escape(told)}$"):
        convert(seeded(ConvNet), context)


def test_what_cannot_be_trained_is_named() -> None:
    class Sampled(ConvNet):
        def forward(self, image: Tensor) -> Tensor:
            grid = torch.linspace(-1, 1, 16).reshape(1, 16, 1, 1).expand(image.shape[0], 16, 16, 2)
            return super().forward(nn.functional.grid_sample(image, grid, align_corners=False))

    told = r"^GridSample .* has no form in PyTorch here; set quantization\.training=never"
    with pytest.raises(ModelError, match=told):
        _converted(seeded(Sampled), data=_labelled(seeded(ConvNet)))


@pytest.mark.parametrize(
    ("asked", "told"), [("always", ", trained"), ("if_missed", ", trained if the accuracy budget does not hold")]
)
def test_the_plan_says_so(asked: str, told: str) -> None:
    recipe = Recipe(quantization=Quantization.model_validate({"enabled": True, "training": asked}))
    *_, last = conversion_steps(seeded(ConvNet), recipe)
    assert told in last.what
