"""What a student loses against its teacher's outputs, against closed forms."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import log_softmax
from torch import Tensor

from edgecompress.errors import InputError
from edgecompress.training.matching import Matching, divergence, normalized_squared_error, paired_outputs


def _drawn(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def test_divergence_by_hand() -> None:
    """Probabilities 1/4 and 3/4 of the student, 1/2 of the teacher: log 2 / 2 + log(2/3) / 2."""
    student = torch.tensor([[0.0, math.log(3.0)]], dtype=torch.float64)
    found = divergence(student, torch.zeros(1, 2, dtype=torch.float64), 1, 1.0, None)
    assert float(found) == pytest.approx(math.log(2) / 2 + math.log(2 / 3) / 2, rel=1e-12)


@pytest.mark.parametrize("axis", [1, 2])
@pytest.mark.parametrize("counts", [True, False])
def test_divergence_is_the_sum_over_classes_and_the_mean_over_what_counts(axis: int, counts: bool) -> None:
    student, teacher = _drawn(2, 3, 4), _drawn(2, 3, 4, seed=1)
    counted = (torch.arange(24).reshape(2, 3, 4) % 5 > 0).select(axis, 0) if counts else None
    own, wanted = (log_softmax(scores.numpy() / 3.0, axis=axis) for scores in (student, teacher))
    each = (np.exp(wanted) * (wanted - own)).sum(axis)
    mean = each.mean() if counted is None else each[counted.numpy()].mean()
    assert float(divergence(student, teacher, axis, 3.0, counted)) == pytest.approx(mean, rel=1e-12)


def test_the_squared_error_is_a_share_of_the_teachers_variance() -> None:
    student, teacher = _drawn(3, 4, 5), _drawn(3, 4, 5, seed=1)
    wanted = ((student - teacher).numpy() ** 2).mean() / teacher.numpy().var()
    assert float(normalized_squared_error(student, teacher)) == pytest.approx(wanted, rel=1e-12)


def test_a_teacher_that_hardly_varies_does_not_blow_the_error_up() -> None:
    constant = torch.full((4, 1), 10.0, dtype=torch.float64)
    assert float(normalized_squared_error(constant + 1.0, constant)) == pytest.approx(1 / (1e-3 * 100))
    assert float(normalized_squared_error(torch.full((3,), 2.0), torch.zeros(3))) == 4.0
    assert float(normalized_squared_error(torch.full((1,), 2.0), torch.full((1,), 2.0))) == 0.0


@given(
    scales=st.tuples(*[st.floats(1e-3, 1e3)] * 2),
    weights=st.tuples(*[st.floats(0, 4)] * 2),
    seed=st.integers(0, 99),
)
def test_the_scale_of_an_output_does_not_change_its_share(
    scales: tuple[float, float], weights: tuple[float, float], seed: int
) -> None:
    names = ("boxes", "heat")
    student, teacher = (
        {name: _drawn(2, 3, seed=seed + 7 * at + away) for at, name in enumerate(names)} for away in (0, 1)
    )
    loss = Matching(reading=None, weights=dict(zip(names, weights, strict=True)))
    first, second = (
        {name: scale * values[name] for name, scale in zip(names, scales, strict=True)} for values in (student, teacher)
    )
    parts = [w * float(normalized_squared_error(student[n], teacher[n])) for n, w in zip(names, weights, strict=True)]
    assert float(loss(student, teacher, None)) == pytest.approx(sum(parts), rel=1e-9)
    assert float(loss(first, second, None)) == pytest.approx(sum(parts), rel=1e-9)


@pytest.mark.parametrize("reading", ["of_classes", "of_numbers", None])
def test_the_gradient_is_that_of_the_loss_and_none_reaches_the_teacher(reading: str | None) -> None:
    student, teacher = _drawn(3, 4).requires_grad_(True), _drawn(3, 4, seed=1).requires_grad_(True)
    boxes, given_boxes = _drawn(3, 2).requires_grad_(True), _drawn(3, 2, seed=2).requires_grad_(True)
    labels = torch.tensor([0, 3, -100]) if reading != "of_numbers" else None
    loss = Matching(temperature=2.0, reading=reading)
    assert torch.autograd.gradcheck(lambda s, b: loss((s, b), (teacher, given_boxes), labels), (student, boxes))
    loss((student, boxes), (teacher, given_boxes), labels).backward()  # type: ignore[no-untyped-call]
    assert (teacher.grad, given_boxes.grad) == (None, None)


SCORES, GIVEN = _drawn(2, 3, 4, 4), _drawn(2, 3, 4, 4, seed=1)
MASK = torch.arange(32).reshape(2, 4, 4) % 3
BOXES, GIVEN_BOXES = _drawn(2, 5, 4), _drawn(2, 5, 4, seed=1)


def _kl(counted: Tensor | None = None, axis: int = 1, scores: Tensor = SCORES, wanted: Tensor = GIVEN) -> float:
    return float(16 * divergence(scores, wanted, axis, 4.0, counted))


SQUARES = float(normalized_squared_error(SCORES, GIVEN))
OF_BOXES = float(normalized_squared_error(BOXES, GIVEN_BOXES))
KINDS: dict[str, tuple[dict[str, Any], Any, float]] = {
    "classes of the mask": ({"reading": None}, MASK, _kl()),
    "a mask in which some do not count": (
        {"reading": None, "ignore_index": 2},
        torch.where(MASK == 1, -100, MASK),
        _kl(MASK == 0),
    ),
    "255 is no class": ({"reading": None}, torch.where(MASK == 1, 255, MASK), _kl(MASK != 1)),
    "a list of boxes": ({"reading": None}, [{"boxes": 1}, {}], SQUARES),
    "no labels": ({"reading": None}, None, SQUARES),
    "numbers of the shape": ({"reading": None}, SCORES, SQUARES),
    "an axis that is asked for": ({"reading": None, "class_axis": -1}, None, _kl(axis=3)),
    "an axis for a loss of classes": ({"class_axis": 1}, None, _kl()),
    "a loss of numbers": ({"reading": "of_numbers"}, MASK, SQUARES),
}


@pytest.mark.parametrize("kind", KINDS)
def test_an_output_is_matched_by_what_it_is(kind: str) -> None:
    options, labels, wanted = KINDS[kind]
    assert float(Matching(**options)(SCORES, GIVEN, labels)) == pytest.approx(wanted, rel=1e-12)
    both = Matching(**options)({"seen": SCORES, "boxes": BOXES}, {"seen": GIVEN, "boxes": GIVEN_BOXES}, labels)
    assert float(both) == pytest.approx(wanted + OF_BOXES, rel=1e-12)


def test_labels_under_the_name_of_an_output_speak_of_it() -> None:
    student, teacher = ({"boxes": b, "seen": s} for b, s in ((BOXES, SCORES), (GIVEN_BOXES, GIVEN)))
    by_name = Matching(reading=None)(student, teacher, {"seen": MASK, "boxes": BOXES})
    by_place = Matching(reading=None)((BOXES, SCORES), (GIVEN_BOXES, GIVEN), (BOXES, MASK))
    assert float(by_name) == float(by_place) == pytest.approx(OF_BOXES + _kl(), rel=1e-12)


def test_ctc_scores_are_classes_along_the_last_axis_and_padding_hides_nothing() -> None:
    scores, wanted = _drawn(2, 3, 4), _drawn(2, 3, 4, seed=1)
    padded = torch.tensor([[1, 2, -100], [3, -100, -100]])  # as long as there are steps
    found = Matching(reading="of_sequences")(scores, wanted, padded)
    assert float(found) == pytest.approx(_kl(axis=2, scores=scores, wanted=wanted), rel=1e-12)


def test_a_single_score_is_no_choice_among_classes() -> None:
    own, wanted, ages = _drawn(3, 1), _drawn(3, 1, seed=1), torch.tensor([30, 41, 7])
    for axis in (None, 1):
        found = Matching(reading=None, class_axis=axis)(own, wanted, ages)
        assert float(found) == pytest.approx(float(normalized_squared_error(own, wanted)), rel=1e-12)


def test_a_batch_of_which_nothing_counts_weighs_nothing() -> None:
    assert float(Matching(ignore_index=9)(SCORES, GIVEN, torch.full((2, 4, 4), 9))) == 0


def test_outputs_are_paired_by_their_names_and_else_by_their_place() -> None:
    a, b, c = (_drawn(2, seed=seed) for seed in range(3))
    index = torch.zeros(2, dtype=torch.int64)
    swapped = paired_outputs({"a": a, "b": b, "best": index}, {"b": c, "best": index, "a": b})
    assert swapped == {"a": (a, b), "b": (b, c)}
    assert paired_outputs({"a": a, "b": b}, (b, index, c)) == {"a": (a, b), "b": (b, c)}


def test_what_a_student_gives_beyond_its_teacher_matches_nothing() -> None:
    a, b, c = (_drawn(2, seed=seed) for seed in range(3))
    assert paired_outputs((a, b), c) == {"output_0": (a, c)}  # an auxiliary head, which is there in training only
    assert paired_outputs({"extra": a, "b": b}, {"b": c}) == {"b": (b, c)}
    labels, scores = torch.tensor([0, 2]), _drawn(2, 3, seed=4)
    alone = Matching()(scores, scores + 1.0 * labels[:, None], labels)
    extra = Matching()((scores, _drawn(2, 7, seed=5)), scores + 1.0 * labels[:, None], labels)
    assert float(extra) == float(alone)


def test_an_output_keeps_its_place_where_the_first_has_no_teacher() -> None:
    labels, boxes = torch.tensor([0, 2]), _drawn(2, 3, seed=6)
    found = Matching()({"scores": SCORES, "boxes": boxes}, {"boxes": boxes + boxes.square()}, labels)
    assert float(found) == pytest.approx(float(normalized_squared_error(boxes, boxes + boxes.square())), rel=1e-12)


def test_an_output_of_no_weight_may_have_any_shape() -> None:
    found = Matching(reading=None, weights={"output_1": 0})((SCORES, BOXES), (GIVEN, torch.zeros(7)), None)
    assert float(found) == pytest.approx(SQUARES, rel=1e-12)


def test_half_precision_is_compared_in_full() -> None:
    student, teacher = (torch.full((2, 3), value, dtype=torch.float16) for value in (600.0, 300.0))
    found = Matching(reading=None)(student, teacher, None)  # its square is beyond float16
    assert found.dtype == torch.float32
    assert float(found) == pytest.approx(1000.0)


@pytest.mark.parametrize(
    ("matching", "outputs", "told"),
    [
        (
            {"weights": {"box": 2.0}},
            ({"boxes": BOXES, "seen": SCORES}, {"boxes": BOXES, "seen": SCORES}),
            "'distillation.output_weights' names 'box', and the outputs are boxes, seen; name one of these",
        ),
        (
            {},
            (BOXES, (BOXES, SCORES)),
            "the student gives 1 output of floating point, the teacher 2; give a teacher with the same outputs",
        ),
        (
            {},
            ((BOXES, SCORES), (BOXES, BOXES)),
            "the student's outputs are (2, 3, 4, 4), the teacher's (2, 5, 4); give a teacher with the same outputs,"
            " or set distillation.output_weights.output_1=0",
        ),
    ],
)
def test_what_cannot_be_matched_is_told(matching: Any, outputs: Any, told: str) -> None:
    with pytest.raises(InputError) as caught:
        Matching(reading=None, **matching)(outputs[0], outputs[1], None)
    assert str(caught.value) == told
