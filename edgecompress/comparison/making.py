"""What every way to compress a model has in common: what it is made of, and one run to a bundle."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from torch import nn

from edgecompress.bundle.reading import Bundle
from edgecompress.comparison.digests import digest_code, digest_data, digest_network
from edgecompress.comparison.ground import ground_of, ground_with
from edgecompress.comparison.kept_bundles import keep_bundle, recall_bundle, warnings_of
from edgecompress.data.batches import Batch
from edgecompress.errors import InputError
from edgecompress.loading.metrics import AS_NAMED, MeasuredBy
from edgecompress.loading.opened import Opened, open_together
from edgecompress.loading.sources import Data
from edgecompress.modules.capture import check_runs
from edgecompress.modules.copies import copied
from edgecompress.pipeline.again import command_again
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
    """A model with its data by role, and what decides and what training minimizes in place of what recipes name.

    ``model`` and ``weights`` are the names that the network was given by; None for an object.
    """

    network: Network
    data: Mapping[str, Data]
    by: MeasuredBy = AS_NAMED
    model: str | None = None
    weights: str | Path | None = None

    def named_in(self, profile: TargetProfile) -> TargetProfile:
        """The profile with the names of the metric, the postprocessing and the loss that are meant."""
        return replace(profile, recipe=self.by.named_in(profile.recipe))

    def for_recipe(self, recipe: Recipe) -> Material:
        """What a recipe reads: the training data and the loss only where it trains."""
        if recipe.trains:
            return self
        data = {role: given for role, given in self.data.items() if role != "train"}
        return replace(self, data=data, by=replace(self.by, loss=None))

    def command_for(self, bundle: Path) -> str:
        """The command that makes a bundle again by the recipe in its folder."""
        return command_again(self.model or self.network, self.data, folder=bundle, weights=self.weights, by=self.by)


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


def identify(material: Material, recipe: Recipe, progress: Progress, asked: Sequence[str] = ()) -> Identity:
    """Read all data once, and run the network.

    Args:
        material: what bundles are made of.
        recipe: names the metric, and how data are read.
        progress: told of the reading.
        asked: the keys that were set for this run.

    Raises:
        ModelError: the network cannot be run.
        DataError: the data do not fit.
        RecipeError: there is no such metric.
    """
    opened = open_together(material.network, material.data, recipe, progress.warn, material.by, asked=asked)
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


def kept_for(kept: Kept | None, material: Material, recipe: Recipe, identified: Recipe) -> Kept | None:
    """The same for runs with a recipe that may name other code, of a metric or a loss: what it names counts.

    Args:
        kept: on what was identified.
        material: what bundles are made of.
        recipe: of the runs.
        identified: the recipe that :func:`identify` was given.
    """
    if kept is None:
        return None
    ground = ground_with(kept.made_of, identified, material.network, recipe, material.by)
    return None if ground is None else replace(kept, made_of=ground)


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
        kept: what runs on the same material, and on the code that this recipe names, keep for each other: the same
            bundle is not made again, nor are the steps that it has in common with others.
    """
    trains, material = profile.recipe.trains, material.for_recipe(profile.recipe)
    command = material.command_for(output)
    kept = None if kept is None else kept.of_data(material.data)
    told = progress if profile.recipe.techniques else Progress()  # that nothing is done is no news
    known = None if kept is None else recall_bundle(kept, profile, output, command)
    if known is not None:
        _end_as_a_run(known, trains, told)
        return known
    request = make_request(
        material.network,
        target=profile if trains else _without_loss(profile),
        data=material.data,
        output=output,
        overwrite=True,
        command=command,
        by=material.by,
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
