"""Doubts: reasons not to trust what was measured, or not to ship it although the figures are fine."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from edgecompress.data.batches import Batches
from edgecompress.errors import plural
from edgecompress.metrics.agreement import listed
from edgecompress.metrics.metric import Measure
from edgecompress.step import Stage
from edgecompress.validation.classes import hidden_loss, hidden_loss_in_words
from edgecompress.validation.label_shift import LabelShift

if TYPE_CHECKING:
    from edgecompress.validation.scores import Scores

UNLIKE_DB = 10.0
"""Below this the error is a third of the signal, and more."""
RIGHT_SHARE = 0.05
"""How much of the metric may be lost by a network whose outputs are others and whose answers are the same: a share of
the float model's, or of 100 %."""


def evidence_doubts(scores: Scores, stages: Sequence[Stage], batches: Batches) -> tuple[str, ...]:
    """The reasons, a sentence each.

    Args:
        scores: of all stages.
        stages: the original first, the artifact last.
        batches: the data that the scores are of.
    """
    names = [stage.name for stage in stages]
    return (*_of_scores(scores, names, batches), *_larger(stages[0], stages[-1]))


def unlabelled(measure: Measure) -> str:
    """The doubt where evaluation data only has inputs, the same before the run as after it."""
    return f"the evaluation data has no labels; {measure.in_words} is not measured"


def _of_scores(scores: Scores, stages: Sequence[str], batches: Batches) -> tuple[str, ...]:
    measure, parity = batches.measure, scores.agreements[-1]
    doubts = []
    if scores.values[0] is None and batches.role == "evaluation":
        doubts.append(unlabelled(measure))
    if scores.labels is not None and scores.labels.could_be_guessed:
        doubts.append(
            f"the float model is right on {scores.labels.percent[1]:.2f} % of the evaluation data, which guessing among"
            f" {plural(scores.labels.classes, 'class')} could reach; check the weights (--weights), the labels and"
            " the preprocessing"
        )
    if scores.labels is not None:
        doubts += _silent_classes(scores.labels, scores.samples)
    doubts += [*scores.misread, *_hidden_losses(measure, scores)]
    if parity.sqnr_db < UNLIKE_DB and not _still_right(measure, scores.values[0], scores.values[-1]):
        alike = [agreement.sqnr_db >= UNLIKE_DB for agreement in scores.agreements]
        doubts.append(
            f"the artifact's outputs agree with the float model's to {parity.sqnr_db:.1f} dB only;"
            f" {_advice(stages, alike)}"
        )
    if lost := parity.lost(silent=True):
        alike = [not agreement.lost(silent=True) for agreement in scores.agreements]
        doubts.append(
            f"{listed(lost)} carries signal in the float model and is zero or a constant in the artifact;"
            f" {_advice(stages, alike)}"
        )
    return tuple(doubts)


def _silent_classes(labels: LabelShift, samples: int) -> list[str]:
    """A doubt where the float model never answers a class that it should know."""
    if not (silent := labels.silent(samples)):
        return []
    share = 100 * labels.labels[[*silent]].sum() / labels.labels.sum()
    named = f"class {silent[0]}" if len(silent) == 1 else f"{plural(len(silent), 'class')}, {silent[0]} for one"
    return [
        f"the float model never answers {named}, the label of {share:.2f} % of the evaluation data; check its head, and"
        " how the classes are numbered"
    ]


def _hidden_losses(measure: Measure, scores: Scores) -> list[str]:
    """A doubt where a class lost far more than the whole."""
    before, after = scores.values[0], scores.values[-1]
    lost = hidden_loss(measure, measure.drop(before, after), scores.classes)
    if before is None or after is None or lost is None:
        return []
    return [hidden_loss_in_words(measure, before, after, lost)]


def _larger(original: Stage, artifact: Stage) -> tuple[str, ...]:
    """A doubt where nothing was compressed."""
    before, after = len(original.content), len(artifact.content)
    if after <= before:
        return ()
    told = f"the artifact is larger than the original, {after / before:.2f} times"
    return (f"{told}; it is worth shipping only where it is faster",)


def _advice(stages: Sequence[str], alike: Sequence[bool]) -> str:
    """What to do, by the step behind the last stage that was still alike; the original, at least, is like itself."""
    lost_in = stages[max(place for place, fine in enumerate(alike) if fine) + 1]
    if lost_in == stages[-1]:
        return "check that the calibration data is like the evaluation data"
    return f"that was lost in {lost_in!r}, before anything became integer; ask for less of it, or train longer"


def _still_right(measure: Measure, before: float | None, after: float | None) -> bool:
    """Whether the metric says that other outputs are no worse, as after training."""
    drop = measure.drop(before, after)
    if before is None or drop is None:
        return False
    return drop < RIGHT_SHARE * (100.0 if measure.in_percent else abs(before))
