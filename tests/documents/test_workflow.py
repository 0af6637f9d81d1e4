"""The workflow of the page on deploying: every command in it runs, as far as no runner is needed."""

from __future__ import annotations

import shlex
import shutil
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest
import torch

from edgecompress.cli import main
from tests.documents.blocks import ROOT, blocks_of
from tests.documents.exported_once import exported_once
from tests.documents.stage import BUNDLE, build_stage, on_stage

yaml = pytest.importorskip("yaml")
PAGE = ROOT / "docs" / "deploying.md"
NOTE_OF = {"validate": "min_metric", "diff": "max_metric_loss"}


def _commands() -> list[list[str]]:
    """What the steps of the workflow run, split as a shell splits it."""
    (block,) = [block for block in blocks_of(PAGE) if block.language == "yaml"]
    workflow = yaml.safe_load(block.text)
    assert {"name", "jobs"} <= workflow.keys()
    steps = [step for job in workflow["jobs"].values() for step in job["steps"]]
    return [shlex.split(step["run"]) for step in steps if "run" in step]


def _float_model(file: Path) -> None:
    """The float network of the stage as ONNX, where the workflow has it."""
    from nets import my_net  # type: ignore[import-not-found]
    from safetensors.torch import load_file

    network = my_net()
    network.load_state_dict(load_file("my_net.safetensors"))
    rows = torch.export.Dim("batch")
    torch.onnx.export(
        network.eval(), (torch.zeros(2, 1, 32, 32),), file, input_names=["x"], dynamic_shapes=({0: rows},), dynamo=True
    )


@pytest.mark.filterwarnings("default")
def test_the_commands_of_the_workflow_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    with exported_once():
        build_stage(tmp_path)
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(tmp_path / "summary.md"))
    install, *commands = _commands()
    assert install[:2] == ["pip", "install"]
    with on_stage(tmp_path):
        for folder in ("models", "released"):
            shutil.copytree(BUNDLE, Path(folder) / BUNDLE)
        _float_model(Path("models/my_net.onnx"))
        for program, *arguments in commands:
            assert program == "edgecompress"
            capfd.readouterr()
            status = main(arguments)
            printed = capfd.readouterr()
            assert status in (0, 1), printed.err
            assert (status == 1) == ("::error " in printed.out)  # networks this small are right by chance
        files = [Path("junit") / f"{arguments[0]}.xml" for _, *arguments in commands]
        names = [{case.get("name") for case in ElementTree.parse(file).getroot()[0]} for file in files]
    assert [file.stem for file in files] == list(NOTE_OF)
    assert all(note in found for note, found in zip(NOTE_OF.values(), names, strict=True))
    summary = (tmp_path / "summary.md").read_text()
    assert [line for line in summary.splitlines() if line.startswith("### ")] == [
        f"### edgecompress validate {BUNDLE}",
        f"### edgecompress diff {BUNDLE} {BUNDLE}",
    ]
