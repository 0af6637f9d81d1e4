"""Whether the tables of a recipe hold together."""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise

from edgecompress.errors import RecipeError, plural

BREAKING = ("Cc", "Cs", "Zl", "Zp")
"""Unicode's categories of the signs that no text of one line has: controls, surrogates, separators of lines."""


def check_order(
    order: Sequence[str], enabled: Sequence[str], options: Iterable[str], stages: Mapping[str, int]
) -> None:
    """Require that each enabled technique stands once in the order, and none before one of an earlier stage.

    Args:
        order: of the recipe.
        enabled: the techniques of the package that are.
        options: the techniques of other packages that have some.
        stages: of the package's techniques, in the order of progressive compression.

    Raises:
        RecipeError: it does not.
    """
    missing = [name for name in enabled if name not in order]
    if missing:
        raise RecipeError(f"{missing[0]!r} is enabled but not listed in 'order'; add it, or disable it")
    if idle := [name for name in options if name not in order]:
        raise RecipeError(f"'options.{idle[0]}' is for a technique that 'order' does not name; add it there")
    if len(set(order)) < len(order):
        raise RecipeError("a technique stands twice in 'order'; list each once")
    for first, second in pairwise(name for name in order if name in enabled):
        if stages[first] > stages[second]:
            raise RecipeError(
                f"{first!r} stands before {second!r} in 'order'; compress progressively: pruning and low_rank, then"
                " distillation, then quantization"
            )


def check_steps(techniques: Sequence[str], *, steps: int, epochs: int, cache: bool, reads_layers: bool) -> None:
    """Require that training and distillation can do what the techniques ask of them.

    Args:
        techniques: of the run, in their order.
        steps: of pruning.
        epochs: of training.
        cache: whether the outputs of the teacher are kept.
        reads_layers: whether distillation compares layers of the teacher.

    Raises:
        RecipeError: they cannot.
    """
    if "pruning" in techniques and 0 < epochs < steps:
        raise RecipeError(f"'pruning.steps' is {steps}, 'training.epochs' {epochs}; give an epoch to each step")
    if cache and reads_layers:
        raise RecipeError(
            "'distillation.cache' keeps the teacher's outputs, not its layers; leave it out, or name no layers and"
            " set distillation.block_weight=0"
        )
    if "distillation" in techniques and not epochs:
        raise RecipeError("'training.epochs' is 0, and a student learns nothing without any; give at least 1")


def check_enclosure(keep_float: Sequence[str], placement: str) -> None:
    """Require that nothing is to stay float where integers are to enclose every operator.

    Args:
        keep_float: names of nodes.
        placement: ``table``, or ``measured``, which leaves float what is faster so.

    Raises:
        RecipeError: something is.
    """
    needed = ["keep_float=[]"] * bool(keep_float) + ["placement=table"] * (placement != "table")
    if needed:
        fix = " and ".join(f"quantization.{key}" for key in needed)
        raise RecipeError(f"'quantization.enclose' leaves no operator float; set {fix}")


def check_channels(channels: str | None, values: Mapping[str, Sequence[float]]) -> None:
    """Require a value for each channel of a picture, or one for all.

    Args:
        channels: ``rgb``, ``bgr``, ``gray``, or None where the network decides.
        values: those of each key, by its path.

    Raises:
        RecipeError: there are more or fewer.
    """
    wanted = (1,) if channels == "gray" else (1, 3)
    for path, given in values.items():
        if len(given) not in wanted:
            pictures = "gray" if channels == "gray" else "colored"
            raise RecipeError(
                f"{path!r} has {plural(len(given), 'value')} for {pictures} pictures; give"
                f" {' or '.join(map(str, wanted))}"
            )


def check_texts(path: str, names: Iterable[str]) -> None:
    """Require that names are text of one line, which files, and programs in every language, can hold.

    Raises:
        RecipeError: one is not; names of folders need not be text.
    """
    for name in names:
        if any(unicodedata.category(sign) in BREAKING for sign in name):
            raise RecipeError(f"{path!r} has {name!r}, which is no text of one line; rename the class, or its folder")


def check_names(path: str, names: Sequence[str | int]) -> None:
    """Require that nothing is named twice.

    Raises:
        RecipeError: it is.
    """
    if twice := [name for name, count in Counter(names).items() if count > 1]:
        raise RecipeError(f"{path!r} names {twice[0]!r} twice; name each class once")
