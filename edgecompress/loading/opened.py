"""A network and its data, opened together: inputs have names, and every batch is cut where its samples lie."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from torch import nn

from edgecompress.axes.batch import settle_batch
from edgecompress.data.batches import Batch, Batches, Source
from edgecompress.data.parts import parts_of
from edgecompress.errors import DataError
from edgecompress.loading.folders.settling import settle_folders
from edgecompress.loading.metrics import AS_NAMED, MeasuredBy, open_metric
from edgecompress.loading.sources import Data, open_batches, open_source
from edgecompress.metrics.fitting import masks_in_words
from edgecompress.modules.named_inputs import input_names, name_inputs
from edgecompress.recipe.tables import Recipe
from edgecompress.registry import METRICS
from edgecompress.runtime import Network


@dataclass(frozen=True, kw_only=True)
class Opened:
    """A network and its data.

    Attributes:
        network: its inputs have names, and its batch dimension is fixed where no other number of samples runs.
        recipe: says where the batch lies in each input, all of the metric, and how folders are read.
        source: the first data, as they are.
        batches: all data by role, checked as they are read.
    """

    network: Network
    recipe: Recipe
    source: Source
    batches: Mapping[str, Batches]

    @property
    def module(self) -> nn.Module:
        """The network, where a module was given."""
        assert isinstance(self.network, nn.Module)
        return self.network

    def first(self) -> Batch:
        """The first batch of the first data, read anew.

        Raises:
            DataError: it is malformed, or there is none.
        """
        return next(iter(self.batches.values())).first()


def open_together(
    network: Network,
    data: Mapping[str, Data],
    recipe: Recipe,
    warn: Callable[[str], None] = lambda _: None,
    by: MeasuredBy = AS_NAMED,
    *,
    asked: Sequence[str] = (),
) -> Opened:
    """Open DATA for a network; the first batch of the first says what its inputs are called, and how they are cut.

    Args:
        network: not modified.
        data: by role; one at least.
        recipe: ``export.batch_axes`` settles what it names, and ``evaluation`` names the metric.
        warn: told of a batch that became fixed, of what a metric does not say of itself, of how pictures are read where
            nothing says it, of how batches were taken apart where that does not go without saying, and of labels that
            the default metric says little of.
        by: the objects or functions that are meant where ``evaluation`` names those of a Python caller.
        asked: the keys that were set for this run.

    Raises:
        DataError: data cannot be opened, or can be read only once; or the first batch is malformed.
        ModelError: the inputs have no names.
        RecipeError: ``export.batch_axes`` names an input or an axis that is not there, or not the batch's;
            or there is no such metric or postprocessing.
    """
    measure, recipe = open_metric(recipe, by, warn)
    given, recipe = settle_folders(data, recipe, network, warn)
    sources = {role: open_source(each, role, recipe, network) for role, each in given.items()}
    role, source = next(iter(sources.items()))
    named = name_inputs(network, source)
    _tell_parts(sources, named, warn)
    settled = settle_batch(named, source, role, recipe, warn)
    batches = {
        role: open_batches(each, role, settled.network, settled.recipe, measure) for role, each in sources.items()
    }
    evaluation = batches.get("evaluation")
    if by.metric is None and METRICS.key not in asked:
        _tell_masks(evaluation, warn)
    elif evaluation is not None and evaluation.first().labels is None:
        raise DataError(
            f"the evaluation data has no labels, which {measure.in_words} needs; return (inputs, labels), or leave the"
            " metric out"
        )
    return Opened(network=settled.network, recipe=settled.recipe, source=source, batches=batches)


def _tell_masks(evaluation: Batches | None, warn: Callable[[str], None]) -> None:
    """Tell of labels that top-1 says little of, where nobody asked for top-1."""
    if evaluation is not None and evaluation.measure.is_top1 and (told := masks_in_words(evaluation.first_labels())):
        warn(f"the evaluation labels are {told}")


def _tell_parts(sources: Mapping[str, Source], network: Network, warn: Callable[[str], None]) -> None:
    """Tell what of the first batches is input, and what labels; a line for all data that are alike."""
    roles: dict[str, list[str]] = {}
    for role, source in sources.items():
        for raw in itertools.islice(source(), 1):
            roles.setdefault(parts_of(raw, input_names(network)).told, []).append(role)
    for told, alike in roles.items():
        if told:
            warn(f"{' and '.join(alike)} data: {told}")
