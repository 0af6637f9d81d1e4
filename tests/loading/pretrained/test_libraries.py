"""A library that is missing, a name that leads nowhere, and what a library raises end in one line."""

from __future__ import annotations

import logging
import sys
import types
from pathlib import Path
from typing import NoReturn

import pytest

from edgecompress.errors import ModelError
from edgecompress.loading.models import load_model
from edgecompress.loading.pretrained.libraries import is_folder, library, told_as_ours


@pytest.mark.parametrize(("form", "name"), [("hf:some/net", "transformers"), ("timm:resnet18", "timm")])
def test_a_missing_library_is_told_with_the_command_that_installs_it(
    form: str, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(ModelError) as caught:
        load_model(form)
    assert (
        str(caught.value) == f"{form!r} needs {name}, and {name} is not installed; pip install 'edgecompress[{name}]'"
    )


def test_what_a_library_itself_misses_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "library_a.py").write_text("import library_b_that_is_nowhere")
    (tmp_path / "library_c.py").write_text("raise RuntimeError('operator torchvision::nms does not exist')")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ModelError, match="needs library_a, and library_b_that_is_nowhere is not installed; pip"):
        library("library_a", "a:net")
    with pytest.raises(ModelError) as caught:
        library("library_c", "c:net")
    assert str(caught.value) == (
        "'c:net' needs library_c, which cannot be imported: operator torchvision::nms does not exist; install versions"
        " of it and of torch that fit each other"
    )


def test_nothing_is_told_to_the_hub(monkeypatch: pytest.MonkeyPatch) -> None:
    for key in ("HF_HUB_DISABLE_TELEMETRY", "DISABLE_SAFETENSORS_CONVERSION"):
        monkeypatch.delenv(key, raising=False)
    assert isinstance(library("json", "json:net"), types.ModuleType)
    import os

    assert os.environ["HF_HUB_DISABLE_TELEMETRY"] == os.environ["DISABLE_SAFETENSORS_CONVERSION"] == "1"


def test_a_folder_is_told_from_a_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("net").mkdir()
    Path("net/config.json").touch()
    assert is_folder("hf:net")
    assert is_folder(f"timm:{tmp_path}/net")
    assert not is_folder("hf:google/vit")
    assert not is_folder("timm:resnet18")


@pytest.mark.parametrize(
    ("form", "told"),
    [
        ("hf:", "'hf:' has no name; give hf:NAME, or hf:FOLDER"),
        ("hf:./absent", "there is no folder './absent'; check the path"),
        ("timm:a/b/c", "there is no folder 'a/b/c'; check the path"),
        ("hf:empty", "'hf:empty' has no config.json; give a folder that save_pretrained wrote"),
        ("timm:empty", "'timm:empty' has no config.json; give a folder that timm.models.save_for_hf wrote"),
        (
            "hf:file.bin",
            "'hf:file.bin' is a file; give the folder that it lies in, with its config.json",
        ),
    ],
)
def test_what_is_no_model_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, form: str, told: str) -> None:
    monkeypatch.chdir(tmp_path)
    Path("empty").mkdir()
    Path("file.bin").touch()
    with pytest.raises(ModelError) as caught:
        is_folder(form)
    assert str(caught.value) == told


@pytest.mark.parametrize(("local", "fix"), [(True, "check the files in that folder"), (False, "check the name and")])
def test_what_is_raised_is_told_by_its_first_sentence(local: bool, fix: str) -> None:
    logger = logging.getLogger("huggingface_hub")
    level = logger.level
    shown: list[bool] = []
    with pytest.raises(ModelError) as caught, told_as_ours("hf:net", local=local):
        _fail(logger, shown)
    assert str(caught.value).startswith(f"'hf:net' cannot be loaded: no file model.safetensors in net; {fix}")
    assert shown == [False]
    assert logger.level == level


def _fail(logger: logging.Logger, shown: list[bool]) -> NoReturn:
    shown.append(logger.isEnabledFor(logging.ERROR))
    raise OSError("no file model.safetensors in net. This is long.\nAnd longer.")


def test_an_error_of_ours_passes_as_it_is() -> None:
    with pytest.raises(ModelError, match="as it is"), told_as_ours("hf:net", local=True):
        raise ModelError("as it is")
