"""What an image processor of transformers, or a configuration of timm, is in keys of the recipe's table ``images``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

PIXELS = 255
"""What pixels are divided by before the mean is subtracted, in this package."""
CROPPED = 384
"""Pixels below which ConvNeXt's processor takes the middle of a picture, and else all of it."""


def images_of_processor(said: Mapping[str, Any]) -> dict[str, Any]:
    """Values for ``images.*`` from what ``preprocessor_config.json`` holds; what it leaves open stays open.

    >>> said = {"size": {"shortest_edge": 256}, "do_center_crop": True, "crop_size": {"height": 224, "width": 224}}
    >>> images_of_processor({**said, "image_mean": [0.5, 0.5, 0.5], "image_std": [0.5, 0.5, 0.5]})["crop_share"]
    0.875
    """
    return {**_framed(said), **_normalized(said), **({"channels": "bgr"} if said.get("do_flip_channel_order") else {})}


def images_of_timm(said: Mapping[str, Any]) -> dict[str, Any]:
    """Values for ``images.*`` from a network's ``pretrained_cfg``.

    >>> images_of_timm({"input_size": (3, 32, 32), "crop_pct": 0.9, "mean": (0.5,) * 3, "std": (0.5,) * 3})["size"]
    (32, 32)
    """
    channels, *size = said["input_size"]
    share = {} if said.get("crop_mode", "center") != "center" else {"resize": "crop", "crop_share": said["crop_pct"]}
    gray = {"channels": "gray"} if channels == 1 else {}
    return {"size": tuple(size), "mean": tuple(said["mean"]), "std": tuple(said["std"]), **share, **gray}


def _framed(said: Mapping[str, Any]) -> dict[str, Any]:
    """Size, and the part of a picture that is taken."""
    resized, cropped = _size(said.get("size")), _size(said.get("crop_size"))
    shortest = _shortest(said.get("size"))
    if said.get("do_center_crop") and cropped is not None:
        edge = shortest or (min(resized) if resized else None)
        share = {} if edge is None or not said.get("do_resize", True) else {"crop_share": min(1.0, min(cropped) / edge)}
        return {"size": cropped, "resize": "crop", **share}
    if resized is not None:
        return {"size": resized, "resize": "stretch"}
    if shortest is None or not said.get("crop_pct"):
        return {}
    part = {"resize": "crop", "crop_share": float(said["crop_pct"])} if shortest < CROPPED else {"resize": "stretch"}
    return {"size": (shortest, shortest), **part}


def _size(said: Any) -> tuple[int, int] | None:
    """Height and width; None where they are not both said."""
    if isinstance(said, int):
        return said, said
    if isinstance(said, Mapping) and {"height", "width"} <= said.keys():
        return int(said["height"]), int(said["width"])
    return None


def _shortest(said: Any) -> int | None:
    edge = said.get("shortest_edge") if isinstance(said, Mapping) else None
    return None if edge is None else int(edge)


def _normalized(said: Mapping[str, Any]) -> dict[str, Any]:
    """Mean and deviation for pixels that were divided by 255, whatever the processor scales them by."""
    factor = float(said.get("rescale_factor", 1 / PIXELS)) if said.get("do_rescale", True) else 1.0
    shift = 1.0 if said.get("rescale_offset") else 0.0
    mean, std = (_values(said, key, default) for key, default in (("image_mean", 0.0), ("image_std", 1.0)))
    if mean is None or std is None:
        return {}
    scale = factor * PIXELS
    return {
        "mean": _rounded((value + shift) / scale for value in mean),
        "std": _rounded(value / scale for value in std),
    }


def _values(said: Mapping[str, Any], key: str, default: float) -> Sequence[float] | None:
    """Of each channel; the default where nothing is normalized, None where that is not said."""
    if not said.get("do_normalize", True):
        return (default,)
    given = said.get(key)
    return None if given is None else [float(value) for value in given]


def _rounded(values: Any) -> tuple[float, ...]:
    return tuple(round(value, 9) for value in values)
