"""What a place to run is: it takes a model file and named inputs, and gives named outputs, or a line why it does not.

A place is a runtime, or a device of one, and is written ``RUNTIME`` or ``RUNTIME:DEVICE``. Each runtime is a file of
``runtimes/`` with a function ``find_place``; other packages register theirs as entry points of
``edgecompress.runtimes`` (:mod:`edgecompress.registry`). A recipe names places in ``validation.on``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, TypeVar, runtime_checkable

from edgecompress.arrays import Array, Inputs
from edgecompress.progress import Progress
from edgecompress.validation.elsewhere.measured import DeviceFigures

NARROW = frozenset({"u4", "i4", "u8", "i8", "u16", "i16"})
"""Precisions of quantized arithmetic; wider integers count and index."""


@dataclass(frozen=True, kw_only=True)
class RunNode:
    """A node of the network as a runtime ran it: one of the file, or what several of these became there.

    Attributes:
        name: as the runtime calls it.
        operator: its type there.
        unit: of the device that ran it: ``CPU``, ``GPU``, ``NPU``.
        precision: of its arithmetic, ``u8`` or ``f32``; empty where the runtime does not say.
        why: it ran on no better unit, in the words of the compiler; empty where it did, or nothing was said.
        macs: its multiply-accumulates for one run; None where they were not counted.
    """

    name: str
    operator: str
    unit: str
    precision: str = ""
    why: str = ""
    macs: int | None = None

    @property
    def integer(self) -> bool:
        """Whether it multiplied integers of at most 16 bits.

        >>> [RunNode(name="a", operator="Add", unit="CPU", precision=p).integer for p in ("u8", "i16", "i64", "f32")]
        [True, True, False, False]
        """
        return self.precision in NARROW


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What came back from a place.

    Attributes:
        outputs: for each batch its outputs, by the names and with the shapes and dtypes of the model.
        nodes: that ran, in their order; none where the runtime does not tell.
        ran_on: what it ran on, name -> version or model, for the manifest and the report.
        files: that the runtime made of the model, by name; they ship with it where it is made for that place.
        failure: why there are no outputs, in one line; None where there are.
        measured: times and memory there, where the place was asked for them.
    """

    outputs: Sequence[Mapping[str, Array]] = ()
    nodes: Sequence[RunNode] = ()
    ran_on: Mapping[str, str] = field(default_factory=dict)
    files: Mapping[str, bytes] = field(default_factory=dict)
    failure: str | None = None
    measured: DeviceFigures | None = None


class Place(Protocol):
    """Somewhere to run a model."""

    def run(self, model: Path, batches: Sequence[Inputs]) -> Answer:
        """Run every batch.

        Args:
            model: an ONNX file. It is alone in its folder, which may be written to and is removed afterwards.
            batches: arrays by input name, for each of the model's inputs. Their number of rows may differ.

        Returns:
            The outputs, or why there are none. What is raised counts as a failure, too, and is told with the name of
            the package.
        """
        ...


@runtime_checkable
class TellingPlace(Place, Protocol):
    """A place that says itself how far it is."""

    def telling(self, progress: Progress) -> Place:
        """The same place, which tells ``progress`` of its batches."""
        ...


FindPlace = Callable[[str], Place]
"""From a device, as it stands behind the colon of a place's name, to the place; from an empty text where there is none.

It raises RecipeError where there is no such device, or something has to be installed: with one line that says what.
It is asked before long work begins."""


@dataclass(frozen=True, kw_only=True)
class Handling:
    """How the runs of a runtime are planned, told and fed.

    Attributes:
        step: the name of the step in the plan.
        what: the step does; by default it names the places.
        where: the artifact runs, for messages; by default "on" the place.
        golden: run only the inputs of the self-test, where data is slow to hand over. By default it is the first
            samples of the evaluation data, if there are any.
        devices: that there are, whatever is installed; none where only the runtime itself knows.
        unit: of its devices that is meant to run the nodes: budgets bound what is left to the CPU.
        compiler: the package whose version a file is of that it compiles, and that ships; empty where none does.
        fixed_shapes: it compiles a file, and takes no dynamic dimension; samples are run one by one.
        outputs: it gives them back; a runtime that only measures does not, and nothing is compared.
    """

    step: str = "run"
    what: str | None = None
    where: str | None = None
    golden: bool = False
    devices: tuple[str, ...] = ()
    unit: str = "CPU"
    compiler: str = ""
    fixed_shapes: bool = False
    outputs: bool = True


FindPlaceT = TypeVar("FindPlaceT", bound=Callable[..., Any])


def handled(handling: Handling) -> Callable[[FindPlaceT], FindPlaceT]:
    """Mark a ``find_place`` whose runs are not handled as by default."""

    def mark(find_place: FindPlaceT) -> FindPlaceT:
        find_place.handling = handling  # type: ignore[attr-defined]
        return find_place

    return mark
