"""What every way to compress a model has in common: what it is made of, and one run to a bundle."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from torch import nn

from edgecompress.bundle.reading import Bundle
from edgecompress.comparison.digests import digest_code, digest_data, digest_network
from edgecompress.comparison.ground import ground_of
from edgecompress.comparison.kept_bundles import keep_bundle, recall_bundle, warnings_of
from edgecompress.data.batches import Batch
from edgecompress.errors import InputError
from edgecompress.loading.metrics import AS_NAMED, MeasuredBy
from edgecompress.loading.opened import Opened, open_together
from edgecompress.loading.sources import Data
from edgecompress.modules.capture import check_runs
from edgecompress.modules.copies import copied
from edgecompress.pipeline.compress import carry_out, plan_of
from edgecompress.pipeline.request import make_request
from edgecompress.progress import Progress
from edgecompress.recipe.tables import Recipe
from edgecompress.runtime import Network
from edgecompress.system.cache import Cache, cache_folder
from edgecompress.targets import TargetProfile
from edgecompress.techniques.checkpoints import checkpoints_of, remove_checkpoints
from edgecompress.techniques.kept import Kept


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
        ground: digests of all that a step of a run rests on, apart from the recipe: those of the network, of the
            batches as they come, of all code, and the machine; None where that is not known of some of it.
        opened: the network with names for its inputs, and the data, checked as they are read.
        example: the first batch.
    """

    parts: Mapping[str, str]
    ground: Mapping[str, str] | None
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
    read = {role: digest_data(each, progress) for role, each in opened.batches.items()}
    named, example = opened.network, opened.first()
    runnable = copied(named).eval() if isinstance(named, nn.Module) else named
    check_runs(runnable, example, opened.batches.get("calibration"))
    network = digest_network(named, example)
    samples = {role: digest.samples for role, digest in read.items()}
    parts = {"network": network, **samples, **digest_code(recipe, material.by)}
    readings = {role: digest.reading for role, digest in read.items()}
    ground = ground_of(material.network, recipe, material.by, network, readings)
    return Identity(parts=parts, ground=ground, opened=opened, example=example)


def kept_on(found: Identity, progress: Progress) -> Kept | None:
    """What runs on the same material keep for each other, in the user's cache; None where it cannot be known again."""
    if found.ground is None:
        return None
    try:
        folder = cache_folder()
    except InputError as error:
        progress.warn(f"nothing is kept for the next run: {error}")
        return None
    return Kept(cache=Cache(folder, progress.warn), made_of=found.ground)


def make_bundle(
    material: Material, profile: TargetProfile, output: Path, progress: Progress, kept: Kept | None = None
) -> Bundle:
    """Compress a model for a profile, with the training data and the loss only where it trains.

    The errors are those of :func:`edgecompress.compress`, and name options.

    Args:
        material: what the bundle is made of.
        profile: the target.
        output: its folder, which is replaced.
        progress: told of every step.
        kept: what runs on the same material keep for each other: the same bundle is not made again, nor are the steps
            that it has in common with others.
    """
    trains, by = profile.recipe.trains, material.by
    data = {role: given for role, given in material.data.items() if trains or role != "train"}
    kept = None if kept is None else kept.of_data(data)
    told = progress if profile.recipe.techniques else Progress()  # that nothing is done is no news
    known = None if kept is None else recall_bundle(kept, profile, output)
    if known is not None:
        _end_as_a_run(known, trains, told)
        return known
    request = make_request(
        material.network,
        target=profile if trains else _without_loss(profile),
        data=data,
        output=output,
        overwrite=True,
        by=by if trains else replace(by, loss=None),
        kept=kept,
    )
    bundle = carry_out(request, plan_of(request), told)
    if kept is not None:
        keep_bundle(kept, profile, bundle)
    return bundle


def _end_as_a_run(bundle: Bundle, trains: bool, told: Progress) -> None:
    """Do what the run that made a bundle did: tell its warnings, and remove the checkpoints of a killed one."""
    for warning in warnings_of(bundle):
        told.warn(warning)
    if trains:
        remove_checkpoints(checkpoints_of(bundle.path))


def _without_loss(profile: TargetProfile) -> TargetProfile:
    """A target that does not train: that nothing asks its loss is no news."""
    training = profile.recipe.training.model_copy(update={"loss": None})
    return replace(profile, recipe=profile.recipe.model_copy(update={"training": training}))
