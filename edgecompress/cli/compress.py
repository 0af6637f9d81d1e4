"""``edgecompress compress``."""

from __future__ import annotations

import functools
import json
import shlex
import sys
import textwrap
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from edgecompress.cli.tables import (
    ON,
    WIDTH,
    console,
    print_budgets,
    print_elsewhere,
    print_json,
    print_metrics,
    print_verdict,
    prints_aside,
)

if TYPE_CHECKING:
    from edgecompress.bundle.reading import Bundle
    from edgecompress.recipe.tables import Recipe
    from edgecompress.runtime import Network
    from edgecompress.step import Plan

Model = Annotated[
    str, typer.Argument(metavar="MODEL", help="file.py:callable, FILE.onnx, FILE.pt2, hf:NAME or timm:NAME.")
]
Metric = Annotated[str | None, typer.Option(metavar="NAME", help="What decides: top1, map, ..., or file.py:callable.")]
Postprocess = Annotated[
    str | None, typer.Option(metavar="CODE", help="file.py:callable, from the outputs to what the metric reads.")
]
Loss = Annotated[str | None, typer.Option(metavar="NAME", help="What training minimizes: a name, or file.py:callable.")]
INDENT = 18
"""Columns before the words of a step of the plan."""
Data = "file.py:callable, module:callable, FILE.npz, or a folder of pictures."


def run(
    model: Model,
    target: Annotated[str, typer.Option(help="Name of a profile, or a TOML file.")] = "mobile",
    calibration: Annotated[str | None, typer.Option(metavar="DATA", help=Data)] = None,
    evaluation: Annotated[str | None, typer.Option(metavar="DATA", help="The same, with labels.")] = None,
    train: Annotated[str | None, typer.Option(metavar="DATA", help="The same, to train on.")] = None,
    weights: Annotated[str | None, typer.Option(metavar="FILE", help="safetensors, or a state dict.")] = None,
    teacher: Annotated[str | None, typer.Option(metavar="MODEL", help="Whose outputs are learned.")] = None,
    teacher_weights: Annotated[str | None, typer.Option(metavar="FILE", help="Its weights.")] = None,
    metric: Metric = None,
    postprocess: Postprocess = None,
    loss: Loss = None,
    assignments: Annotated[
        list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Override a key of the recipe.")
    ] = None,
    on: Annotated[list[str] | None, typer.Option(metavar="RUNTIME[:DEVICE]", help=ON)] = None,
    output: Annotated[Path | None, typer.Option("--output", "-o", metavar="DIR", help="Folder of the bundle.")] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace an existing bundle.")] = False,
    statistics: Annotated[Path | None, typer.Option(metavar="FILE", help="Keep and resume the calibration.")] = None,
    sign: Annotated[Path | None, typer.Option(metavar="KEY.pem", help="Sign the bundle (Ed25519).")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the manifest as JSON.")] = False,
) -> int:
    """Compress a trained model for a target and write the bundle."""
    from edgecompress.bundle.draft import require_free
    from edgecompress.calibration.workers import joined_workers
    from edgecompress.loading.models import load_model, load_teacher, name_of
    from edgecompress.pipeline.compress import assist, carry_out, plan_of
    from edgecompress.pipeline.request import make_request
    from edgecompress.progress import Progress, progress_for
    from edgecompress.targets import effective_profile

    with joined_workers() as workers, prints_aside(as_json):
        chosen = [*assigned("evaluation", metric=metric, postprocess=postprocess), *assigned("training", loss=loss)]
        places = [f"validation.on={json.dumps(on)}"] if on else []
        profile = effective_profile(target, [*(assignments or []), *chosen, *places])
        folder = output or Path(f"{name_of(model)}-{profile.name}")
        if workers.rank == 0:
            require_free(folder, overwrite=overwrite)  # before what takes long
        progress = progress_for(Console(stderr=True)) if workers.rank == 0 else Progress()
        network = load_model(model, weights, progress)
        teaching = load_teacher(teacher, teacher_weights, progress)
        request = make_request(
            network,
            target=profile,
            data={"calibration": calibration, "evaluation": evaluation, "train": train},
            teacher=teaching,
            output=folder,
            statistics=statistics,
            overwrite=overwrite,
            workers=workers,
            command=shlex.join(["edgecompress", *sys.argv[1:]]),
            name=name_of(model),
            sign=sign,
        )
        if workers.rank > 0:
            assist(request)
            return 0
        plan = plan_of(request)
        if not as_json:
            print_plan(plan)
        bundle = carry_out(request, plan, progress)
    if as_json:
        print_json(bundle.manifest.model_dump(mode="json"))
    else:
        can_prune = functools.partial(_can_prune, network, calibration or evaluation, profile.recipe)
        print_bundle(bundle, _advice(bundle, profile.recipe, can_prune, trained=train is not None))
    return 0 if bundle.passed else 1


def assigned(table: str, **named: str | None) -> tuple[str, ...]:
    """The overrides of keys of a table that an option names.

    >>> assigned("evaluation", metric="miou", postprocess=None)
    ('evaluation.metric="miou"',)
    """
    return tuple(f"{table}.{key}={json.dumps(name)}" for key, name in named.items() if name is not None)


def print_plan(plan: Plan) -> None:
    """The plan, a line for each step."""
    out = console()
    out.print(f"[bold]{plan.target}[/]: {plan.strategy} ({plan.reason})", highlight=False)
    for number, step in enumerate(plan.steps, 1):
        first, *rest = textwrap.wrap(step.what, WIDTH - INDENT)
        out.print(f"  {number}. {step.name:<13}{first}", highlight=False, markup=False)
        for line in rest:
            out.print(f"{'':{INDENT}}{line}", highlight=False, markup=False)
    out.print()


def print_bundle(bundle: Bundle, advice: Sequence[str] = ()) -> None:
    """What came out: measures, budgets, lines of advice where one is missed, verdict, place."""
    out = console()
    print_metrics(bundle.manifest.metrics)
    out.print()
    print_elsewhere(bundle.elsewhere)
    verdict = bundle.manifest.verdict.model_dump(mode="json")
    print_budgets(verdict)
    for line in advice:
        out.print(line, style="yellow", highlight=False, markup=False)
    print_verdict(verdict, bundle.path)


def _advice(bundle: Bundle, recipe: Recipe, can_prune: Callable[[], bool], *, trained: bool) -> list[str]:
    """What to change, a line for each budget that is missed."""
    from edgecompress.validation.remedies import SMALL_AND_FAST, remedies

    missed = [check.budget for check in bundle.manifest.verdict.budgets if check.outcome == "fail"]
    prunable = any(budget in SMALL_AND_FAST for budget in missed) and can_prune()
    found = {budget: remedies(budget, recipe, trained=trained, prunable=prunable) for budget in missed}
    return [f"to meet {budget}: {' or '.join(tries)}" for budget, tries in found.items() if tries]


def _can_prune(network: Network, data: str | None, recipe: Recipe) -> bool:
    """Whether pruning has anything to remove, which is looked for only where it would be advised."""
    from torch import nn

    from edgecompress.loading.opened import open_together
    from edgecompress.techniques.cutting import has_channels

    if not isinstance(network, nn.Module) or recipe.pruning.enabled or data is None:
        return False
    opened = open_together(network, {"calibration": data}, recipe)
    return has_channels(opened.module, opened.first(), opened.recipe)
