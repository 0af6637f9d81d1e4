"""Digests tell other inputs from the same ones, whatever the order."""

from __future__ import annotations

import copy
import hashlib
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import onnx_ir as ir
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.utils.data import DataLoader, TensorDataset

from edgecompress.comparison.digests import digest_code, digest_data, digest_network, digest_row
from edgecompress.data.batches import ANY, Batch, Batches, InputNames
from edgecompress.loading.metrics import MeasuredBy
from edgecompress.progress import Progress
from edgecompress.recipe.tables import Evaluation, Recipe, Training
from tests.exporters.graphs import draw, graph
from tests.networks import ConvNet, seeded

IMAGES = torch.from_numpy(np.random.default_rng(0).random((12, 3, 4, 4), np.float32))
LABELS = torch.arange(12)
EXAMPLE = Batch(inputs={"image": np.random.default_rng(1).random((2, 3, 16, 16), np.float32)})


def _digest(source: Callable[[], Iterable[Any]]) -> str:
    names = InputNames(names=("x",), required=1)
    return _data(Batches(role="train", source=source, inputs=names))


def _data(batches: Batches) -> str:
    return digest_data(batches, Progress()).samples


def _batched(order: list[int], size: int, images: torch.Tensor = IMAGES) -> list[tuple[torch.Tensor, torch.Tensor]]:
    parts = [order[start : start + size] for start in range(0, len(order), size)]
    return [(images[part], LABELS[part]) for part in parts]


@given(order=st.permutations(range(12)), size=st.integers(1, 12))
def test_order_and_size_of_batches_do_not_count(order: list[int], size: int) -> None:
    assert _digest(lambda: _batched(order, size)) == _digest(lambda: _batched(list(range(12)), 12))


def test_another_pixel_label_or_sample_counts() -> None:
    other, whole = IMAGES.clone(), list(range(12))
    other[7, 0, 0, 0] += 1
    found = {
        _digest(lambda: _batched(whole, 4)),
        _digest(lambda: _batched(whole, 4, other)),
        _digest(lambda: [(image, label + 1) for image, label in _batched(whole, 4)]),
        _digest(lambda: _batched(whole[:11], 4)),
        _digest(lambda: _batched([*whole, 0], 4)),
    }
    assert len(found) == 5


def test_data_drawn_anew_count_by_labels_and_shapes() -> None:
    def augmented(rows: int) -> Callable[[], Iterable[Any]]:
        return lambda: [(torch.rand(rows, 3, 4, 4), LABELS[:rows])]

    assert _digest(augmented(8)) == _digest(augmented(8)) != _digest(augmented(9))


def _reading(source: Callable[[], Iterable[Any]]) -> str | None:
    names = InputNames(names=("x",), required=1)
    return digest_data(Batches(role="train", source=source, inputs=names), Progress()).reading


def test_a_reading_counts_the_order_and_the_size_of_batches() -> None:
    order = list(range(12))
    found = {
        _reading(lambda: _batched(order, 4)),
        _reading(lambda: _batched(order, 4)),
        _reading(lambda: _batched(order[::-1], 4)),
        _reading(lambda: _batched(order, 6)),
        _reading(lambda: [(image, label + 1) for image, label in _batched(order, 4)]),
    }
    assert len(found) == 4
    assert None not in found


def test_a_shuffled_reading_is_known_by_its_seeds_and_one_with_generators_of_its_own_is_not() -> None:
    def shuffled(images: torch.Tensor) -> Callable[[], Iterable[Any]]:
        return lambda: DataLoader(TensorDataset(images, LABELS), batch_size=4, shuffle=True)

    own = np.random.default_rng(0)
    torch.manual_seed(3)
    first = _reading(shuffled(IMAGES))
    torch.manual_seed(4)
    assert _reading(shuffled(IMAGES)) == first != _reading(shuffled(IMAGES + 1))
    assert _reading(lambda: _batched(own.permutation(12).tolist(), 4)) is None


def test_a_reading_draws_nothing_of_the_callers_random_numbers() -> None:
    torch.manual_seed(5)
    wanted = torch.rand(3)
    torch.manual_seed(5)
    _reading(lambda: DataLoader(TensorDataset(IMAGES, LABELS), batch_size=4, shuffle=True))
    assert torch.equal(torch.rand(3), wanted)


def test_another_weight_layer_or_line_of_code_is_another_network() -> None:
    class Doubled(ConvNet):
        def forward(self, image: torch.Tensor) -> torch.Tensor:
            return 2 * super().forward(image)

    network = seeded(ConvNet)
    other = copy.deepcopy(network)
    assert digest_network(network, EXAMPLE) == digest_network(other, EXAMPLE)
    with torch.no_grad():
        next(other.get_submodule("classifier").parameters())[0, 0] += 1
    doubled = seeded(Doubled)
    wider = torch.nn.Sequential(network, torch.nn.ReLU())
    assert len({_of(each) for each in (network, other, doubled)}) == 3
    assert str(wider) != str(network)


def test_what_acts_in_training_alone_is_another_network() -> None:
    class Dropping(ConvNet):
        """Drops by a number of its own, as many networks do."""

        p = 0.1

    def digest(p: float, *, frozen: bool = False) -> str:
        network = seeded(Dropping)
        vars(network)["p"] = p
        network.get_submodule("classifier").requires_grad_(not frozen)
        return _of(network)

    assert digest(0.1) == digest(0.1)
    assert len({digest(0.1), digest(0.9), digest(0.1, frozen=True)}) == 3


def test_the_digest_leaves_the_network_as_it_was() -> None:
    network = seeded(ConvNet).train()
    before = copy.deepcopy(network.state_dict())
    digest_network(network, EXAMPLE)
    assert network.training
    assert all(torch.equal(before[name], each) for name, each in network.state_dict().items())


def test_onnx_and_exported_networks_count_too() -> None:
    x = Batch(inputs={"x": draw(1, 4, 8, 8)})
    models: list[ir.Model] = [graph("y = Mul(x, k)", k=draw(1, seed=seed)) for seed in (0, 0, 1)]
    first, same, other = (digest_network(model, x) for model in models)
    assert first == same != other
    example = (torch.rand(2, 3, 16, 16),)
    programs = [torch.export.export(seeded(ConvNet, seed), example) for seed in (0, 0, 1)]
    first, same, other = map(_of, programs)
    assert first == same != other


def _of(network: torch.nn.Module | torch.export.ExportedProgram) -> str:
    return digest_network(network, EXAMPLE)


def test_a_row_depends_on_its_recipe_and_all_else() -> None:
    parts = {"network": "a", "train": "b"}
    rows = {
        digest_row(Recipe(), parts),
        digest_row(Recipe(), {**parts, "train": "c"}),
        digest_row(Recipe(training=Training(epochs=1)), parts),
    }
    assert len(rows) == 3


@given(order=st.permutations(range(12)), size=st.integers(1, 12), wrong=st.booleans())
def test_targets_of_any_form_count_sample_by_sample(order: list[int], size: int, wrong: bool) -> None:
    """Lists of boxes, in any order and batches of any size; one other box is other data."""

    def digest(order: list[int], size: int, boxes: list[dict[str, Any]]) -> str:
        parts = [order[start : start + size] for start in range(0, len(order), size)]
        source = [(IMAGES[part], [boxes[index] for index in part]) for part in parts]
        names = InputNames(names=("x",), required=1)
        return _data(Batches(role="evaluation", source=lambda: source, inputs=names, label_kinds=ANY))

    boxes = [{"boxes": np.full((index % 3, 4), index), "names": ["a"] * (index % 3)} for index in range(12)]
    others = [*boxes[:-1], {"boxes": np.full((3, 4), 11), "names": ["a"] * 3}] if wrong else boxes
    assert (digest(order, size, others) == digest(list(range(12)), 12, boxes)) is not wrong


def test_code_that_changed_shows_in_its_digest(tmp_path: Path) -> None:
    names = {key: tmp_path / f"{key}.py" for key in ("metric", "postprocess", "loss")}
    for file in names.values():
        file.write_text("def f(*given): return 1.0\n")
    evaluation = Evaluation(metric=f"{names['metric']}:f", postprocess=f"{names['postprocess']}:f")
    asked = Recipe(evaluation=evaluation, training=Training(loss=f"{names['loss']}:f"))
    first = digest_code(asked, MeasuredBy())
    assert first.keys() == names.keys()
    names["postprocess"].write_text("def f(*given): return 2.0\n")
    again = digest_code(asked, MeasuredBy())
    assert (again["metric"], again["postprocess"]) == (
        first["metric"],
        hashlib.sha256(names["postprocess"].read_bytes()).hexdigest(),
    )
    assert digest_code(Recipe(evaluation=Evaluation(metric="mae")), MeasuredBy()) == {}
    own = hashlib.sha256(Path(__file__).read_bytes()).hexdigest()
    found = digest_code(Recipe(), MeasuredBy(postprocess=_digest))
    assert found["postprocess"] == own
    assert found.keys() == {"postprocess", "postprocess_state"}


class Limited:
    """A metric with a value of its own."""

    def __init__(self, limit: Any) -> None:
        self.limit = limit


def _limited(limit: int) -> Any:
    return lambda outputs, targets: float(limit)


def test_what_a_metric_holds_counts() -> None:
    def code(metric: Any) -> dict[str, str]:
        return digest_code(Recipe(), MeasuredBy(metric=metric))

    for make in (Limited, _limited, lambda limit: partial(_limited, limit)):
        assert code(make(1)) == code(make(1)) != code(make(5))
    unreadable = Limited(object())
    assert code(Limited(print)) != code(Limited(print)), "what cannot be told apart is never taken for known"
    assert code(unreadable).keys() == {"metric", "metric_state"}
