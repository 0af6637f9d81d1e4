"""The plan: what will be done and why, known before anything changes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

import onnx_ir as ir
from torch import nn
from torch.export import ExportedProgram

from edgecompress.errors import ModelError, RecipeError
from edgecompress.loading.onnx_files import check_onnx, repairs
from edgecompress.modules.checks import check_teacher
from edgecompress.modules.plain import normed_weights
from edgecompress.quantization.recovery import PASSES
from edgecompress.recipe.tables import NO_LATENCY_BUDGET, TRAINING, Export, Quantization, Recipe
from edgecompress.runtime import Network
from edgecompress.step import Plan, PlannedStep
from edgecompress.targets import TargetProfile
from edgecompress.targets.cpus import FAMILIES, answers_differ, available_cores

RECOVERY = ("equalization", *PASSES)
"""Keys of the passes that recover accuracy, in their order."""


def make_plan(network: Network, profile: TargetProfile, teacher: nn.Module | None = None) -> Plan:
    """The steps that take ``network`` to an artifact for ``profile``, and what it learns from a ``teacher``.

    Raises:
        ModelError: a technique changes the network, and the model is no module; or the recipe quantizes, and the model
            is quantized already or has an opset below 13.
    """
    recipe = profile.recipe
    if "quantization" in recipe.techniques and isinstance(network, ir.Model):
        check_onnx(network)
    changing = [name for name in recipe.techniques if name in TRAINING]
    if changing and not isinstance(network, nn.Module):
        raise ModelError(
            f"{changing[0].replace('_', ' ')} needs the PyTorch module; give file.py:callable,"
            f" or set {changing[0]}.enabled=false"
        )
    if teacher is not None:
        check_teacher(teacher, network)
    if changing[:1] == ["distillation"] and teacher is None and not recipe.budgets.bound_latency:
        raise RecipeError(NO_LATENCY_BUDGET)
    changes = [PLANNED[name](recipe, teacher) for name in changing]
    steps = (*changes, *_road_to_onnx(network, recipe), *_techniques(recipe), *_ending(recipe))
    return Plan(
        target=profile.name,
        strategy=profile.strategy,
        reason=profile.reason,
        steps=steps,
        warnings=(*_told_of(network), *_doubts(recipe)),
    )


def _told_of(network: Network) -> Iterator[str]:
    """What is done to a model before any step."""
    if isinstance(network, ir.Model):
        yield from repairs(network)
    elif isinstance(network, nn.Module):
        yield from normed_weights(network)


def _doubts(recipe: Recipe) -> Iterator[str]:
    """What a recipe asks for that is rarely wise."""
    pruning = recipe.pruning
    if not recipe.techniques:
        yield "no technique is enabled; the artifact will be the float model"
    if "pruning" in recipe.techniques and pruning.amount > pruning.warn_above:
        yield (
            f"pruning takes {pruning.amount:.0%} of the {pruning.goal}, more than the {pruning.warn_above:.0%} that"
            " this target thinks sane (pruning.warn_above); expect to lose accuracy"
        )
    cores = available_cores()
    if recipe.cpu.threads > cores:
        yield (
            f"latency is measured with {recipe.cpu.threads} threads, and this machine has {cores} cores for them;"
            f" set cpu.threads={cores}"
        )
    if answers_differ(recipe.cpu.isa, recipe.quantization):
        yield (
            f"8-bit products saturate on {recipe.cpu.isa}, and scheme qnnpack gives other answers there;"
            " set quantization.scheme=fbgemm"
        )


SPREADS = {
    "uniform": "uniformly",
    "global": "by importance over all layers",
    "latency": "where they buy most time",
    "sensitivity": "where the outputs suffer least",
}


def _pruning(recipe: Recipe, _teacher: nn.Module | None) -> PlannedStep:
    pruning, epochs = recipe.pruning, recipe.training.epochs
    goal = "MACs" if pruning.goal == "macs" else pruning.goal
    what = f"{pruning.amount:.0%} fewer {goal}" if goal != "latency" else f"{pruning.amount:.0%} less latency"
    shallower = f"{pruning.blocks:.0%} of the residual blocks go first; " if pruning.blocks else ""
    spared = {"keep": " inside of blocks", "auto": ", inside of blocks where that suffices,"}
    inside = "" if (pruning.residual, pruning.goal) == ("auto", "channels") else spared.get(pruning.residual, "")
    channels = f"channels{inside}"
    how = (
        f"{channels} go {SPREADS[pruning.spread]}, in multiples of {pruning.multiple}, least {pruning.importance} first"
    )
    if pruning.method == "block":
        what, how = f"{pruning.amount:.0%} of the residual blocks", "those go that change least"
    times = f"; {pruning.steps} steps, {pruning.schedule.replace('_', ' ')}" if pruning.steps > 1 else ""
    return PlannedStep(name="prune", what=f"{what}; {shallower}{how}{times}{_training(epochs)}")


def _low_rank(recipe: Recipe, _teacher: nn.Module | None) -> PlannedStep:
    asked, epochs = recipe.low_rank, recipe.training.epochs
    goals = {
        "macs": f"{asked.amount:.0%} fewer MACs",
        "parameters": f"{asked.amount:.0%} fewer parameters",
        "latency": f"{asked.amount:.0%} less latency",
        "energy": f"{asked.energy:.0%} of each layer's energy",
        "ratio": f"{asked.rank_ratio:.0%} of each layer's rank",
    }
    weighed = "errors weighed by calibration data" if asked.whitening else "errors of the weights"
    what = f"{goals[asked.goal]}; layers become two or three thinner ones, ranks in multiples of {asked.multiple}"
    return PlannedStep(name="factorize", what=f"{what}, {weighed}{_training(epochs)}")


def _training(epochs: int) -> str:
    return f"; {_epochs(epochs)} of training where there is data" if epochs else ""


def _distillation(recipe: Recipe, teacher: nn.Module | None) -> PlannedStep:
    distillation, epochs = recipe.distillation, recipe.training.epochs
    changed_before = recipe.techniques[0] != "distillation"
    student = "the model" if teacher is not None or changed_before else "a student derived for the latency budgets"
    mix = f"temperature {distillation.temperature:g}, {distillation.alpha:.0%} teacher"
    return PlannedStep(
        name="distill",
        what=f"{student} learns for {_epochs(epochs)} what"
        f" {'the original' if teacher is None else type(teacher).__name__} says; {mix}",
    )


def _epochs(count: int) -> str:
    return f"{count} epoch{'s' if count > 1 else ''}"


PLANNED: Mapping[str, Callable[[Recipe, nn.Module | None], PlannedStep]] = {
    "pruning": _pruning,
    "low_rank": _low_rank,
    "distillation": _distillation,
}
"""What each technique that changes the network says of itself."""


def _road_to_onnx(network: Network, recipe: Recipe) -> tuple[PlannedStep, ...]:
    batch = recipe.export.batch_size
    steps = []
    if not isinstance(network, (ExportedProgram, ir.Model)):
        what = f"torch.export, batch dimension {'dynamic' if batch is None else f'fixed at {batch}'}"
        steps.append(PlannedStep(name="capture", what=what))
    if not isinstance(network, ir.Model):
        steps.append(PlannedStep(name="export", what=f"ONNX, opset {recipe.export.opset}"))
    if recipe.export.simplify:
        steps.append(PlannedStep(name="simplify", what="onnxsim, in a child process"))
    steps.append(PlannedStep(name="canonicalize", what="operators with an integer kernel in place of those without"))
    return tuple(steps)


def _techniques(recipe: Recipe) -> tuple[PlannedStep, ...]:
    return (_quantization(recipe.quantization),) if "quantization" in recipe.techniques else ()


def _quantization(quantization: Quantization) -> PlannedStep:
    kept = f", {', '.join(quantization.keep_float)} kept float" if quantization.keep_float else ""
    weights = quantization.granularity.replace("_", " ")
    recovery = "".join(f", {key.replace('_', ' ')}" for key in RECOVERY if getattr(quantization, key))
    fallback = ", layers return to float for the accuracy budget" if quantization.fallback_evaluations else ""
    what = f"static INT8, {quantization.scheme}, weights {weights}{recovery}{fallback}{kept}"
    return PlannedStep(name="quantize", what=what)


def _formats(export: Export) -> Iterator[PlannedStep]:
    if "ort" in export.formats:
        accelerators = "what CoreML and NNAPI could run; Android 15 deprecates NNAPI, XNNPACK runs on its CPU"
        yield PlannedStep(name="convert", what=f"model.ort, the operators it needs, {accelerators}")
    if export.browser:
        yield PlannedStep(name="browse", what="the artifact in onnxruntime-web, in a headless Chromium")


def _ending(recipe: Recipe) -> tuple[PlannedStep, ...]:
    timing = f"latency at {recipe.cpu.threads} thread{'s' if recipe.cpu.threads > 1 else ''}"
    cpus = ", ".join(recipe.cpu.emulate)
    elsewhere = (PlannedStep(name="emulate", what=f"the artifact on {cpus}"),) if cpus else ()
    stand_in = FAMILIES[recipe.cpu.isa].stand_in if recipe.cpu.isa is not None and not cpus else None
    untried = f'; cpu.emulate=["{stand_in}"] would try {recipe.cpu.isa}' if stand_in else ""
    return (
        *_formats(recipe.export),
        PlannedStep(name="validate", what=f"parity, accuracy, {timing}, size, budgets{untried}"),
        *elsewhere,
        PlannedStep(name="bundle", what="artifact, manifest, report, self-test"),
    )
