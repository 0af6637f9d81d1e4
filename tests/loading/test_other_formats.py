"""A model in a format that is not read is told by its suffix, and what else is goes on."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgecompress.errors import ModelError
from edgecompress.loading.models import load_model
from edgecompress.loading.other_formats import FORMATS, refuse_folder, refuse_other_format


@pytest.mark.parametrize("suffix", FORMATS)
def test_every_such_model_is_told_what_it_is_and_what_to_give(suffix: str) -> None:
    for name in (f"net{suffix}", f"some folder/NET{suffix.upper()}"):
        with pytest.raises(ModelError) as caught:
            load_model(name)
        what, _, fix = str(caught.value).partition("; ")
        assert what == f"{name!r} is {FORMATS[suffix][0]}"
        assert "ONNX" in fix or "--weights" in fix
        assert "{" not in fix


@pytest.mark.parametrize("name", ["net.onnx", "net.pt2", "nets.py:net", "package.nets:net", "net"])
def test_what_is_read_or_named_passes(name: str) -> None:
    refuse_other_format(Path(name))


@pytest.mark.parametrize(
    ("files", "told"),
    [
        ((), "is a folder; give a file in it, such as model.onnx"),
        (("a.onnx",), "is a folder; give net/a.onnx"),
        (("a.onnx", "b.onnx"), "is a folder; give a file in it, such as model.onnx"),
        (("manifest.json", "model.onnx"), "is a bundle; give net/model.onnx in it, or validate the bundle"),
        (("config.json",), "is a folder that transformers wrote; give hf:net"),
        (("adapter_config.json",), "is an adapter without its network; merge it (merge_and_unload), save_pretrained,"),
        (
            ("saved_model.pb",),
            "is a TensorFlow model; convert it to ONNX first: python -m tf2onnx.convert --saved-model",
        ),
    ],
)
def test_a_folder_is_told_by_what_lies_in_it(
    files: tuple[str, ...], told: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("net").mkdir()
    for name in files:
        (Path("net") / name).write_text("{}")
    with pytest.raises(ModelError) as caught:
        load_model("net")
    assert str(caught.value).startswith(f"'net' {told}")


@pytest.mark.parametrize(
    ("text", "form"),
    [
        ('{"architecture": "resnet18"}', "timm:net"),
        ('{"architecture": "resnet18", "model_type": "timm_wrapper"}', "hf:net"),
        ("[]", "hf:net"),
        ("{", "hf:net"),
    ],
)
def test_a_configuration_says_whose_folder_it_is(tmp_path: Path, text: str, form: str) -> None:
    folder = tmp_path / "net"
    folder.mkdir()
    (folder / "config.json").write_text(text)
    with pytest.raises(ModelError, match=f"give {form.replace('net', str(folder))}"):
        refuse_folder(folder)
