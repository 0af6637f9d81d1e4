"""Evidence: every measure, taken on the file that ships and on the float model beside it."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from edgecompress.data import Batches
from edgecompress.errors import DataError
from edgecompress.metrics import Agreement, Tally, top1
from edgecompress.progress import Progress
from edgecompress.recipe import Cpu
from edgecompress.runtime import ALL_CORES, open_session, run_session
from edgecompress.validation.latency import Comparison, compare_latency

if TYPE_CHECKING:
    from onnxruntime import InferenceSession

UNLIKE_DB = 6.0
"""Below this the error is half as large as the signal."""
RIGHT_POINTS = 5.0
"""Accuracy, in points, that may be lost by a network whose outputs are others and whose answers are the same."""


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """What was measured. ``original`` is the float ONNX model, ``compressed`` the artifact.

    ``accuracy`` is top-1 in percent, or None without labels; sizes are bytes of the files. ``doubts`` are
    reasons not to trust the rest.
    """

    original_bytes: int
    compressed_bytes: int
    parity: Agreement
    original_accuracy: float | None
    compressed_accuracy: float | None
    evaluated_samples: int
    evaluation_digest: str
    latency: Comparison
    doubts: tuple[str, ...] = ()

    @property
    def compression_ratio(self) -> float:
        """Original size / compressed size."""
        return self.original_bytes / self.compressed_bytes

    @property
    def accuracy_drop(self) -> float | None:
        """Original - compressed accuracy, in percentage points."""
        if self.original_accuracy is None or self.compressed_accuracy is None:
            return None
        return self.original_accuracy - self.compressed_accuracy


@dataclass(frozen=True, kw_only=True)
class Scores:
    """One pass of several models over the same batches; the first model is the reference.

    ``agreements`` and ``tallies`` have one entry for each model; ``digest`` is a SHA-256 of the data.
    """

    agreements: tuple[Agreement, ...]
    tallies: tuple[Tally, ...]
    samples: int
    digest: str


def gather(original: bytes, compressed: bytes, batches: Batches, cpu: Cpu, progress: Progress) -> Evidence:
    """Measure an artifact against its original.

    Args:
        original: bytes of the float ONNX file.
        compressed: bytes of the artifact.
        batches: evaluation data; where they have labels, accuracy is measured too.
        cpu: threads and number of timed runs.
        progress: told of every batch.
    """
    sessions = [open_session(model, ALL_CORES) for model in (original, compressed)]
    scores = score(sessions, batches, progress)
    with progress.step("measure latency"):
        sample = batches.first().sample(signature_rows(sessions[0]))
        latency = compare_latency(original, compressed, sample.inputs, runs=cpu.runs, threads=cpu.threads)
    return Evidence(
        original_bytes=len(original),
        compressed_bytes=len(compressed),
        parity=scores.agreements[1],
        original_accuracy=scores.tallies[0].percent,
        compressed_accuracy=scores.tallies[1].percent,
        evaluated_samples=scores.samples,
        evaluation_digest=scores.digest,
        latency=latency,
        doubts=_doubts(scores, batches.role),
    )


def _doubts(scores: Scores, role: str) -> tuple[str, ...]:
    original, parity = scores.tallies[0], scores.agreements[1]
    doubts = []
    if original.percent is None and role == "evaluation":
        doubts.append("the evaluation data has no labels; accuracy is not measured")
    if original.could_be_guessed:
        doubts.append(
            f"the float model is right on {original.percent:.2f} % of the evaluation data, which guessing among"
            f" {original.classes} classes could reach; check the weights, the labels and the preprocessing"
        )
    if parity.sqnr_db < UNLIKE_DB and not _still_right(*scores.tallies):
        doubts.append(
            f"the artifact's outputs agree with the float model's to {parity.sqnr_db:.1f} dB only;"
            " check that the calibration data is like the evaluation data"
        )
    return tuple(doubts)


def _still_right(original: Tally, compressed: Tally) -> bool:
    """Whether accuracy says that other outputs are no worse, as after training."""
    before, after = original.percent, compressed.percent
    return before is not None and after is not None and before - after < RIGHT_POINTS


def score(sessions: Sequence[InferenceSession], batches: Batches, progress: Progress) -> Scores:
    """Run every model over every batch, once.

    Raises:
        DataError: a batch does not fit the models, or only some of the batches have labels.
    """
    agreements, tallies = [Agreement() for _ in sessions], [Tally() for _ in sessions]
    samples, labelled = 0, 0
    hasher = hashlib.sha256()
    for index, batch in enumerate(progress.track(batches, "evaluate")):
        samples += batch.rows
        batch.update(hasher)
        outputs = [run_session(session, batch.inputs) for session in sessions]
        agreements = [a.merge(Agreement.between(outputs[0], o)) for a, o in zip(agreements, outputs, strict=True)]
        if batch.labels is not None:
            labelled += batch.rows
            where = f"{batches.role} batch {index}"
            counts = [top1(o[0], batch.labels, where) for o in outputs]
            tallies = [tally.merge(count) for tally, count in zip(tallies, counts, strict=True)]
    if labelled not in (0, samples):
        raise DataError(f"only {labelled} of {samples} {batches.role} samples have labels; give all or none")
    return Scores(agreements=tuple(agreements), tallies=tuple(tallies), samples=samples, digest=hasher.hexdigest())


def signature_rows(session: InferenceSession) -> int:
    """The number of samples that one call takes: the fixed batch dimension, or 1."""
    rows = session.get_inputs()[0].shape[0]
    return rows if isinstance(rows, int) else 1
