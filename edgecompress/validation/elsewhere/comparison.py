"""The artifact at other places, and its outputs there against those on this machine."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np

from edgecompress.arrays import Array, TensorSpec
from edgecompress.axes.classes import shown_axis
from edgecompress.data.batches import Batch
from edgecompress.errors import USER_CODE_FAILS, a_kind, first_line, plural
from edgecompress.metrics.agreement import Agreement
from edgecompress.progress import Progress
from edgecompress.recipe.tables import Validation
from edgecompress.runtime import ALL_CORES, open_session, run_session, session_rows
from edgecompress.system.scratch import scratch_folder
from edgecompress.validation.elsewhere.first_difference import LosingNode, first_difference
from edgecompress.validation.elsewhere.judged import Scoring, judged
from edgecompress.validation.elsewhere.place import Answer, RunNode, TellingPlace
from edgecompress.validation.elsewhere.places import NamedPlace
from edgecompress.validation.elsewhere.results import PlaceResult
from edgecompress.validation.elsewhere.timed import TimedPlace, TimingTask

MODEL = "model.onnx"
NPU = "NPU"
ALIKE_DB, GARBAGE_DB = 25.0, 10.0
"""Agreement with this machine, and with the float model, below which it is looked for what goes wrong on an NPU."""


@dataclass(frozen=True, kw_only=True)
class Workload:
    """What is run at a place: the bytes of an ONNX file, batches for its inputs, and the outputs here by name.

    ``scoring`` is what its answers are judged by where the batches have labels.
    ``timing`` is what a place that measures does with it, too.
    """

    artifact: bytes
    inputs: tuple[str, ...]
    batches: Sequence[Batch]
    expected: Sequence[Mapping[str, Array]]
    scoring: Scoring | None = None
    timing: TimingTask | None = None

    @property
    def samples(self) -> int:
        """That are run; 0 where the model has no inputs."""
        return sum(batch.rows for batch in self.batches) if self.inputs else 0


def compare_places(
    artifact: bytes,
    golden: Batch,
    measured: Iterable[Batch],
    places: Sequence[NamedPlace],
    progress: Progress,
    *,
    samples: int = Validation().samples,
    scoring: Scoring | None = None,
    timing: TimingTask | None = None,
) -> tuple[PlaceResult, ...]:
    """Run the artifact at every place and compare its outputs with those on this machine.

    Args:
        artifact: bytes of the ONNX file.
        golden: the inputs of the self-test, for places that run nothing else.
        measured: inputs that fit the artifact, for all others.
        places: what :func:`~edgecompress.validation.elsewhere.places.find_places` found.
        progress: told of every place, and of what fails or is missing there.
        samples: how many of ``measured`` are run, at most.
        scoring: a metric that their labels are for, with the float model.
        timing: for places that measure.
    """
    found: dict[bool, Workload] = {}
    results = []
    for named in places:
        few = named.handling.golden
        if few not in found:
            made = make_workload(artifact, [golden] if few else measured, samples, scoring)
            found[few] = replace(made, timing=timing)
        results.append(compare_at(found[few], named, progress))
    return tuple(results)


def make_workload(artifact: bytes, batches: Iterable[Batch], count: int, scoring: Scoring | None = None) -> Workload:
    """The first ``count`` samples, and the outputs for them on this machine."""
    session = open_session(artifact, ALL_CORES)
    stream = iter(batches)
    first = next(stream)
    whole = session_rows(session, first.axes) is not None
    taken = first_samples(chain([first], stream), count, whole=whole)
    names = [spec.name for spec in session.get_outputs()]
    return Workload(
        artifact=artifact,
        inputs=tuple(spec.name for spec in session.get_inputs()),
        batches=taken,
        expected=[dict(zip(names, run_session(session, batch.inputs), strict=True)) for batch in taken],
        scoring=scoring,
    )


def first_samples(batches: Iterable[Batch], count: int, *, whole: bool) -> list[Batch]:
    """The first ``count`` samples, batch by batch; a model of fixed batch size needs ``whole`` batches."""
    taken: list[Batch] = []
    left = count
    for batch in batches:
        if left <= 0 or (whole and taken and batch.rows > left):
            break
        taken.append(batch if whole or batch.rows <= left else batch.slice(0, left))
        left -= batch.rows
    return taken


def compare_at(workload: Workload, named: NamedPlace, progress: Progress) -> PlaceResult:
    """Run a workload at one place; ``progress`` is told of it, and of what fails or is missing there."""
    if named.place is None:
        progress.warn(f"the artifact is not run {named.where}: {named.missing}")
        absent = PlaceResult(place=named.name, samples=workload.samples, unit=named.handling.unit)
        return replace(absent, installed=False, failure=named.missing)
    if isinstance(named.place, TellingPlace):
        answer = _answer(workload, replace(named, place=named.place.telling(progress)))
    else:
        with progress.step(f"running {named.where}"):
            answer = _answer(workload, named)
    result = _result(workload, named.name, answer) if named.handling.outputs else _timed(named.name, answer)
    result = replace(result, unit=named.handling.unit)
    if result.failure is not None:
        progress.warn(f"the artifact does not run {named.where}: {result.failure}")
    elif named.handling.unit == NPU and _answers_otherwise(workload, result, answer):
        difference = _difference(workload, named)
        progress.warn(f"the artifact answers otherwise {named.where}{'' if difference is None else f': {difference}'}")
    return result


def _answers_otherwise(workload: Workload, result: PlaceResult, answer: Answer) -> bool:
    """Whether outputs at a place are others than here, or have little to do with those of the float model."""
    floats = None if workload.scoring is None else workload.scoring.floats
    if result.agreement.sqnr_db < ALIKE_DB or floats is None:
        return result.agreement.sqnr_db < ALIKE_DB
    real = run_session(open_session(floats, ALL_CORES), workload.batches[0].inputs)
    return Agreement.between(real, list(answer.outputs[0].values())).sqnr_db < GARBAGE_DB


def _difference(workload: Workload, named: NamedPlace) -> LosingNode | None:
    assert named.place is not None
    inputs = {name: workload.batches[0].inputs[name] for name in workload.inputs}
    floats = None if workload.scoring is None else workload.scoring.floats
    return first_difference(workload.artifact, floats, inputs, named.place)


def _answer(workload: Workload, named: NamedPlace) -> Answer:
    """What a place answers, checked; it is handed copies, so that it can spoil nothing for the next one."""
    assert named.place is not None
    batches = [{name: batch.inputs[name].copy() for name in workload.inputs} for batch in workload.batches]
    with scratch_folder() as folder:
        model = Path(folder, MODEL)
        model.write_bytes(workload.artifact)
        try:
            place, timing = named.place, workload.timing
            if timing is not None and isinstance(place, TimedPlace):
                answer = place.measure(model, batches, timing)
            else:
                answer = place.run(model, batches)
        except USER_CODE_FAILS as error:  # whatever the code of a runtime raises
            return Answer(failure=f"{named.told} fails: {first_line(error)}")
    expected = workload.expected if named.handling.outputs else []
    misfit = next(_misfits(expected, answer), None)
    return answer if misfit is None else Answer(failure=f"{named.told} gives {misfit}", ran_on=_ran_on(answer))


def _misfits(expected: Sequence[Mapping[str, Array]], answer: Any) -> Iterator[str]:
    """How an answer is not what was asked for."""
    if not isinstance(answer, Answer):
        yield f"{a_kind(answer)}, expected an Answer"
    elif answer.failure is None and not isinstance(answer.outputs, Sequence):
        yield f"{a_kind(answer.outputs)} as its outputs, expected a list"
    elif not isinstance(answer.nodes, Sequence) or not all(isinstance(node, RunNode) for node in answer.nodes):
        yield f"{a_kind(answer.nodes)} as its nodes, expected RunNodes"
    elif answer.failure is None:
        given, wanted = len(answer.outputs), len(expected)
        if given != wanted:
            yield f"outputs for {plural(given, 'batch')}, expected {wanted}"
        for theirs, ours in zip(answer.outputs, expected, strict=False):
            yield from _other_outputs(ours, theirs)


def _other_outputs(expected: Mapping[str, Array], outputs: Any) -> Iterator[str]:
    if not isinstance(outputs, Mapping):
        yield f"{a_kind(outputs)} as the outputs of a batch, expected arrays by name"
    elif outputs.keys() != expected.keys():
        yield f"{_listed(outputs)}, expected {_listed(expected)}"
    else:
        for name, array in expected.items():
            given, wanted = _spec(name, outputs[name]), _spec(name, array)
            if given != wanted:
                yield f"output {name!r} as {given}, expected {wanted}"


def _listed(outputs: Mapping[str, Any]) -> str:
    return f"outputs {', '.join(map(repr, outputs))}" if outputs else "no outputs"


def _spec(name: str, value: Any) -> str:
    if not isinstance(value, np.ndarray):
        return a_kind(value)
    return str(TensorSpec(name=name, dtype=value.dtype, shape=value.shape))


def _ran_on(answer: Any) -> dict[str, str]:
    """What an answer says of its place, as texts; nothing where it is no mapping."""
    told = getattr(answer, "ran_on", None)
    return {str(name): str(value) for name, value in told.items()} if isinstance(told, Mapping) else {}


def _timed(place: str, answer: Answer) -> PlaceResult:
    """What a place gave that gives no outputs."""
    failure = None if answer.failure is None else " ".join(str(answer.failure).split())
    measured = answer.measured if failure is None else None
    if failure is None and measured is None:
        failure = "nothing was measured"
    return PlaceResult(
        place=place, samples=0, compared=False, ran_on=_ran_on(answer), measured=measured, failure=failure
    )


def _result(workload: Workload, place: str, answer: Answer) -> PlaceResult:
    nodes, ran_on = tuple(answer.nodes), _ran_on(answer)
    found = PlaceResult(place=place, samples=workload.samples, ran_on=ran_on, nodes=nodes, measured=answer.measured)
    if answer.failure is not None:
        return replace(found, failure=" ".join(str(answer.failure).split()) or "no reason given")
    agreement, identical = Agreement(), True
    scores = workload.scoring is None or workload.scoring.measure.of_raw_scores
    for batch, here, outputs in zip(workload.batches, workload.expected, answer.outputs, strict=True):
        names, ours = list(here), list(here.values())
        theirs = [outputs[name] for name in names]
        axis = shown_axis(batch if scores else replace(batch, labels=None), ours[0], "the batch")
        agreement = agreement.merge(Agreement.between(ours, theirs, names=names, class_axis=axis))
        identical = identical and all(own.tobytes() == far.tobytes() for own, far in zip(ours, theirs, strict=True))
    if not agreement.finite:
        return replace(found, identical=identical, failure="outputs that are not finite")
    metric = judged(workload.scoring, workload.batches, workload.expected, answer.outputs)
    return replace(found, identical=identical, agreement=agreement, metric=metric, files=dict(answer.files))
