"""What a run is asked for, read and checked; all of its processes are given the same."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from torch import nn

from edgecompress.bundle.signature import load_signing_key
from edgecompress.calibration import Sharing, Workers
from edgecompress.loading.metrics import AS_NAMED, MeasuredBy
from edgecompress.loading.models import name_of
from edgecompress.loading.sources import Data
from edgecompress.modules.checks import check_network, check_teacher
from edgecompress.pipeline.again import command_again
from edgecompress.recipe.arguments import Overrides, path
from edgecompress.recipe.tables import Recipe
from edgecompress.runtime import Network
from edgecompress.targets import TargetProfile, given_profile
from edgecompress.techniques.checkpoints import checkpoints_of
from edgecompress.techniques.kept import Kept

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

TARGET = "mobile"
"""Where neither a target nor a recipe is given."""


@dataclass(frozen=True, kw_only=True)
class Request:
    """A model, a target, data by role, and where the bundle goes.

    Attributes:
        model: not modified.
        profile: the target's.
        teacher: whose outputs are learned; None for the model's own.
        data: by role: calibration, evaluation, train; those that were given.
        output: folder of the bundle.
        overwrite: whether it may replace what is there.
        statistics: file that keeps the statistics of the calibration.
        workers: the processes that share the calibration.
        command: what started the run, for the report.
        name: of the model, for the report.
        key: signs the bundle.
        by: the objects or functions that are meant where the recipe names those of a Python caller.
        kept: what runs on the same model and data keep for each other; None where nothing is.
    """

    model: Network
    profile: TargetProfile
    teacher: nn.Module | None = None
    data: Mapping[str, Data] = field(default_factory=dict)
    output: Path
    overwrite: bool = False
    statistics: Path | None = None
    workers: Workers = field(default_factory=Workers)
    command: str
    name: str = "model"
    key: Ed25519PrivateKey | None = None
    by: MeasuredBy = AS_NAMED
    kept: Kept | None = None

    @property
    def checkpoints(self) -> Path:
        """The folder that a run goes on from after it was killed."""
        return checkpoints_of(self.output)

    @property
    def sharing(self) -> Sharing:
        """How the calibration is shared and kept."""
        return Sharing(workers=self.workers, file=self.statistics)


def make_request(
    model: Network,
    *,
    data: Mapping[str, Data | None],
    target: str | Path | TargetProfile | None = None,
    recipe: Recipe | None = None,
    teacher: nn.Module | None = None,
    output: str | Path | None = None,
    statistics: str | Path | None = None,
    overrides: Overrides = (),
    overwrite: bool = False,
    workers: Workers | None = None,
    command: str | None = None,
    name: str | None = None,
    sign: str | Path | None = None,
    by: MeasuredBy = AS_NAMED,
    kept: Kept | None = None,
) -> Request:
    """Read the arguments of :func:`~edgecompress.pipeline.compress.compress`, which says what each is.

    ``name`` is what the report and the folder call the model, by default its class.

    Raises:
        RecipeError: unknown target, key or metric.
        ModelError: the model is none, or the teacher.
        InputError: an argument is of another type, or there is no such key to sign with.
    """
    network = check_network(model)
    taught = None if teacher is None else check_teacher(teacher, network)
    key = load_signing_key(path("sign", sign)) if sign is not None else None
    profile = given_profile(TARGET if target is None and recipe is None else target, overrides, recipe)
    called = name if name is not None else name_of(network)
    profile = replace(profile, recipe=by.named_in(profile.recipe))
    file = path("statistics", statistics) if statistics is not None else None
    return Request(
        model=network,
        profile=profile,
        teacher=taught,
        data={role: given for role, given in data.items() if given is not None},
        output=path("output", output) if output is not None else Path(f"{called}-{profile.name}"),
        overwrite=overwrite,
        statistics=file,
        workers=workers or Workers(),
        command=command_again(model, data, teacher=teacher, by=by) if command is None else command,
        name=called,
        key=key,
        by=by,
        kept=kept,
    )
