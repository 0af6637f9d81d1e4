"""Calibration inputs that are prepared otherwise than evaluation inputs are told, and samples of one source are not."""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgecompress import compress
from edgecompress.arrays import Array
from edgecompress.calibration.likeness import AT_FIRST, are_unlike, batch_levels, doubts_of_likeness, levels_of
from edgecompress.data.batches import Batch
from tests.heard import Heard
from tests.networks import ConvNet, images, seeded

SOURCES: dict[str, Callable[[np.random.Generator, int], Array]] = {
    "normal": lambda random, rows: random.normal(size=(rows, 6)),
    "one number": lambda random, rows: random.normal(size=(rows, 1)),
    "heavy tails": lambda random, rows: random.standard_cauchy((rows, 5)),
    "loud and silent": lambda random, rows: random.lognormal(0, 3, (rows, 1)) * random.normal(size=(rows, 40)),
    "flags": lambda random, rows: (random.random((rows, 4)) < 0.1).astype(np.float64),
    "pictures": lambda random, rows: (random.beta(2, 2, (rows, 1)) + random.normal(0, 0.2, (rows, 48))).clip(0, 1),
    "constant": lambda random, rows: np.full((rows, 3), 0.5),
    "columns of other units": lambda random, rows: random.normal(size=(rows, 3)) * [1, 1e3, 1e-3] + [0, 1e5, 1],
}
"""Rows of samples."""
PREPARED: dict[str, Callable[[Array], Array]] = {
    "0 to 1": lambda pictures: pictures,
    "0 to 255": lambda pictures: 255 * pictures,
    "-1 to 1": lambda pictures: 2 * pictures - 1,
    "normalized": lambda pictures: (pictures - 0.45) / 0.225,
    "centered bytes": lambda pictures: 255 * (pictures - 0.45),
    "dark": lambda pictures: 0.1 * pictures,
}


def _levels(rows: Array) -> Array:
    return batch_levels(Batch(inputs={"x": rows}))["x"]


def _example(folder: Path, name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, folder / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_levels_are_of_the_floats_of_each_sample() -> None:
    x, state = np.array([[1.0, 3.0], [4.0, 4.0]], np.float16), np.array([[[1.0], [2.0]], [[3.0], [6.0]]])
    given = {"x": x, "h": state, "ids": np.ones((2, 3), int), "rate": np.array(16.0)}
    found = batch_levels(Batch(inputs=given, axes={"h": 1}))
    assert {name: rows.tolist() for name, rows in found.items()} == {
        "x": [[2, 1, 1, 3], [4, 0, 4, 4]],
        "h": [[2, 1, 1, 3], [4, 2, 2, 6]],
    }


def test_no_batch_is_read_after_so_many_samples() -> None:
    read: list[int] = []

    def batches() -> object:
        for number in range(5):
            read.append(number)
            yield Batch(inputs={"x": np.full((4, 2), float(number))})

    assert levels_of(batches(), 6)["x"][:, 0].tolist() == [0] * 4 + [1] * 4  # type: ignore[arg-type]
    assert read == [0, 1]
    assert len(levels_of(batches())["x"]) == 20  # type: ignore[arg-type]


@pytest.mark.parametrize("source", SOURCES)
@given(seed=st.integers(0, 2**32 - 1), sizes=st.tuples(st.integers(1, 300), st.integers(1, 300)))
def test_samples_of_one_source_are_never_told(source: str, seed: int, sizes: tuple[int, int]) -> None:
    random = np.random.default_rng(seed)
    first, second = (_levels(SOURCES[source](random, rows)) for rows in sizes)
    assert not are_unlike(first, second)


@given(seed=st.integers(0, 2**32 - 1), scale=st.sampled_from([1e-6, 0.5, 255.0, 1e6]), shift=st.floats(-3, 3))
def test_the_unit_of_the_input_does_not_matter(seed: int, scale: float, shift: float) -> None:
    random = np.random.default_rng(seed)
    first, second = (SOURCES["pictures"](random, 40) for _ in range(2))
    for other in (second, 2 * second - 1):
        told = are_unlike(_levels(first), _levels(other))
        assert told is (other is not second)
        assert are_unlike(*(_levels(scale * (rows + shift)) for rows in (first, other))) is told


@pytest.mark.parametrize("evaluated", PREPARED)
@pytest.mark.parametrize("calibrated", PREPARED)
def test_pictures_that_were_prepared_in_two_ways_are_told(calibrated: str, evaluated: str) -> None:
    random = np.random.default_rng(7)
    first, second = (SOURCES["pictures"](random, rows) for rows in (32, 200))
    ours, theirs = _levels(PREPARED[calibrated](first)), _levels(PREPARED[evaluated](second))
    assert are_unlike(ours, theirs) is (calibrated != evaluated)


@pytest.mark.parametrize("kind", range(10))
def test_a_class_that_comes_first_is_told_of_nothing(kind: int) -> None:
    random = np.random.default_rng(kind)
    classes = random.integers(0, 10, 200)
    means, noise = 0.3 + 0.04 * np.append(classes, np.full(AT_FIRST, kind)), random.normal(0, 0.2, (712, 48))
    pictures = (means[:, None] + random.normal(0, 0.15, (712, 1)) + noise).clip(0, 1)
    assert not are_unlike(_levels(pictures[:200]), _levels(pictures[200:]))


def test_what_is_told_has_the_figures_of_both() -> None:
    random = np.random.default_rng(1)
    rows = SOURCES["pictures"](random, 60)
    rows[:, :2] = 0, 1
    calibration, evaluation = {"x": _levels(255 * rows)}, {"x": _levels(2 * rows - 1), "y": _levels(rows)}
    (told,) = doubts_of_likeness(calibration, evaluation)
    mean = 255 * rows.mean()
    assert told.startswith(
        f"calibration input 'x' has values of 0 to 255, mean {mean:.0f}, evaluation of -1 to 1, mean"
    )
    assert told.endswith("; prepare both alike, or calibrate on data like those that the artifact will see")


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
@pytest.mark.parametrize("width", [32, 3001])
def test_masks_of_short_and_of_long_texts_are_told_of_nothing(dtype: type, width: int) -> None:
    random = np.random.default_rng(3)
    share = random.integers([4, 20], [10, 32], (64, 2)) / 32
    short, long = ((np.arange(width) < width * kept[:, None]).astype(dtype) for kept in share.T)
    whole = np.ones_like(long)
    for mine, theirs in ((short, long), (long, short), (short, whole), (whole, short)):
        assert not are_unlike(_levels(mine), _levels(theirs))
    for scale, shift in ((255, 0), (2, -1), (0.5, 0)):
        assert are_unlike(_levels(scale * short + shift), _levels(long))
    blurred = short.copy()
    blurred[:, 0] = 0.5
    assert are_unlike(_levels(blurred), _levels(long))


def test_few_samples_and_values_without_a_deviation_are_told_of_nothing() -> None:
    rows = SOURCES["pictures"](np.random.default_rng(1), 60)
    assert not are_unlike(_levels(255 * rows[:1]), _levels(rows))
    assert are_unlike(_levels(255 * rows[:4]), _levels(rows))
    huge = np.array([[1e200, -1e200]] * 20)
    assert not are_unlike(_levels(huge), _levels(rows))


@pytest.mark.parametrize(
    ("module", "roles"),
    [
        ("data", ("imagenet_calibration", "imagenet_validation")),
        ("data", ("cifar10_calibration", "cifar10_test")),
        ("detection", ("calibration", "validation")),
    ],
)
def test_the_examples_are_told_of_nothing_and_their_mistakes_are(
    module: str, roles: tuple[str, str], example: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    code = _example(example, module)
    first, second = (_pictures(getattr(code, role)()) for role in roles)
    ours, theirs = _levels(first), _levels(second)
    assert not are_unlike(ours, theirs)
    assert not are_unlike(ours, _levels(second[:40]))
    low, high = first.min(), first.max()
    plain = (first - low) / (high - low)
    for change in (0.0, 255.0, 0.1):
        assert are_unlike(_levels(plain * change if change else 2 * plain - 1), _levels((second - low) / (high - low)))


def _pictures(loader: object) -> Array:
    found: list[Array] = []
    for batch in loader:  # type: ignore[attr-defined]
        found.append(np.asarray(batch[0] if isinstance(batch, (list, tuple)) else batch))
        if sum(map(len, found)) >= 300:
            break
    return np.concatenate(found)


@pytest.mark.parametrize(("factor", "enabled", "told"), [(255, True, True), (1, True, False), (255, False, False)])
def test_a_run_tells_it_before_and_its_report_after(factor: float, enabled: bool, told: bool, tmp_path: Path) -> None:
    heard = Heard()
    sets = ["quantization.placement=table", "quantization.adaround=false", "budgets.max_accuracy_drop=none"]
    bundle = compress(
        seeded(ConvNet),
        calibration=[factor * batch for batch, _ in images(seed=1)],
        evaluation=images(seed=2),
        output=tmp_path / "bundle",
        overrides=[*sets, f"quantization.enabled={str(enabled).lower()}"],
        progress=heard,
    )
    doubts = json.loads((bundle.path / "report.json").read_text())["doubts"]
    for lines in (heard.lines, doubts):
        assert any(line.startswith("calibration input ") for line in lines) is told
