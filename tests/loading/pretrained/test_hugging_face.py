"""``hf:FOLDER``: the network, its pictures as its processor makes them, its tokens as its tokenizer does."""

from __future__ import annotations

import os
import shutil
import socket
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file
from torch import nn

from edgecompress.cli import main
from edgecompress.errors import ModelError
from edgecompress.loading.models import load_model
from edgecompress.loading.opened import open_together
from edgecompress.loading.pretrained.hugging_face import class_names
from edgecompress.modules.preprocessing import preprocessing_of
from edgecompress.recipe.overrides import override
from edgecompress.recipe.tables import Recipe
from edgecompress.runtime import execute
from tests.drawn_folders import draw
from tests.pretrained_folders import LENGTH, PROCESSOR, SIDE, change, write_text, write_vision

transformers: Any = pytest.importorskip("transformers", reason="transformers is not installed: hf: is not tested")
CODE = (
    "'hf:vit' asks for code of its own (auto_map in config.json), which is never run; build the network in a file of"
    " yours and give file.py:callable"
)


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("written")
    write_vision(folder / "vit")
    write_text(folder / "bert")
    return folder


@pytest.fixture
def folders(written: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of them, made the current folder, on a machine without a network."""

    def no_network(*_: object, **__: object) -> NoReturn:
        raise AssertionError("the network is asked")

    shutil.copytree(written, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(socket.socket, "connect", no_network)
    monkeypatch.setattr(socket, "getaddrinfo", no_network)
    return tmp_path


def _module(form: str, weights: str | None = None) -> nn.Module:
    module = load_model(form, weights)
    assert isinstance(module, nn.Module)
    return module


def test_a_folder_is_the_network_that_was_saved(folders: Path) -> None:
    from transformers import ViTForImageClassification

    pixels = torch.rand(2, 3, SIDE, SIDE)
    wanted = ViTForImageClassification.from_pretrained("vit")
    module = _module(f"hf:{folders}/vit")
    assert type(module) is ViTForImageClassification
    assert not module.training
    with torch.no_grad():
        torch.testing.assert_close(module(pixels).logits, wanted(pixels).logits)


def test_many_missing_weights_are_counted(folders: Path) -> None:
    change(Path("vit"), num_hidden_layers=2)
    with pytest.raises(
        ModelError, match=r"'hf:vit' lacks weights for vit\.\S+, vit\.\S+, vit\.\S+ and \d+ more; give a"
    ):
        load_model("hf:vit")


def test_a_configuration_that_names_no_class_is_that_of_its_kind(folders: Path) -> None:
    change(Path("bert"), architectures=None)
    assert type(load_model("hf:bert")).__name__ == "BertModel"


def test_half_precision_becomes_float32(folders: Path) -> None:
    from transformers import ViTForImageClassification

    ViTForImageClassification.from_pretrained("vit", dtype=torch.float16).save_pretrained("half")
    assert {parameter.dtype for parameter in _module("hf:half").parameters()} == {torch.float32}


@pytest.mark.parametrize(
    "processor", [{}, {"do_rescale": False}, {"rescale_factor": 1 / 127.5}, {"do_normalize": False}]
)
def test_pictures_are_those_of_the_processor(folders: Path, processor: dict[str, Any]) -> None:
    from transformers import ViTImageProcessorPil

    write_vision(Path("other"), **processor)
    for label in ("cat", "dog"):
        draw(Path(f"pets/{label}/1.png"), (SIDE, SIDE), (200, 60, 7))
    opened = open_together(load_model("hf:other"), {"calibration": "pets"}, Recipe())
    (pixels,) = opened.first().inputs.values()
    with Image.open("pets/cat/1.png") as picture:
        wanted = ViTImageProcessorPil(**{**PROCESSOR, **processor})(picture, return_tensors="np")
    np.testing.assert_allclose(pixels[0], wanted["pixel_values"][0], rtol=1e-5, atol=1e-6)
    assert opened.recipe.images.size == (SIDE, SIDE)


def test_what_the_recipe_says_of_pictures_holds(folders: Path) -> None:
    draw(Path("pets/cat/1.png"), (SIDE, SIDE))
    recipe = override(Recipe(), ["images.mean=[0.485, 0.456, 0.406]", "images.size=[16, 16]"])
    images = open_together(load_model("hf:vit"), {"calibration": "pets"}, recipe).recipe.images
    assert images.mean == (0.485, 0.456, 0.406)
    assert images.std == tuple(PROCESSOR["image_std"])
    assert images.size == (16, 16)


def test_texts_become_the_tokens_of_the_tokenizer(folders: Path) -> None:
    from transformers import AutoTokenizer

    texts, labels = ["good film", "bad", "a good bad film"], torch.tensor([1, 0, 1])
    data = [(texts, labels)]
    opened = open_together(load_model("hf:bert"), {"evaluation": data}, override(Recipe(), ["data.max_tokens=9"]))
    batch = opened.first()
    wanted = AutoTokenizer.from_pretrained("bert")(texts, padding="max_length", max_length=9, return_tensors="np")
    assert batch.inputs.keys() == {"input_ids", "attention_mask"}
    for name, array in batch.inputs.items():
        np.testing.assert_array_equal(array, wanted[name])
    np.testing.assert_array_equal(batch.labels, labels)
    assert np.isfinite(execute(opened.network, batch.inputs)[0]).all()


def test_no_text_is_longer_than_the_network_takes(folders: Path) -> None:
    tokenize = preprocessing_of(load_model("hf:bert")).tokenize
    assert tokenize is not None
    assert tokenize(["good " * 50], 128)["input_ids"].shape == (1, LENGTH)


def test_weights_of_ones_own_take_the_place_of_those_in_the_folder(folders: Path) -> None:
    other = write_vision(folders / "other")
    state = {name: value + 1 for name, value in _module(f"hf:{other}").state_dict().items()}
    save_file(state, "own.safetensors")
    for weights in folders.glob("vit/*.safetensors"):
        weights.unlink()
    filled = _module("hf:vit", "own.safetensors").state_dict()
    assert all(torch.equal(filled[name], value) for name, value in state.items())


def test_code_that_a_folder_brings_along_is_never_run(folders: Path) -> None:
    Path("vit/net.py").write_text("from pathlib import Path\nPath('ran').touch()\n")
    change(Path("vit"), auto_map={"AutoConfig": "net.Config", "AutoModel": "net.Net"}, model_type="own")
    _refused("hf:vit", CODE)
    assert not Path("ran").exists()


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"attn_implementation": "someone/kernels"}, CODE),
        ({"text_config": {"auto_map": {"AutoModel": "x.Y"}}}, CODE),
        (
            {"quantization_config": {"quant_method": "gptq"}},
            "'hf:vit' holds quantized weights (quantization_config in config.json); give the float model",
        ),
        (
            {"architectures": ["FooNet"]},
            "'hf:vit' is of the class 'FooNet', which transformers does not have; install a newer one",
        ),
        (
            {"architectures": ["AutoConfig"]},
            "'hf:vit' is of the class 'AutoConfig', which transformers does not have; install a newer one",
        ),
        (
            {"model_type": "foo"},
            f"'hf:vit' is of the kind 'foo', which transformers {transformers.__version__} does not have; pip install"
            " --upgrade transformers",
        ),
        (
            {"id2label": {str(k): str(k) for k in range(7)}},
            "'hf:vit' lacks weights for classifier.bias, classifier.weight; give a model that was trained for its task,"
            " or --weights",
        ),
        (
            {"architectures": None, "model_type": "align_text_model"},
            "'hf:vit' names no class (architectures in config.json); save it again with save_pretrained",
        ),
        ({"architecture": "vit", "model_type": None}, "'hf:vit' was written by timm; give timm:vit"),
    ],
)
def test_what_cannot_be_loaded_is_told_in_a_line(folders: Path, changed: dict[str, Any], told: str) -> None:
    change(Path("vit"), **changed)
    with pytest.raises(ModelError) as caught:
        load_model("hf:vit")
    assert str(caught.value) == told


@pytest.mark.parametrize(
    ("file", "content", "told"),
    [
        (
            "config.json",
            b"{",
            "cannot be loaded: It looks like the config file at 'vit/config.json' is not a valid JSON",
        ),
        ("model.safetensors", b"xxxx", "cannot be loaded: Error while deserializing header: "),
        ("model.safetensors", None, "cannot be loaded: Error no file named model.safetensors"),
    ],
)
def test_damaged_and_missing_files_are_told(folders: Path, file: str, content: bytes | None, told: str) -> None:
    (Path("vit") / file).unlink()
    if content is not None:
        (Path("vit") / file).write_bytes(content)
    _refused("hf:vit", f"'hf:vit' {told}")


def test_pickled_weights_are_read_as_data(folders: Path) -> None:
    class Malice:
        def __reduce__(self) -> Any:
            return os.mkdir, ("ran",)

    Path("vit/model.safetensors").unlink()
    torch.save({"classifier.bias": Malice()}, "vit/pytorch_model.bin")
    _refused("hf:vit", "'hf:vit' cannot be loaded: ")
    assert not Path("ran").exists()


def test_a_folder_without_processor_and_tokenizer_says_nothing_of_its_inputs(folders: Path) -> None:
    Path("vit/preprocessor_config.json").unlink()
    said = preprocessing_of(load_model("hf:vit"))
    assert not said.images
    assert said.tokenize is None


def test_the_command_line_takes_it(folders: Path, capfd: pytest.CaptureFixture[str]) -> None:
    draw(Path("pets/cat/1.png"), (SIDE, SIDE))
    assert main(["inspect", "hf:vit", "--calibration", "pets"]) == 0
    captured = capfd.readouterr()
    assert "classifier" in captured.out
    assert captured.err == ""


def _refused(form: str, told: str) -> None:
    with pytest.raises(ModelError) as caught:
        load_model(form)
    assert str(caught.value).startswith(told)


def test_the_names_of_classes_are_those_of_the_configuration(folders: Path) -> None:
    from transformers import AutoConfig

    folder = folders / "vit"
    assert preprocessing_of(_module("hf:vit")).classes == ()
    config = AutoConfig.from_pretrained(folder)
    config.id2label = dict(enumerate(("owl", "dog", "cat", "cow", "hen")))
    config.label2id = {name: number for number, name in config.id2label.items()}
    config.save_pretrained(folder)
    assert preprocessing_of(_module("hf:vit")).classes == ("owl", "dog", "cat", "cow", "hen")


@pytest.mark.parametrize(
    ("labels", "names"),
    [
        ({"1": "b", "0": "a"}, ("a", "b")),
        ({0: "a", 1: "a"}, ("a", "a (1)")),
        ({0: "a", 1: "a", 2: "a (1)"}, ()),
        ({0: "LABEL_0", 1: "LABEL_1"}, ()),
        ({1: "a"}, ()),
        ({}, ()),
    ],
)
def test_each_class_has_a_name_of_its_own_or_none_has(labels: dict[Any, str], names: tuple[str, ...]) -> None:
    assert class_names(labels) == names
