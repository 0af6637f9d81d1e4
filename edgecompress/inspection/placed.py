"""Where each node of an artifact runs at another place, in the order in which it runs."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from edgecompress.arrays import Array
from edgecompress.bundle.reading import ARTIFACT, Bundle, read_bundle
from edgecompress.bundle.revalidation import read_golden
from edgecompress.data.batches import Batch
from edgecompress.data.dummy_inputs import dummy_inputs, free_dimensions
from edgecompress.errors import ModelError, RecipeError, nearest
from edgecompress.progress import Item, Progress
from edgecompress.registry import RUNTIMES, built_in, is_known
from edgecompress.runtime import open_session
from edgecompress.system.isolation import require_file
from edgecompress.targets import profile_names
from edgecompress.targets.profile import place_of
from edgecompress.timing.benchmark import specs_of
from edgecompress.validation.elsewhere.comparison import compare_places
from edgecompress.validation.elsewhere.place import RunNode
from edgecompress.validation.elsewhere.places import NamedPlace, find_places, runtime_of
from edgecompress.validation.elsewhere.results import PlaceResult
from edgecompress.validation.elsewhere.segments import Segment, segments_of, share_of_macs


@dataclass(frozen=True, kw_only=True)
class PlacedNetwork:
    """The nodes of a network as they ran at a place, in their order.

    ``unit`` is the unit of the place that is meant to run them, ``ran_on`` name -> version or model.
    """

    place: str
    unit: str
    nodes: tuple[RunNode, ...]
    ran_on: dict[str, str]

    @property
    def segments(self) -> tuple[Segment, ...]:
        """The nodes, cut where another unit takes over; between two of them is a crossing."""
        return segments_of(self.nodes)

    @property
    def share(self) -> float | None:
        """The share of the multiply-accumulates that the unit of the place does; None where they were not counted."""
        return share_of_macs(self.nodes, self.unit)

    def document(self) -> dict[str, Any]:
        """The same as plain data, for JSON."""
        return {
            "place": self.place,
            "unit": self.unit,
            "ran_on": self.ran_on,
            "share": self.share,
            "crossings": len(self.segments) - 1,
            "segments": [segment.entry for segment in self.segments],
            "nodes": [asdict(node) for node in self.nodes],
        }


def inspect_placed(given: Bundle | str | Path, on: str, progress: Progress) -> PlacedNetwork:
    """Run an artifact at a place, a sample of it, and tell where its nodes ran.

    Args:
        given: a bundle, its folder, or an ONNX file.
        on: the name of a place, ``RUNTIME`` or ``RUNTIME:DEVICE``, or that of a target that is made for one.
        progress: told of the run.

    Raises:
        ModelError: the file is not there, has dimensions whose size nobody knows, or does not run there.
        OutputError: the bundle was changed.
        RecipeError: there is no such place or target, what it needs is missing, or it does not tell of nodes.
    """
    place = _place(on)
    path = _file(given)
    result = _run(path, _sample(given, path), place, progress)
    if result.failure is not None:
        raise ModelError(
            f"{str(path)!r} does not run {place.where}: {result.failure}; compress for a target that is made for it"
        )
    if not result.nodes:
        raise RecipeError(f"{place.told} does not tell where nodes run; name one that does, such as 'qnn'")
    return PlacedNetwork(place=place.name, unit=result.unit, nodes=result.nodes, ran_on=dict(result.ran_on))


def _place(on: str) -> NamedPlace:
    """The place of a name, or that which the target of a name is made for."""
    if on not in profile_names() and not is_known(RUNTIMES, on):
        known = built_in(RUNTIMES)
        raise RecipeError(
            f"there is no runtime or target {on!r}; name a runtime, {', '.join(known)}, or a target that is made for"
            f" one, as 'snapdragon'{nearest(runtime_of(on), [*known, *profile_names()])}"
        )
    (found,) = find_places([place_of(on)])
    return found


def _file(given: Bundle | str | Path) -> Path:
    if isinstance(given, Bundle):
        return given.artifact
    path = Path(given)
    if not path.is_dir():
        require_file(path)
    return path / ARTIFACT if path.is_dir() else path


def _sample(given: Bundle | str | Path, path: Path) -> dict[str, Array]:
    """A sample of the self-test of a bundle; for a file by itself one that is made up from the shapes it declares."""
    folder = given.path if isinstance(given, Bundle) else Path(given)
    if folder.is_dir():
        read_bundle(folder)
        return read_golden(folder, open_session(path, threads=1))[0]
    specs = specs_of(path)
    if unknown := free_dimensions(specs):
        raise ModelError(f"{str(path)!r} has the dynamic dimension {unknown[0]!r}; give the bundle, which has inputs")
    return dummy_inputs(specs, 1)


def _run(path: Path, inputs: dict[str, Array], place: NamedPlace, progress: Progress) -> PlaceResult:
    """The outcome at a place, told of by whoever asked, and not in a warning, too."""
    batch = Batch(inputs=inputs)
    (result,) = compare_places(path.read_bytes(), batch, [batch], [place], _Unwarned(progress), samples=1)
    return result


class _Unwarned(Progress):
    """Progress whose warnings are told in another way."""

    def __init__(self, shown: Progress) -> None:
        self._shown = shown

    def track(
        self, items: Iterable[Item], label: str, counted: str, total: int | None = None, note: Callable[[], str] = str
    ) -> Iterator[Item]:
        return self._shown.track(items, label, counted, total, note)

    @contextmanager
    def step(self, label: str) -> Iterator[None]:
        with self._shown.step(label):
            yield
