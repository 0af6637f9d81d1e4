"""The steps that look at an artifact: those that the recipe asks for, each after what it needs to know."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from edgecompress.pipeline.findings import Artifact, Findings, artifact_steps, look_at
from edgecompress.recipe.elsewhere import Validation
from edgecompress.recipe.tables import Cpu, Export, Recipe
from edgecompress.step import ArtifactStep
from edgecompress.validation import PlaceResult

EVERYTHING = Recipe(export=Export(formats=("onnx", "ort"), browser=True), cpu=Cpu(emulate=("haswell",)))


@pytest.mark.parametrize(
    ("recipe", "names"),
    [
        (Recipe(export=Export(formats=("onnx",))), ["validate"]),
        (Recipe(export=Export(formats=("onnx", "ort"))), ["convert", "validate"]),
        (EVERYTHING, ["convert", "validate", "emulate", "browse"]),
        (Recipe(validation=Validation(on=("browser", "qemu:haswell"))), ["validate", "browse", "emulate"]),
    ],
)
def test_there_are_the_steps_that_the_recipe_asks_for(recipe: Recipe, names: list[str]) -> None:
    assert [step.name for step in artifact_steps(recipe)] == names


def test_a_step_is_given_what_those_before_it_found() -> None:
    seen: list[int] = []

    def run(findings: Findings, _artifact: Artifact) -> Findings:
        seen.append(len(findings.elsewhere))
        result = PlaceResult(place=f"place {len(findings.elsewhere)}", samples=0)
        return replace(findings, elsewhere=(*findings.elsewhere, result))

    artifact: Any = None
    findings = look_at(artifact, [ArtifactStep(name=name, what="", run=run) for name in "abc"])
    assert seen == [0, 1, 2]
    assert [result.place for result in findings.elsewhere] == ["place 0", "place 1", "place 2"]
    assert (findings.evidence, findings.mobile) == (None, None)
