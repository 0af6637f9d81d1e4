"""The parts of a batch: which of them are the inputs, which the labels, and which are of no use."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from edgecompress.errors import a_kind
from edgecompress.metrics.targets import is_array

TARGET_KEYS = ("labels", "label", "targets", "target", "y")
"""Under which of its keys a batch has its targets, the likeliest first."""
SPLITS = ("train", "test", "val", "valid", "calibration", "evaluation")
"""What a key ends in that names the split: ``y_train``."""


@dataclass(frozen=True, kw_only=True)
class InputNames:
    """The names of a model's inputs in order; the first ``required`` of them have no default."""

    names: tuple[str, ...]
    required: int


@dataclass(frozen=True, kw_only=True)
class Parts:
    """A batch taken apart.

    Attributes:
        inputs: one tensor, a tuple of tensors, or a dict by input name.
        labels: None where it has none.
        told: how it was taken apart, where that does not go without saying.
    """

    inputs: Any
    labels: Any = None
    told: str = ""


def target_key(sample: Mapping[str, Any], inputs: Collection[str] = ()) -> str:
    """Under which key a batch or a sample has its targets: one of :data:`TARGET_KEYS` that is no input.

    >>> target_key({"pixel_values": 0, "label": 3}), target_key({"x": 0, "label": 3}, ["x", "label"])
    ('label', 'labels')
    >>> target_key({"X_train": 0, "y_train": 3})
    'y_train'
    """
    first, *others = TARGET_KEYS
    if first in sample:
        return first
    plain = {_plain(name): name for name in sample if name not in inputs}
    return next((plain[key] for key in others if key in plain), first)


def parts_of(raw: Any, inputs: InputNames) -> Parts:
    """Take a batch apart.

    A pair of tensors is ``(inputs, labels)`` unless the model needs two inputs. What follows the labels is left out.
    The only tensor of a dict is the only input that the model needs, whatever it is called there.

    Args:
        raw: as the data give it.
        inputs: what the model takes.
    """
    if isinstance(raw, Mapping):
        return _of_mapping(raw, inputs)
    if not isinstance(raw, (tuple, list)) or len(raw) == 1:
        return Parts(inputs=raw)
    needed = _inputs_in(raw, inputs)
    if needed == len(raw):
        return Parts(inputs=raw)
    taken, told = (raw[0], "") if needed == 1 else (tuple(raw[:needed]), "")
    if isinstance(taken, Mapping):
        taken, told = _named(taken, inputs)
    return Parts(inputs=taken, labels=raw[needed], told=_joined([told, _told_of_sequence(raw, needed)]))


def _inputs_in(raw: Sequence[Any], inputs: InputNames) -> int:
    """How many of the parts are inputs; all of them where nothing is said of labels."""
    if isinstance(raw[0], (tuple, list, Mapping)) or (len(raw) == 2 and inputs.required < 2):
        return 1
    fixed = len(inputs.names) == max(inputs.required, 1)
    return len(inputs.names) if fixed and len(raw) > len(inputs.names) else len(raw)


def _told_of_sequence(raw: Sequence[Any], needed: int) -> str:
    left = len(raw) - needed - 1
    if left == 0:
        return ""
    which = "the first part is the input" if needed == 1 else f"the first {needed} parts are the inputs"
    others = "last one is" if left == 1 else f"last {left} are"
    return f"of the {len(raw)} parts of a batch {which}, the next one the labels; the {others} not read"


def _of_mapping(raw: Mapping[str, Any], inputs: InputNames) -> Parts:
    key = target_key(raw, inputs.names)
    taken, told = _named({name: value for name, value in raw.items() if name != key}, inputs)
    labels = f"{key!r} is taken for the labels" if key in raw and key not in TARGET_KEYS[:2] else ""
    return Parts(inputs=taken, labels=raw.get(key), told=_joined([told, labels]))


def _named(given: Mapping[str, Any], inputs: InputNames) -> tuple[dict[str, Any], str]:
    """Inputs by the model's names, without texts such as names of files; and what is told of that."""
    unread = [name for name, value in given.items() if name not in inputs.names and _is_words(value)]
    named = {name: value for name, value in given.items() if name not in unread}
    told = [f"{name!r} is not read: it holds {a_kind(given[name])}" for name in unread]
    alone = len(named) == 1 and inputs.required <= 1 and named.keys().isdisjoint(inputs.names)
    if alone and all(map(is_array, named.values())):
        ((name, value),) = named.items()
        return {inputs.names[0]: value}, _joined([f"{name!r} is taken for the input {inputs.names[0]!r}", *told])
    return named, _joined(told)


def _joined(told: Sequence[str]) -> str:
    return ", ".join(filter(None, told))


def _is_words(value: Any) -> bool:
    """Whether it is no tensor and holds none, such as the names of files."""
    if isinstance(value, (list, tuple)):
        return bool(value) and all(map(_is_words, value))
    return value is None or isinstance(value, (str, bytes))


def _plain(name: object) -> str:
    """A key in small letters, without the split that it names."""
    word, _, split = str(name).lower().rpartition("_")
    return word if word and split in SPLITS else str(name).lower()
