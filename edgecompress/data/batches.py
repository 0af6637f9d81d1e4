"""DATA: batches of a user's own, in the forms that the documentation lists, checked as they stream.

A batch is ``(inputs, labels)`` or ``inputs``; ``inputs`` is one tensor, a tuple of tensors, or a dict
from input name to tensor (:mod:`edgecompress.data.parts` says where the labels are). Nothing is kept: each pass
opens the source again and holds one batch at a time. A dataset is loaded in batches.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from numbers import Real
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch.utils.data import Dataset

from edgecompress.arrays import Array, Axes, TensorSpec, batch_sizes, fixed_rows
from edgecompress.data.batch_axes import Shape
from edgecompress.data.datasets import BATCH_ROWS, Loaded
from edgecompress.data.digest import digest_of
from edgecompress.data.parts import InputNames as InputNames
from edgecompress.data.parts import parts_of
from edgecompress.data.whole import as_batches
from edgecompress.errors import USER_CODE_FAILS, DataError, InputError, a_kind, first_line, nearest, plural
from edgecompress.metrics.accuracy import IGNORED_LABEL
from edgecompress.metrics.fitting import fitting_metric
from edgecompress.metrics.metric import DEFAULT, Measure, named_measure
from edgecompress.metrics.targets import NUMBERS, cut, is_array, is_numbers, require_samples

Source = Callable[[], Iterable[Any]]
NO_AXES: Axes = {}
OTHER = "O"
"""In addition to NumPy's letters: whatever is no array of numbers."""
ANY = f"{NUMBERS}{OTHER}"
"""Labels of any form."""
Index = slice | NDArray[np.intp]


@dataclass(frozen=True, kw_only=True)
class Batch:
    """Arrays by input name, all with the same number of rows; ``labels`` are class indices by default, targets in any
    other form as they are (:mod:`edgecompress.metrics.targets`), or absent.

    ``class_axis`` is the axis of the scores that the labels lack, as :func:`edgecompress.metrics.accuracy.class_axis`
    takes it.
    ``axes`` says along which axis each input holds its samples. Labels hold them along the first.
    """

    inputs: dict[str, Array]
    labels: Any = None
    class_axis: int | None = None
    axes: Axes = field(default_factory=dict)

    @property
    def rows(self) -> int:
        """The number of samples: the size of the first input that has a batch axis, along it; 1 where none has."""
        shapes = {name: array.shape for name, array in self.inputs.items()}
        return int(next(iter(batch_sizes(shapes, self.axes)), 1))

    def axis(self, name: str) -> int | None:
        """Along which axis an input is cut; None where it stays whole, for it does not share the batch dimension."""
        axis, shape = self.axes.get(name, 0), self.inputs[name].shape
        return axis if 0 <= axis < len(shape) and shape[axis] == self.rows else None

    def slice(self, start: int, stop: int) -> Self:
        """The samples ``start`` to ``stop``; arrays that do not share the batch dimension stay whole."""
        return self._taken(slice(start, stop))

    def sample(self, rows: int) -> Self:
        """``rows`` samples: the first ones, repeated where there are too few."""
        return self._taken(np.arange(rows) % self.rows)

    def _taken(self, index: Index) -> Self:
        axes = {name: self.axis(name) for name in self.inputs}
        taken = {
            name: array if (axis := axes[name]) is None else array[(slice(None),) * axis + (index,)]
            for name, array in self.inputs.items()
        }
        return replace(self, inputs=taken, labels=None if self.labels is None else cut(self.labels, index))

    def update(self, hasher: hashlib._Hash) -> None:
        """Add names, dtypes, shapes and values to a digest of the data.

        Raises:
            DataError: labels hold something whose values cannot be read.
        """
        labels = {} if self.labels is None else {"labels": self.labels}
        for name, value in sorted({**self.inputs, **labels}.items(), key=lambda item: item[0]):
            if is_numbers(value):
                hasher.update(f"{name}:{value.dtype}:{value.shape};".encode())
                hasher.update(np.ascontiguousarray(value).data)
            else:
                hasher.update(name.encode() + digest_of(value))


@dataclass(frozen=True, kw_only=True)
class Batches:
    """A checked stream that can be read any number of times.

    Iterating raises :class:`DataError` at the first batch that is not what it should be, naming the
    batch, the input and the fault. ``label_kinds`` are NumPy's letters of the dtypes that labels may have: class
    indices by default, ``"iuf"`` for a regression; :data:`OTHER` among them stands for every other form.
    Where the ``signature`` fixes the number of samples, or the ``declared`` shapes of the inputs do, batches of a
    multiple of it are cut.
    ``class_axis`` and ``axes`` are those of every batch; ``measure`` is what networks are measured by. Class indices
    that are ``ignore_index`` become -100, which counts for nothing.
    """

    role: str
    source: Source
    inputs: InputNames
    signature: tuple[TensorSpec, ...] = ()
    declared: Mapping[str, Shape] = field(default_factory=dict)
    use_labels: bool = True
    label_kinds: str = "iu"
    class_axis: int | None = None
    ignore_index: int | None = None
    axes: Axes = field(default_factory=dict)
    measure: Measure = field(default_factory=lambda: named_measure(DEFAULT))

    def __iter__(self) -> Iterator[Batch]:
        index = -1
        for index, raw in enumerate(self.source()):
            where = f"{self.role} batch {index}"
            parts = parts_of(raw, self.inputs)
            wanted = self.use_labels and parts.labels is not None
            if wanted:
                _check_order(parts.inputs, parts.labels, where, self.label_kinds)
            taken = self._labels(parts.labels, where) if wanted else None
            taken = _without_ignored(taken, self.ignore_index)
            batch = replace(_parse(parts.inputs, taken, self.inputs, self.axes, where), class_axis=self.class_axis)
            _check_finite(batch, where)
            for fitting in self._cut(batch):
                for spec in self.signature:
                    _check_spec(fitting, spec, where)
                yield fitting
        if index < 0:
            raise DataError(f"the {self.role} data yields no batches; return at least one")

    def _cut(self, batch: Batch) -> Iterator[Batch]:
        """A batch in parts of as many samples as a model fixes, where they come out even, and then fit."""
        shapes: Mapping[str, Sequence[int | str | None]] = {
            spec.name: spec.shape for spec in self.signature
        } or self.declared
        rows = fixed_rows(shapes, self.axes)
        if not rows or batch.rows <= rows or batch.rows % rows or not _fits(batch.slice(0, rows), shapes):
            yield batch
            return
        yield from (batch.slice(start, start + rows) for start in range(0, batch.rows, rows))

    def _labels(self, value: Any, where: str) -> Any:
        try:
            return _labels(value, where, self.label_kinds)
        except DataError:
            if self.role == "evaluation" and (fit := fitting_metric(value)):
                named = not self.measure.is_top1
                raise DataError(f"{where}: labels are {fit.labels}; give {fit.advice(named)}") from None
            raise

    @property
    def as_classes(self) -> Self:
        """The same data, with labels only where these are classes of the first output."""
        return replace(self, use_labels=self.use_labels and self.measure.of_raw_scores)

    def first(self) -> Batch:
        """The first batch."""
        return next(iter(self))

    def first_labels(self) -> Any:
        """The labels of the first batch, in whatever form they are, and whether or not they are read elsewhere."""
        return replace(self, use_labels=True, label_kinds=ANY, ignore_index=None).first().labels

    def count(self) -> int:
        """The number of batches; where the source does not tell, it is read through once."""
        opened = self.source()
        try:
            return len(opened)  # type: ignore[arg-type]
        except TypeError:
            return sum(1 for _ in opened)


def rereadable(source: Source, role: str, rows: int = BATCH_ROWS, axes: Axes = NO_AXES) -> Source:
    """``source`` as something that every pass can open anew.

    A list, a ``DataLoader``, a ``Dataset`` or a generator function can be read again; a generator that is already
    running cannot, since calibration takes two passes.

    Args:
        source: gives the batches, or a dataset of single samples.
        role: of the data; that of training is shuffled where it is a dataset.
        rows: samples to a batch, where it is a dataset, or arrays of all samples.
        axes: along which axis such arrays hold their samples, where that is not the first.

    Raises:
        DataError: it can be read only once, or it is no iterable at all.
    """
    first = _open(source, role, rows, axes)
    if not isinstance(first, Iterator):
        return lambda: _Reading(lambda: first, role, rows)
    if _open(source, role, rows, axes) is first:
        raise DataError(f"the {role} data can be read only once; return a list, a DataLoader or a new generator")
    return lambda: _Reading(source, role, rows)


class _Reading:
    """The user's own batches; what the user's code raises while making them is named as theirs."""

    def __init__(self, source: Source, role: str, rows: int) -> None:
        self._source, self._role, self._rows = source, role, rows

    def __iter__(self) -> Iterator[Any]:
        try:
            yield from _open(self._source, self._role, self._rows)
        except InputError:
            raise
        except USER_CODE_FAILS as error:
            raise DataError(_raised(self._role, error)) from error

    def __len__(self) -> int:
        """Number of batches; a ``TypeError``, as ``len`` raises it, where the source does not tell."""
        return len(_open(self._source, self._role, self._rows))  # type: ignore[arg-type]


def _open(source: Source, role: str, rows: int, axes: Axes = NO_AXES) -> Iterable[Any]:
    try:
        opened = source()
    except InputError:
        raise
    except USER_CODE_FAILS as error:
        raise DataError(_raised(role, error)) from error
    if isinstance(opened, Dataset):
        return Loaded(opened, role=role, rows=rows)
    opened = as_batches(opened, role=role, rows=rows, axes=axes)
    if not isinstance(opened, Iterable) or isinstance(opened, (torch.Tensor, np.ndarray, str, Mapping)):
        raise DataError(f"the {role} data is {a_kind(opened)}; return an iterable of batches")
    return opened


def _raised(role: str, error: BaseException) -> str:
    return f"the {role} data raised {type(error).__name__}: {first_line(error)}; repair the code that makes it"


def _parse(features: Any, labels: Any, inputs: InputNames, axes: Axes, where: str) -> Batch:
    if isinstance(features, Mapping):
        named = dict(features)
    elif isinstance(features, (tuple, list)):
        if len(features) > len(inputs.names):
            raise DataError(f"{where} has {plural(len(features), 'input')}; the model takes {', '.join(inputs.names)}")
        named = dict(zip(inputs.names, features, strict=False))
    else:
        named = {inputs.names[0]: features}
    for name in named:
        if name not in inputs.names:
            raise DataError(
                f"{where} has an input {name!r} that the model does not take;"
                f" its inputs are {', '.join(inputs.names)}{nearest(name, inputs.names)}"
            )
    arrays = {name: _array(value, f"{where}: {name!r}") for name, value in named.items()}
    if not arrays:
        raise DataError(f"{where} holds no inputs; the model takes {', '.join(inputs.names)}")
    batch = Batch(inputs=arrays, labels=labels, axes=axes)
    _check_rows(batch, where)
    return batch


def _fits(batch: Batch, shapes: Mapping[str, Sequence[int | str | None]]) -> bool:
    """Whether arrays have these shapes; what is no number there is free."""
    return all(
        len(shape) == batch.inputs[name].ndim
        and all(size == has for size, has in zip(shape, batch.inputs[name].shape, strict=True) if isinstance(size, int))
        for name, shape in shapes.items()
        if name in batch.inputs
    )


def _array(value: Any, where: str) -> Array:
    if isinstance(value, torch.Tensor):
        if value.dtype is torch.bfloat16:
            raise DataError(f"{where} is bfloat16, which ONNX Runtime does not run here; convert it to float32")
        value = value.detach().cpu().numpy()
    if not isinstance(value, np.ndarray) or value.dtype.kind not in NUMBERS:
        raise DataError(f"{where} is {a_kind(value)}; a tensor of numbers is needed")
    return value


def _check_order(features: Any, labels: Any, where: str, kinds: str) -> None:
    """Refuse class indices that stand where inputs belong, with floats behind them where no such labels are read."""
    if is_array(features) and is_array(labels) and "f" not in kinds:
        first, second = _array_of(features), _array_of(labels)
        if first.ndim == 1 and first.dtype.kind in "iu" and second.ndim > 1 and second.dtype.kind == "f":
            raise DataError(
                f"{where}: inputs are {first.dtype} of shape {first.shape}, labels {second.dtype} of shape"
                f" {second.shape}; they are swapped: give (inputs, labels)"
            )


def _labels(value: Any, where: str, kinds: str) -> Any:
    """The labels, where they are of a kind that is read.

    Raises:
        DataError: they are of another one.
    """
    labels = _numbers(value) if OTHER in kinds else _array_of(value)
    if not is_numbers(labels) and OTHER in kinds:
        return value
    if is_numbers(labels) and labels.dtype.kind in kinds:
        return labels
    if not is_numbers(labels):
        raise DataError(
            f"{where}: labels are {a_kind(value)} that is no array of numbers; give class indices, an integer"
            " array of shape (rows,), name a metric that takes them (--metric), or leave labels out"
        )
    if labels.ndim > 1:
        raise DataError(
            f"{where}: labels are {labels.dtype} of shape {labels.shape}; give class indices (integers): where they are"
            " one-hot, labels.argmax(1)"
        )
    raise DataError(f"{where}: labels are {labels.dtype}; give class indices (integers), or leave labels out")


def _without_ignored(labels: Any, ignored: int | None) -> Any:
    """Class indices with -100 in the place of those that are ignored; other labels as they are."""
    if ignored is None or not is_numbers(labels) or labels.dtype.kind not in "iu":
        return labels
    return np.where(labels == ignored, IGNORED_LABEL, labels.astype(np.int64))


def _numbers(value: Any) -> Array | None:
    """An array of what is one already, or a number for each sample; a list of anything else is left as it is."""
    if isinstance(value, (list, tuple)):
        return _array_of(value) if value and all(map(_is_number, value)) else None
    return _array_of(value) if is_array(value) else None


def _is_number(value: Any) -> bool:
    return value.shape == () if is_array(value) else isinstance(value, Real)


def _array_of(value: Any) -> Array:
    try:
        return value.detach().cpu().numpy() if isinstance(value, torch.Tensor) else np.asarray(value)
    except (TypeError, ValueError):  # bfloat16, and lists of unequal lengths
        return np.asarray(None)


def _check_rows(batch: Batch, where: str) -> None:
    shapes = {name: array.shape for name, array in batch.inputs.items()}
    for name, shape in shapes.items():
        axis = batch.axes.get(name, 0)
        if axis >= len(shape) > 0:
            raise DataError(f"{where}: {name!r} has shape {shape} and no axis {axis}; see export.batch_axes")
        if (shape and axis >= 0 and shape[axis] == 0) or not any(shapes.values()):
            place = "the first dimension" if axis == 0 else f"axis {axis}"
            raise DataError(f"{where}: {name!r} has shape {shape}; {place} must be the batch, and not 0")
    if is_numbers(batch.labels):
        if not batch.labels.shape:
            raise DataError(
                f"{where} is a single sample, with one label; give batches, samples along the first dimension"
            )
        if batch.labels.size and batch.labels.shape[:1] != (batch.rows,):
            raise DataError(
                f"{where} has {plural(batch.rows, 'sample')} but labels of shape {batch.labels.shape};"
                " give each its own"
            )
    elif batch.labels is not None:
        require_samples(batch.labels, batch.rows, where)


def _check_finite(batch: Batch, where: str) -> None:
    for name, array in batch.inputs.items():
        if array.dtype.kind == "f" and not np.isfinite(array).all():
            kind = "NaN" if np.isnan(array).any() else "infinity"
            raise DataError(f"{where}: {name!r} holds {kind}; clean the data or its preprocessing")


def _check_spec(batch: Batch, spec: TensorSpec, where: str) -> None:
    array = batch.inputs.get(spec.name)
    if array is None:
        raise DataError(f"{where} lacks the input {spec.name!r}; the exported model takes {spec}")
    if not spec.accepts(array):
        raise DataError(f"{where}: {spec.name!r} is {array.dtype} {array.shape}; the exported model takes {spec}")
