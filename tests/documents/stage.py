"""The folder in which the blocks of a page are run: the vision example, with smaller networks and less data."""

from __future__ import annotations

import contextlib
import os
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch
from torch import nn

from tests.documents.blocks import ROOT
from tests.documents.commands import Done, run_command

EXAMPLES = ROOT / "examples"
BUNDLE = "my_net-mobile"
COMPRESS = (
    "edgecompress compress nets.py:my_net --weights my_net.safetensors --target mobile"
    f" --calibration batches.py:calibration --evaluation batches.py:validation --output {BUNDLE}"
)
SMALLER = {
    "vision/nets.py": {"WIDTHS = (32, 64, 128)": "WIDTHS = (32, 32, 32)", "THIN = (16, 32, 64)": "THIN = (16, 32, 32)"},
    "vision/batches.py": {
        "TRAINING = 1200": "TRAINING = 32",
        "CALIBRATION = 256": "CALIBRATION = 32",
        "VALIDATION = 597": "VALIDATION = 32",
    },
    "vision/train.py": {"EPOCHS = 4": "EPOCHS = 1"},
    "text/nets.py": {"WIDTH = 256": "WIDTH = 64", "LAYERS = 4": "LAYERS = 1"},
    "text/batches.py": {"CALIBRATION = 256": "CALIBRATION = 32", "VALIDATION = 2048": "VALIDATION = 32"},
    "text/train.py": {"STEPS = 500": "STEPS = 50", "ROWS = 32": "ROWS = 2"},
    "text/reviews.py": {},
    "segmentation/nets.py": {"WIDTHS = (16, 32, 64, 128)": "WIDTHS = (16, 16)"},
    "segmentation/batches.py": {
        "TRAINING = 1536": "TRAINING = 16",
        "CALIBRATION = 128": "CALIBRATION = 8",
        "VALIDATION = 512": "VALIDATION = 8",
    },
    "segmentation/train.py": {"EPOCHS = 10": "EPOCHS = 1"},
    "segmentation/scenes.py": {},
    "keywords/nets.py": {"WIDTHS = (96, 192, 192, 64)": "WIDTHS = (16, 32, 32, 16)"},
    "keywords/batches.py": {
        "TRAINING = 4096": "TRAINING = 64",
        "CALIBRATION = 256": "CALIBRATION = 32",
        "VALIDATION = 3072": "VALIDATION = 32",
    },
    "keywords/train.py": {"EPOCHS = 8": "EPOCHS = 1"},
    "keywords/sounds.py": {},
    "keywords/features.py": {},
    "detection/nets.py": {"WIDTHS = (16, 32, 64, 128, 128)": "WIDTHS = (16, 16, 16, 16, 16)", "NECK = 48": "NECK = 16"},
    "detection/batches.py": {
        "TRAINING = 1536": "TRAINING = 32",
        "CALIBRATION = 128": "CALIBRATION = 16",
        "VALIDATION = 512": "VALIDATION = 16",
    },
    "detection/train.py": {"EPOCHS = 10": "EPOCHS = 1"},
    "detection/scenes.py": {},
    "detection/losses.py": {},
    "detection/boxes.py": {},
}


def copy_example(example: str, folder: Path) -> None:
    """The files of an example, made small."""
    for file, changes in SMALLER.items():
        place, name = file.split("/")
        if place != example:
            continue
        text = (EXAMPLES / file).read_text()
        for old, new in changes.items():
            assert old in text, f"{file} has no {old!r}"
            text = text.replace(old, new)
        (folder / name).write_text(text)


def build_stage(folder: Path) -> None:
    """Fill a folder with the vision example, its trained weights and its bundle for phones."""
    copy_example("vision", folder)
    with on_stage(folder):
        for command in ("python train.py", COMPRESS):
            require(run_command(command))


def copy_stage(stage: Path, folder: Path, page: Path) -> None:
    """A page's own copy; the bundle is left out where the page makes it itself. An example's page has the example."""
    if page.is_relative_to(EXAMPLES):
        copy_example(page.parent.name, folder)
        return
    text = page.read_text()
    makes_it = f"--output {BUNDLE}" in text or f'output="{BUNDLE}"' in text
    ignored = shutil.ignore_patterns("__pycache__", *([BUNDLE] if makes_it else []))
    shutil.copytree(stage, folder, ignore=ignored, dirs_exist_ok=True)


@contextlib.contextmanager
def on_stage(folder: Path) -> Iterator[None]:
    """Make a folder the current one, where Python looks for modules too; what was imported from it is forgotten."""
    before, path = Path.cwd(), list(sys.path)
    os.chdir(folder)
    sys.path.insert(0, str(folder))
    for file in folder.glob("*.py"):  # another test's project may have left modules of these names
        sys.modules.pop(file.stem, None)
    try:
        yield
    finally:
        os.chdir(before)
        sys.path[:] = path
        for name, module in list(sys.modules.items()):
            if str(getattr(module, "__file__", None) or "").startswith(str(folder)):
                del sys.modules[name]


def names_of_readme() -> dict[str, Any]:
    """What the README's blocks call by name without saying where it is from."""
    from batches import calibration, training, validation  # type: ignore[import-not-found]
    from nets import my_net, my_student  # type: ignore[import-not-found]
    from safetensors.torch import load_file

    model = my_net()
    model.load_state_dict(load_file("my_net.safetensors"))
    batches = calibration()
    return {
        "torch": torch,
        "model": model,
        "teacher": model,
        "student": my_student(),
        "batches": batches,
        "labelled": validation(),
        "images": batches[0][0],
        "train_loader": training(),
        "train": _train(batches),
    }


def _train(batches: list[tuple[torch.Tensor, torch.Tensor]]) -> Callable[[nn.Module], None]:
    def train(model: nn.Module) -> None:
        optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
        for images, labels in batches:
            optimizer.zero_grad()
            nn.functional.cross_entropy(model(images), labels).backward()  # type: ignore[no-untyped-call]
            optimizer.step()

    return train


def require(done: Done, status: int | None = None) -> None:
    """Fail with what a command printed, unless it ended as it should."""
    assert done.passed if status is None else done.status == status, f"{done.command}\n{done.output}"
