"""The plan: what will be done and why, known before anything changes."""

from __future__ import annotations

from collections.abc import Iterator

import onnx_ir as ir
from torch import nn

from edgecompress.loading.onnx_files import check_onnx, repairs
from edgecompress.modules.checks import check_teacher
from edgecompress.modules.plain import normed_weights
from edgecompress.pipeline.findings import artifact_steps
from edgecompress.pipeline.to_onnx import steps_to_onnx
from edgecompress.recipe.tables import Recipe
from edgecompress.runtime import Network
from edgecompress.step import Plan, PlannedStep, Step
from edgecompress.targets import TargetProfile
from edgecompress.targets.cpus import answers_differ
from edgecompress.techniques.technique import technique_steps

BUNDLE = PlannedStep(name="bundle", what="artifact, manifest, report, self-test")


def make_plan(network: Network, profile: TargetProfile, teacher: nn.Module | None = None) -> Plan:
    """The steps that take ``network`` to an artifact for ``profile``, and what it learns from a ``teacher``.

    Raises:
        ModelError: a technique changes the network, and the model is no module; or the recipe quantizes, and the model
            is quantized already or has an opset below 13.
        RecipeError: a student would be derived, and there is no latency budget; or the package of a technique or a
            runtime is broken.
    """
    recipe = profile.recipe
    if "quantization" in recipe.techniques and isinstance(network, ir.Model):
        check_onnx(network)
    steps = conversion_steps(network, recipe, teacher)
    if teacher is not None:
        check_teacher(teacher, network)
    return Plan(
        target=profile.name,
        strategy=profile.strategy,
        reason=profile.reason,
        steps=(*steps, *artifact_steps(recipe), BUNDLE),
        warnings=(*_told_of(network), *_doubts(recipe)),
    )


def conversion_steps(network: Network, recipe: Recipe, teacher: nn.Module | None = None) -> tuple[Step, ...]:
    """The steps from a network to an artifact: what changes the module, the way to ONNX, and what is done there.

    Raises:
        ModelError: a technique changes the network, and the model is no module.
        RecipeError: a student would be derived, and there is no latency budget; or a technique's package is broken.
    """
    steps = technique_steps(network, recipe, teacher)
    before = [step for step in steps if step.on_module]
    after = [step for step in steps if not step.on_module]
    return (*before, *steps_to_onnx(network, recipe), *after)


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
    if answers_differ(recipe.cpu.isa, recipe.quantization):
        yield (
            f"8-bit products saturate on {recipe.cpu.isa}, and scheme qnnpack gives other answers there;"
            " set quantization.scheme=fbgemm"
        )
