"""``edgecompress compress``."""

from __future__ import annotations

import functools
import json
import shlex
import sys
import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from edgecompress.cli import completion
from edgecompress.cli.device_tables import print_devices
from edgecompress.cli.tables import (
    WIDTH,
    console,
    print_budgets,
    print_elsewhere,
    print_image_input,
    print_json,
    print_metrics,
    print_verdict,
    prints_aside,
)

if TYPE_CHECKING:
    from edgecompress.bundle.manifest import BudgetEntry
    from edgecompress.bundle.reading import Bundle
    from edgecompress.recipe.tables import Recipe
    from edgecompress.runtime import Network
    from edgecompress.step import Plan

Data = "file.py:callable, module:callable, FILE.npz, or a folder of pictures."
Model = Annotated[
    str, typer.Argument(metavar="MODEL", help="file.py:callable, FILE.onnx, FILE.pt2, hf:NAME or timm:NAME.")
]
Target = Annotated[
    str,
    typer.Option(metavar="NAME", autocompletion=completion.targets, help="Name of a profile, or a TOML file."),
]
Evaluation = Annotated[
    str | None, typer.Option(metavar="DATA", help="Data with labels, to measure on, in the same forms.")
]
Train = Annotated[str | None, typer.Option(metavar="DATA", help="Data with labels, to train on, in the same forms.")]
Weights = Annotated[
    str | None, typer.Option(metavar="FILE", help="Weights of the model: safetensors, or a state dict.")
]
Metric = Annotated[
    str | None,
    typer.Option(
        metavar="NAME",
        autocompletion=completion.metrics,
        help="What decides: top1, map, miou and others, or file.py:callable.",
    ),
]
Postprocess = Annotated[
    str | None, typer.Option(metavar="CODE", help="file.py:callable, from the outputs to what the metric reads.")
]
Loss = Annotated[
    str | None,
    typer.Option(
        metavar="NAME",
        autocompletion=completion.losses,
        help="What training minimizes: a name, or file.py:callable.",
    ),
]
Assignments = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="KEY=VALUE",
        autocompletion=completion.assignments,
        help="Override a key of the recipe; repeatable.",
    ),
]
On = Annotated[
    list[str] | None,
    typer.Option(
        metavar="RUNTIME[:DEVICE]",
        autocompletion=completion.places,
        help="Another place to run, compared with this machine; repeatable.",
    ),
]
DeviceOption = Annotated[
    str | None,
    typer.Option("--device", metavar="ssh://HOST", help="Your own device, or adb://SERIAL: run and time there."),
]
INDENT = 18
"""Columns before the words of a step of the plan."""


def run(
    model: Model,
    target: Annotated[
        str, typer.Option(metavar="NAME", autocompletion=completion.targets, help="Name of a profile, or a TOML file.")
    ] = "mobile",
    calibration: Annotated[str | None, typer.Option(metavar="DATA", help=Data)] = None,
    evaluation: Evaluation = None,
    train: Train = None,
    weights: Weights = None,
    teacher: Annotated[
        str | None, typer.Option(metavar="MODEL", help="Another model, whose outputs are learned.")
    ] = None,
    teacher_weights: Annotated[str | None, typer.Option(metavar="FILE", help="Weights of the teacher.")] = None,
    metric: Metric = None,
    postprocess: Postprocess = None,
    loss: Loss = None,
    assignments: Assignments = None,
    on: On = None,
    device: DeviceOption = None,
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
    from edgecompress.targets.profile import place_of

    with joined_workers() as workers, prints_aside(as_json):
        chosen = [*assigned("evaluation", metric=metric, postprocess=postprocess), *assigned("training", loss=loss)]
        places = [f"validation.on={json.dumps([place_of(name) for name in on])}"] if on else []
        places += assigned("device", url=device)
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
            overrides=assignments or [],
            overwrite=overwrite,
            workers=workers,
            command=shlex.join(["edgecompress", *sys.argv[1:]]),
            name=name_of(model),
            sign=sign,
        )
        if workers.rank > 0:
            assist(request)
            return 0
        bundle = carry_out(request, plan_of(request), progress, (lambda _: None) if as_json else print_plan)
    if as_json:
        print_json(bundle.manifest.model_dump(mode="json"))
    else:
        data = {"calibration": calibration, "evaluation": evaluation, "train": train}
        print_bundle(bundle, _advice(bundle, network, profile.recipe, data, assignments or []), progress.warned)
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


def print_bundle(bundle: Bundle, advice: Sequence[str] = (), warned: int = 0) -> None:
    """What came out: measures, budgets, lines of advice where one is missed, verdict, place."""
    from edgecompress.bundle.manifest import metric_entry
    from edgecompress.units import metric_title

    out = console()
    print_metrics(bundle.manifest.metrics)
    print_image_input(bundle.manifest.image_input)
    out.print()
    print_elsewhere(bundle.elsewhere)
    print_devices(bundle.elsewhere)
    verdict = bundle.manifest.verdict.model_dump(mode="json")
    print_budgets(verdict, "--set cpu.runs=1000")
    for line in advice:
        out.print(line, style="yellow", highlight=False, markup=False)
    measured = metric_entry(bundle.manifest.metrics)
    title = metric_title(measured["name"]).partition(",")[0]
    unmeasured = None if measured["compressed"] is not None else title
    print_verdict(verdict, bundle.path, unmeasured=unmeasured, warned=warned)


def _advice(
    bundle: Bundle, network: Network, recipe: Recipe, data: Mapping[str, str | None], assignments: Sequence[str]
) -> list[str]:
    """What to change where a budget is missed, and how to time what this machine cannot."""
    from edgecompress.recipe.overrides import keys_of
    from edgecompress.validation.remedies import Run, remedies

    given = {role: source for role, source in data.items() if source is not None}
    run = Run(
        recipe=recipe,
        roles=given,
        chosen=keys_of(assignments),
        size_bytes=bundle.manifest.metrics["size_bytes"]["compressed"],
        possible=functools.partial(_possible, network, given.get("calibration") or given.get("evaluation"), recipe),
    )
    checks = bundle.manifest.verdict.budgets
    missed = [each.budget for each in checks if each.outcome == "fail"]
    found = {budget: remedies(budget, run) for budget in missed}
    return [
        *_to_time(checks, recipe),
        *(f"to meet {budget}: {' or '.join(tries)}" for budget, tries in found.items() if tries),
    ]


def _to_time(checks: Sequence[BudgetEntry], recipe: Recipe) -> list[str]:
    """How to measure the latencies that say nothing here; the browser is no device, and one that was named failed."""
    from edgecompress.validation.another_cpu import left_open

    listed = ", ".join(left_open(checks, recipe))
    if not listed or recipe.cpu.isa == "wasm" or recipe.device.url is not None:
        return []
    there = f"to measure {listed} on {recipe.cpu.isa}: --device ssh://HOST or adb://SERIAL"
    return [f"latency is that of this machine; {there}"]


def _possible(network: Network, data: str | None, recipe: Recipe, changed: Recipe) -> bool:
    """Whether a model allows what a changed recipe asks for, and the one before did not."""
    import onnx_ir as ir
    from torch import nn

    from edgecompress.errors import EdgecompressError
    from edgecompress.loading.onnx_files import check_onnx
    from edgecompress.loading.opened import open_together
    from edgecompress.techniques.cutting import can_be_cut

    if isinstance(network, ir.Model):
        try:
            check_onnx(network)
        except EdgecompressError:
            return False
    asked, before = changed.pruning, recipe.pruning
    if not asked.enabled or (before.enabled and asked.amount <= before.amount):
        return True
    if not isinstance(network, nn.Module) or data is None:
        return False
    opened = open_together(network, {"calibration": data}, changed)
    return can_be_cut(opened.module, opened.first(), opened.recipe)
