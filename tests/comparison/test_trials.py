"""A float model is measured as it is, and a trial says what a bundle would."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from edgecompress.comparison.trials import measure_float, try_profile
from edgecompress.errors import DataError
from edgecompress.progress import Progress
from edgecompress.recipe.tables import Cpu, Export, Recipe
from edgecompress.targets import effective_profile
from tests.exporters.graphs import draw, graph
from tests.networks import ConvNet, LinearStack, images, seeded, vectors

QUICK = Recipe(cpu=Cpu(runs=20), export=Export(simplify=False))
MOBILE = ("export.simplify=false", "cpu.runs=20", "quantization.adaround=false")


def test_the_float_model_has_the_size_of_its_weights() -> None:
    stack = seeded(LinearStack)
    measured = measure_float(stack, {"calibration": vectors()}, QUICK)
    weights_mb = sum(4 * parameter.numel() for parameter in stack.parameters()) / 1e6
    assert weights_mb < measured.size_mb < weights_mb + 0.005
    assert measured.latency_ms is not None
    assert 0 < measured.latency_ms < 100


def test_an_onnx_model_is_measured_too() -> None:
    batches = [draw(4, 4, 8, 8)]
    model = graph("c = Conv<pads = [1, 1, 1, 1]>(x, w) y = Relu(c)", w=draw(64, 4, 3, 3))
    measured = measure_float(model, {"calibration": batches}, QUICK)
    assert 64 * 4 * 9 * 4 / 1e6 < measured.size_mb < 64 * 4 * 9 * 4 / 1e6 + 0.001
    assert measured.latency_ms is not None
    assert measured.latency_ms > 0


@pytest.mark.parametrize(("asked", "warnings"), [((), 1), (("evaluation.metric",), 0)])
def test_masks_need_another_metric_unless_somebody_asked_for_this(asked: tuple[str, ...], warnings: int) -> None:
    data = {"evaluation": [(torch.zeros(4, 3, 8, 8), torch.ones(4, 8, 8, dtype=torch.int64))]}
    told: list[str] = []
    measure_float(nn.Conv2d(3, 5, 1), data, QUICK, told.append, asked=asked)
    assert [line.endswith("give --metric miou") for line in told] == [True] * warnings


def test_data_that_does_not_fit_is_refused() -> None:
    with pytest.raises(DataError):
        measure_float(seeded(ConvNet), {"calibration": []}, QUICK)


def test_a_trial_measures_and_names_the_budgets_that_are_missed() -> None:
    profile = effective_profile("mobile", [*MOBILE, "budgets.max_size_mb=0.000001", "budgets.min_speedup=none"])
    data = {"calibration": images(), "evaluation": images(seed=2)}
    trial = try_profile(seeded(ConvNet), profile, data, Progress())
    assert trial.failure is None
    assert trial.size_mb is not None
    assert 0.001 < trial.size_mb < 0.02
    assert trial.speedup is not None
    assert trial.accuracy_drop is not None
    assert "max_size_mb" in trial.missed
    assert "max_accuracy_drop" not in trial.missed or trial.accuracy_drop > 1.5


def test_a_trial_that_fails_says_why() -> None:
    trial = try_profile(seeded(ConvNet), effective_profile("realtime"), {"calibration": images()}, Progress())
    assert trial.failure == "distillation needs training data; give train (--train)"
    assert trial.size_mb is None
