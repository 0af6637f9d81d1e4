"""What every way to compress a model has in common: what it is made of, and one run to a bundle."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from torch import nn

from edgecompress.bundle.reading import Bundle
from edgecompress.comparison.digests import digest_code, digest_data, digest_network
from edgecompress.data.batches import Batch
from edgecompress.loading.metrics import AS_NAMED, MeasuredBy
from edgecompress.loading.opened import Opened, open_together
from edgecompress.loading.sources import Data
from edgecompress.modules.capture import check_runs
from edgecompress.modules.copies import copied
from edgecompress.pipeline.compress import compress
from edgecompress.progress import Progress
from edgecompress.recipe.tables import Recipe
from edgecompress.recipe.wording import in_options
from edgecompress.runtime import Network
from edgecompress.targets import TargetProfile


@dataclass(frozen=True, kw_only=True)
class Material:
    """A model with its data by role, and what decides and what training minimizes in place of what recipes name."""

    network: Network
    data: Mapping[str, Data]
    by: MeasuredBy = AS_NAMED

    def named_in(self, profile: TargetProfile) -> TargetProfile:
        """The profile with the names of the metric, the postprocessing and the loss that are meant."""
        return replace(profile, recipe=self.by.named_in(profile.recipe))


@dataclass(frozen=True, kw_only=True)
class Identity:
    """What bundles are made of, apart from their recipes.

    Attributes:
        parts: digests, by what they are of: the network, the data by role, and the user's own code.
        opened: the network with names for its inputs, and the data, checked as they are read.
        example: the first batch.
    """

    parts: Mapping[str, str]
    opened: Opened
    example: Batch


def identify(material: Material, recipe: Recipe, progress: Progress) -> Identity:
    """Read all data once, and run the network.

    Args:
        material: what bundles are made of.
        recipe: names the metric, and how data are read.
        progress: told of the reading.

    Raises:
        ModelError: the network cannot be run.
        DataError: the data do not fit.
        RecipeError: there is no such metric.
    """
    opened = open_together(material.network, material.data, recipe, progress.warn, material.by)
    digests = {role: digest_data(each, progress) for role, each in opened.batches.items()}
    named, example = opened.network, opened.first()
    runnable = copied(named).eval() if isinstance(named, nn.Module) else named
    check_runs(runnable, example, opened.batches.get("calibration"))
    own = digest_code(recipe, material.by)
    parts = {"network": digest_network(named, example), **digests, **own}
    return Identity(parts=parts, opened=opened, example=example)


def make_bundle(material: Material, profile: TargetProfile, output: Path, progress: Progress) -> Bundle:
    """Compress a model for a profile, with the training data and the loss only where it trains.

    The errors are those of :func:`edgecompress.compress`, and name options.
    """
    trains, data, by = profile.recipe.trains, material.data, material.by
    return in_options(compress)(
        material.network,
        target=profile if trains else _without_loss(profile),
        calibration=data.get("calibration"),
        evaluation=data.get("evaluation"),
        train=data.get("train") if trains else None,
        output=output,
        overwrite=True,
        progress=progress if profile.recipe.techniques else Progress(),  # that nothing is done is no news
        metric=by.metric,
        postprocess=by.postprocess,
        loss=by.loss if trains else None,
    )


def _without_loss(profile: TargetProfile) -> TargetProfile:
    """A target that does not train: that nothing asks its loss is no news."""
    training = profile.recipe.training.model_copy(update={"loss": None})
    return replace(profile, recipe=profile.recipe.model_copy(update={"training": training}))
