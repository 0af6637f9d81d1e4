"""Feature terms against references in float64 that are written out sample by sample."""

from __future__ import annotations

import math
from itertools import combinations, permutations
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from edgecompress.errors import RecipeError
from edgecompress.training.feature_terms import AttentionTransfer, BlockHint, FeatureTerm, Hint, Relational

Shape = tuple[int, ...]


def _random(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def _huber(difference: float) -> float:
    return difference**2 / 2 if abs(difference) < 1 else abs(difference) - 0.5


def _wanted_distances(student: Tensor, teacher: Tensor) -> float:
    lengths = [
        [
            math.dist(item[i].flatten().tolist(), item[j].flatten().tolist())
            for i, j in combinations(range(len(item)), 2)
        ]
        for item in (student, teacher)
    ]
    own, given = ([length / (sum(each) / len(each)) for length in each] for each in lengths)
    return sum(_huber(a - b) for a, b in zip(own, given, strict=True)) / len(own)


def _cosine(points: Tensor, i: int, j: int, k: int) -> float:
    first, other = points[i].flatten() - points[j].flatten(), points[k].flatten() - points[j].flatten()
    return float(first @ other / (first.norm() * other.norm()))


def _wanted_angles(student: Tensor, teacher: Tensor) -> float:
    triplets = list(permutations(range(len(student)), 3))
    return sum(_huber(_cosine(student, *triplet) - _cosine(teacher, *triplet)) for triplet in triplets) / len(triplets)


def _wanted_attention(student: Tensor, teacher: Tensor) -> float:
    total = 0.0
    for own, given in zip(student, teacher, strict=True):
        maps = [sum(channel.square() for channel in each).flatten() for each in (own, given)]
        unit = [each / each.square().sum().sqrt() for each in maps]
        total += float((unit[0] - unit[1]).square().sum())
    return total / len(student)


@pytest.mark.parametrize(("own", "given"), [((5, 7), (5, 3)), ((4, 2, 3, 3), (4, 6)), ((6, 3, 4), (6, 2, 2, 2))])
def test_relations_are_those_of_the_paper(own: Shape, given: Shape) -> None:
    student, teacher = _random(*own), 3 * _random(*given, seed=1)
    distance, angle = _wanted_distances(student, teacher), _wanted_angles(student, teacher)
    found = [
        float(Relational("a", distance_weight=d, angle_weight=a)(student, teacher))
        for d, a in ((1.0, 0.0), (0.0, 1.0), (25.0, 50.0))
    ]
    assert found == pytest.approx([distance, angle, 25 * distance + 50 * angle], rel=1e-9)


def test_distances_by_hand() -> None:
    """0, 1, 3 on a line against 0, 2, 3: distances (1, 3, 2) and (2, 3, 1), each over 2; all angles are 0 or 180."""
    student, teacher = torch.tensor([[0.0], [1.0], [3.0]]), torch.tensor([[0.0], [2.0], [3.0]])
    assert float(Relational("a", distance_weight=1.0, angle_weight=0.0)(student, teacher)) == pytest.approx(0.25 / 3)
    assert float(Relational("a", distance_weight=0.0)(student, teacher)) == pytest.approx(0, abs=1e-6)


def test_relations_ignore_scale_rotation_and_place() -> None:
    student = _random(6, 4)
    turn = torch.linalg.qr(_random(4, 4, seed=3)).Q
    assert float(Relational("a")(student, 5 * student @ turn + 2)) == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize("rows", [1, 2])
def test_too_few_samples_for_pairs_or_triplets_cost_nothing(rows: int) -> None:
    student = _random(rows, 3).requires_grad_(True)
    loss = Relational("a")(student, _random(rows, 3, seed=1))
    loss.backward()  # type: ignore[no-untyped-call]
    assert loss.item() == 0
    assert student.grad is not None
    assert student.grad.isfinite().all()


def test_samples_in_one_place_have_no_angle_and_finite_gradients() -> None:
    student = _random(5, 3).float()
    student[1] = student[0]
    student.requires_grad_(True)
    loss = Relational("a")(student, _random(5, 3, seed=1).float())
    loss.backward()  # type: ignore[no-untyped-call]
    assert loss.isfinite()
    assert student.grad is not None
    assert student.grad.isfinite().all()


def test_attention_is_that_of_the_paper() -> None:
    student, teacher = _random(3, 2, 4, 5), _random(3, 7, 4, 5, seed=1)
    assert float(AttentionTransfer("a", weight=2.0)(student, teacher)) == pytest.approx(
        2 * _wanted_attention(student, teacher), rel=1e-12
    )
    tokens = [each.flatten(2).transpose(1, 2) for each in (student, teacher)]
    assert float(AttentionTransfer("a")(*tokens)) == pytest.approx(_wanted_attention(student, teacher), rel=1e-12)


def test_attention_at_two_places_by_hand() -> None:
    """Squares (9, 16) / sqrt(337) against (1, 0)."""
    student, teacher = torch.tensor([[[[3.0, 4.0]]]]), torch.tensor([[[[-2.0, 0.0]]]])
    wanted = (9 / math.sqrt(337) - 1) ** 2 + (16 / math.sqrt(337)) ** 2
    assert float(AttentionTransfer("a")(student, teacher)) == pytest.approx(wanted, rel=1e-6)


@pytest.mark.parametrize("swapped", [False, True])
def test_larger_spaces_are_averaged_down(swapped: bool) -> None:
    small, large = _random(2, 3, 2, 2), _random(2, 3, 4, 4, seed=1)
    halved = large.reshape(2, 3, 2, 2, 2, 2).mean((3, 5))
    pair = (large, small) if swapped else (small, large)
    shares = (small - halved).square().sum((1, 2, 3)) / (small.square() + halved.square()).sum((1, 2, 3))
    assert float(Hint("a", weight=3.0)(*pair)) == pytest.approx(3 * float(shares.mean()))
    energy = large.square().sum(1, keepdim=True).reshape(2, 1, 2, 2, 2, 2).mean((3, 5)).sqrt()
    assert float(AttentionTransfer("a")(*pair)) == pytest.approx(_wanted_attention(small, energy))


def test_each_side_is_averaged_where_it_is_the_larger() -> None:
    wide, tall = _random(1, 1, 2, 4), _random(1, 1, 4, 2, seed=1)
    own, given = wide.reshape(1, 1, 2, 2, 2).mean(4), tall.reshape(1, 1, 2, 2, 2).mean(3)
    wanted = (own - given).square().sum() / (own.square() + given.square()).sum()
    assert float(Hint("a")(wide, tall)) == pytest.approx(float(wanted))


@pytest.mark.parametrize("factor", [1e-12, 1e-2, 1.0, 1e4])
def test_a_hint_is_a_share_at_any_scale(factor: float) -> None:
    teacher = factor * _random(4, 3, 2, 2)
    assert float(Hint("a")(torch.zeros_like(teacher), teacher)) == pytest.approx(1.0)
    assert float(Hint("a")(0.5 * teacher, teacher)) == pytest.approx(0.25 / 1.25)
    assert float(Hint("a")(-teacher, teacher)) == pytest.approx(2.0)


def test_a_sample_without_a_feature_counts_like_any_other() -> None:
    teacher = torch.ones(32, 3)
    teacher[0] = 0
    assert float(Hint("a")(torch.full((32, 3), 0.9), teacher)) == pytest.approx((1 + 31 * 0.01 / 1.81) / 32)
    assert float(Hint("a")(torch.zeros(2, 3), torch.zeros(2, 3))) == 0


@pytest.mark.parametrize(
    ("own", "given", "fits"),
    [
        ((2, 4, 3, 3), (2, 6, 3, 3), True),
        ((2, 8, 8, 12), (2, 8, 8, 16), False),  # channels last
        ((2, 12, 16), (2, 16, 16), False),  # (rows, channels, time)
        ((2, 16, 12), (2, 16, 16), True),
        ((2, 4), (2, 6), True),
    ],
)
def test_a_hint_that_nobody_named_fits_place_by_place(own: Shape, given: Shape, fits: bool) -> None:
    assert BlockHint("a").fits(_random(*own), _random(*given)) is fits


def test_the_gradient_of_a_hint_takes_its_divisor_for_a_constant() -> None:
    student, teacher = _random(4, 3, 2, 2).requires_grad_(True), _random(4, 3, 2, 2, seed=1)
    Hint("a", weight=3.0)(student, teacher).backward()  # type: ignore[no-untyped-call]
    whole = (student.detach().square() + teacher.square()).sum((1, 2, 3), keepdim=True)
    torch.testing.assert_close(student.grad, 3.0 * 2 * (student.detach() - teacher) / whole / 4)


@pytest.mark.parametrize("term", [AttentionTransfer("a"), Relational("a")])
def test_gradients_are_those_of_the_loss(term: FeatureTerm) -> None:
    student, teacher = _random(4, 3, 2, 4).requires_grad_(True), _random(4, 3, 4, 2, seed=1)
    assert torch.autograd.gradcheck(lambda x: term(x, teacher), (student,))


@pytest.mark.parametrize(
    ("own", "given", "kind"),
    [
        ((2, 4, 3, 3), (2, 6, 5, 5), nn.Conv2d),
        ((2, 4, 3, 3, 3), (2, 6, 3, 3, 3), nn.Conv3d),
        ((2, 5, 4), (2, 5, 6), nn.Linear),
        ((2, 4), (2, 6), nn.Linear),
        ((2, 4, 3, 3), (2, 4, 6, 6), nn.Identity),
    ],
)
def test_a_projection_gives_the_teachers_channels(own: Shape, given: Shape, kind: type[nn.Module]) -> None:
    student, teacher = _random(*own), _random(*given)
    projection = Hint("a").projection(student, teacher)
    assert type(projection) is kind
    assert Hint("a")(projection(student), teacher).isfinite()
    for other in (AttentionTransfer("a"), Relational("a")):
        if student.ndim > 2:
            assert type(other.projection(student, teacher)) is nn.Identity


@pytest.mark.parametrize(
    ("term", "own", "given"),
    [
        (Hint("a", "b"), (2, 4, 3, 3), (2, 4, 9)),
        (Hint("a", "b"), (2, 5, 4), (2, 6, 4)),
        (Hint("a", "b"), (2,), (2,)),
        (AttentionTransfer("a", "b"), (2, 4), (2, 4)),
        (AttentionTransfer("a", "b"), (2, 5, 4), (2, 6, 4)),
        (Relational("a", "b"), (2, 4), (3, 4)),
    ],
)
def test_features_that_cannot_be_compared_are_named(term: FeatureTerm, own: Shape, given: Shape) -> None:
    with pytest.raises(RecipeError) as caught:
        term.projection(_random(*own), _random(*given))
    assert str(caught.value) == (
        f"student layer 'a' gives {own}, teacher layer 'b' {given}, which {type(term).__name__} cannot compare;"
        " name other layers"
    )


def test_whole_numbers_are_no_features() -> None:
    with pytest.raises(RecipeError, match=r"student layer 'a' gives \(2, 3\) of int64, teacher layer 'a' \(2, 3\),"):
        Hint("a").projection(torch.zeros(2, 3, dtype=torch.int64), torch.zeros(2, 3))


@pytest.mark.parametrize(
    ("kind", "weights"),
    [
        (Hint, {"weight": -1.0}),
        (AttentionTransfer, {"weight": math.nan}),
        (Relational, {"distance_weight": -0.5}),
        (Relational, {"angle_weight": -0.5}),
    ],
)
def test_a_negative_weight_is_refused(kind: Any, weights: dict[str, float]) -> None:
    ((name, value),) = weights.items()
    with pytest.raises(RecipeError, match=f"{name} is {value}; give 0 or more"):
        kind("a", **weights)


def test_the_teachers_layer_has_the_students_name_by_default() -> None:
    assert (Hint("a").source, Hint("a", "b").source) == ("a", "b")
