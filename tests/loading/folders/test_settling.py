"""What a recipe leaves open is settled by the network and the folders, and recorded."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import onnx
import onnx_ir as ir
import pytest

from edgecompress.errors import RecipeError
from edgecompress.loading.folders.dataset import Pictures
from edgecompress.loading.folders.settling import settle_folders, settled_images
from edgecompress.modules.preprocessing import Preprocessing, with_preprocessing
from edgecompress.recipe.overrides import override
from edgecompress.recipe.samples import Images, Samples
from edgecompress.recipe.tables import Recipe, Training
from tests.drawn_folders import coco, draw, draw_mask, told, write, write_json
from tests.networks import ConvNet, seeded


def _network(*shape: int | str | None) -> ir.Model:
    given = onnx.helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, shape)
    made = onnx.helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, shape)
    graph = onnx.helper.make_graph([onnx.helper.make_node("Relu", ["x"], ["y"])], "g", [given], [made])
    return ir.from_proto(onnx.helper.make_model(graph))


@pytest.mark.parametrize(
    ("shape", "size", "channels", "layout"),
    [
        (("n", 3, 32, 48), (32, 48), "rgb", "channels_first"),
        ((1, 1, 28, 28), (28, 28), "gray", "channels_first"),
        (("n", 20, 30, 3), (20, 30), "rgb", "channels_last"),
        (("n", 3, "h", "w"), (224, 224), "rgb", "channels_first"),
        (("n", 3, 32, "w"), (224, 224), "rgb", "channels_first"),
        (("n", 7), (224, 224), "rgb", "channels_first"),
    ],
)
def test_the_network_says_what_it_declares(
    shape: tuple[int | str, ...], size: tuple[int, int], channels: str, layout: str
) -> None:
    images = settled_images(Images(mean=(0.5,), std=(0.5,)), _network(*shape), boxes=False)
    assert (images.size, images.channels, images.layout, images.resize) == (size, channels, layout, "stretch")


def test_what_the_recipe_says_holds() -> None:
    asked = Images(size=(8, 9), resize="crop", channels="bgr", layout="channels_last")
    images = settled_images(asked, _network(1, 3, 32, 32), boxes=True)
    assert (images.size, images.resize, images.channels, images.layout) == ((8, 9), "crop", "bgr", "channels_last")
    assert settled_images(Images(), seeded(ConvNet), boxes=True).size == (224, 224)
    assert settled_images(Images(), None, boxes=True).resize == "letterbox"


def test_what_was_stored_with_a_pretrained_network_stands_between_recipe_and_defaults() -> None:
    said = {"size": (30, 40), "resize": "crop", "crop_share": 0.5, "mean": (0.5,), "std": (0.25,), "channels": "bgr"}
    network = with_preprocessing(seeded(ConvNet), Preprocessing(images=said))
    images = settled_images(Images(), network, boxes=False)
    assert {key: getattr(images, key) for key in said} == said
    assert settled_images(Images(), network, boxes=True).resize == "letterbox"
    asked = Images(size=(8, 9), mean=(0.1, 0.2, 0.3), channels="rgb")
    images = settled_images(asked, network, boxes=False)
    assert (images.size, images.mean, images.std, images.channels) == ((8, 9), (0.1, 0.2, 0.3), (0.25,), "rgb")


NORMALIZATION = "--set images.mean=0.5, --set images.std=0.5 (of pixels from 0 to 1)"


@pytest.mark.parametrize("words", ["images.size=96", "images.mean=0.5", "images.std=0.5"])
def test_what_is_advised_can_be_set(words: str) -> None:
    key, _, value = words.removeprefix("images.").partition("=")
    found = getattr(override(Recipe(), (words,)).images, key)
    assert found == ((96, 96) if key == "size" else (float(value),))


@pytest.mark.parametrize(
    ("asked", "shape", "told"),
    [
        (
            Images(),
            ("n", 3, "h", "w"),
            "they are resized to 224 x 224 and normalized as for ImageNet; if training did otherwise, give its values,"
            f" such as: --set images.size=96, {NORMALIZATION}",
        ),
        (
            Images(),
            ("n", 3, 4, 6),
            "they are normalized as for ImageNet; if training did otherwise, give its values,"
            f" such as: {NORMALIZATION}",
        ),
        (
            Images(),
            ("n", 4, 6, 3),
            "they are normalized as for ImageNet; if training did otherwise, give its values,"
            f" such as: {NORMALIZATION}",
        ),
        (
            Images(mean=(0.5,)),
            ("n", 3, "h", "w"),
            "they are resized to 224 x 224; if training did otherwise, give its values, such as: --set images.size=96",
        ),
        (Images(size=(4, 4), std=(0.5,)), ("n", 3, "h", "w"), None),
    ],
)
def test_what_is_taken_for_want_of_anything_better_is_told(
    tmp_path: Path, asked: Images, shape: tuple[int | str, ...], told: str | None
) -> None:
    draw(tmp_path / "a.png")
    heard: list[str] = []
    recipe = Recipe(images=asked)
    _, settled = settle_folders({"calibration": tmp_path}, recipe, _network(*shape), heard.append)
    assert heard == ([] if told is None else [f"nothing says how pictures were prepared in training: {told}"])
    settle_folders({"calibration": tmp_path}, settled, _network(*shape), heard.append)
    assert len(heard) == (told is not None)  # a record says all


def test_without_any_word_of_it_pictures_are_those_of_imagenet() -> None:
    images = settled_images(Images(), None, boxes=False)
    assert (images.mean, images.std, images.crop_share) == ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225), 0.875)


def test_the_default_mean_of_colors_does_not_do_for_gray() -> None:
    with pytest.raises(RecipeError) as caught:
        settled_images(Images(), _network(1, 1, 8, 8), boxes=False)
    assert str(caught.value) == "'images.mean' has 3 values for gray pictures; give 1"


def test_classes_are_those_of_the_folder_with_the_most_for_all_roles(tmp_path: Path) -> None:
    for name in ("train/cat/1", "train/dog/1", "train/owl/1", "test/owl/1", "test/cat/1"):
        draw(tmp_path / f"{name}.png")
    data: dict[str, Any] = {"evaluation": tmp_path / "test", "train": str(tmp_path / "train"), "calibration": []}
    settled, recipe = settle_folders(data, Recipe(images=Images(size=(4, 4))))
    assert recipe.data.classes == ("cat", "dog", "owl")
    assert recipe.images == settled_images(Images(size=(4, 4)), None, boxes=False)
    assert [target for _, target in settled["evaluation"]] == [0, 2]
    assert [target for _, target in settled["train"]] == [0, 1, 2]
    assert settled["calibration"] is data["calibration"]
    again, same = settle_folders({"evaluation": str(tmp_path / "test")}, recipe)
    assert same == recipe
    assert [target for _, target in again["evaluation"]] == [0, 2]


def test_without_folders_nothing_changes(tmp_path: Path) -> None:
    data = {"calibration": "batches.py:calibration", "train": [1]}
    assert settle_folders(data, Recipe()) == (data, Recipe())


def test_a_class_that_is_unknown_is_named_with_sample_and_file(tmp_path: Path) -> None:
    for name in ("cat", "dog"):
        draw(tmp_path / "train" / name / "1.png")
    owl = draw(tmp_path / "test" / "owl" / "1.png")
    data = {"train": str(tmp_path / "train"), "evaluation": str(tmp_path / "test")}
    assert told(lambda: settle_folders(data, Recipe())) == (
        f"evaluation sample {str(owl)!r} has the class 'owl' in {str(owl.parent)!r}, which is none of cat, dog; name"
        " all classes in order (data.classes)"
    )
    settle_folders(data, Recipe(data=Samples(classes=("dog", "owl", "cat"))))


def test_an_index_beyond_the_names_is_named(tmp_path: Path) -> None:
    picture = draw(tmp_path / "images" / "a.png")
    text = write(tmp_path / "labels" / "a.txt", "6 0.5 0.5 0.5 0.5")
    write(tmp_path / "classes.txt", "\n".join("abcdef"))
    assert told(lambda: settle_folders({"evaluation": str(tmp_path)}, Recipe())) == (
        f"evaluation sample {str(picture)!r} has the class 6 in {str(text)!r}, which is none of a, b, c, d, ... f; name"
        " all classes in order (data.classes)"
    )


def test_boxes_in_one_folder_letterbox_the_pictures_of_all(tmp_path: Path) -> None:
    draw(tmp_path / "plain" / "a.png")
    draw(tmp_path / "drawn" / "a.png")
    write_json(tmp_path / "drawn" / "instances.json", coco({"a.png": (8, 8)}, [], cat=1))
    data = {"calibration": str(tmp_path / "plain"), "evaluation": str(tmp_path / "drawn")}
    settled, recipe = settle_folders(data, Recipe())
    assert recipe.images.resize == "letterbox"
    assert isinstance(settled["calibration"], Pictures)
    assert settled["calibration"].images == settled["evaluation"].images == recipe.images


def test_augmentation_would_leave_masks_behind(tmp_path: Path) -> None:
    draw(tmp_path / "images" / "a.png", (1, 1))
    draw_mask(tmp_path / "masks" / "a.png", [[0]])
    recipe = Recipe(training=Training(augmentation="flip"))
    assert told(lambda: settle_folders({"train": str(tmp_path)}, recipe)) == (
        "'training.augmentation' is 'flip', which moves pictures and not their masks or boxes; set"
        " training.augmentation=none"
    )
    settle_folders({"evaluation": str(tmp_path)}, recipe)


def test_masks_of_black_and_white_need_a_word(tmp_path: Path) -> None:
    for name, values in (("a", [[0, 0]]), ("b", [[0, 255]])):
        draw(tmp_path / "images" / f"{name}.png", (1, 2))
        draw_mask(tmp_path / "masks" / f"{name}.png", values)
    data, folder = {"evaluation": str(tmp_path)}, str(tmp_path)
    assert told(lambda: settle_folders(data, Recipe())) == (
        f"the masks of {folder!r} hold 0 and 255 only, and 255 does not count; where it is a class, set"
        " images.mask_values=[0,255], else images.mask_values=[0]"
    )
    for classes, wanted in (((0, 255), [[0, 1]]), ((0,), [[0, -100]])):
        settled, _ = settle_folders(data, Recipe(images=Images(size=(1, 2), mask_values=classes)))
        assert settled["evaluation"][1][1].tolist() == wanted
    draw_mask(tmp_path / "masks" / "a.png", [[0, 1]])
    settle_folders(data, Recipe())


def test_classes_of_a_network_number_those_of_folders(tmp_path: Path) -> None:
    """A folder in alphabetical order would give other numbers."""
    for name in ("cat", "owl"):
        draw(tmp_path / name / "a.png")
    network = with_preprocessing(seeded(ConvNet), Preprocessing(classes=("owl", "dog", "cat")))
    data, recipe = settle_folders({"evaluation": str(tmp_path)}, Recipe(), network)
    assert recipe.data.classes == ("owl", "dog", "cat")
    assert sorted(data["evaluation"][at][1] for at in range(2)) == [0, 2]
    data, recipe = settle_folders({"evaluation": str(tmp_path)}, Recipe(), seeded(ConvNet))
    assert sorted(data["evaluation"][at][1] for at in range(2)) == [0, 1]
    assert recipe.data.classes == ("cat", "owl")
    other = with_preprocessing(seeded(ConvNet), Preprocessing(classes=("owl", "dog")))
    assert settle_folders({"evaluation": str(tmp_path)}, Recipe(), other)[1].data.classes == ("cat", "owl")
    named = Recipe(data=Samples(classes=("owl", "cat")))
    assert settle_folders({"evaluation": str(tmp_path)}, named, network)[1].data.classes == ("owl", "cat")


def test_classes_of_a_network_are_named_where_no_folder_is_given() -> None:
    network = with_preprocessing(seeded(ConvNet), Preprocessing(classes=("owl", "dog")))
    assert settle_folders({"evaluation": []}, Recipe(), network)[1].data.classes == ("owl", "dog")
