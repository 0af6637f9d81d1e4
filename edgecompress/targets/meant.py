"""Which target a name means that no target has: a device, an instruction set, a technique."""

from __future__ import annotations

import re
from collections.abc import Sequence

from edgecompress.targets.cpus import CPU_OF, as_named

MEANT = {
    "android": ("phone", "smartphone", "pixel", "galaxy", "androidphone"),
    "mobile": ("iphone", "ipad", "ios", "arm", "arm64", "aarch64"),
    "edge": ("prune", "pruning", "pruned", "embedded", "iot"),
    "realtime": ("distill", "distillation", "student"),
    "raspberry-pi-4": ("rpi4", "pi4", "raspi4", "raspberrypi4"),
    "raspberry-pi-5": ("rpi5", "pi5", "raspi5", "raspberrypi5"),
    "vnni-server": ("server", "xeon", "vnni", "avx512"),
    "mini-pc": ("x86", "x8664", "amd64", "intel", "pc", "laptop", "desktop", "nuc", "avx2"),
    "snapdragon": ("hexagon", "htp", "npu", "qnn", "qualcomm"),
    "openvino-cpu": ("openvino",),
    "browser": ("web", "wasm", "chrome", "javascript"),
}
"""By the name of a target: what people write, in small letters without signs, numbers of a model left out."""
NONE_FOR = {
    **dict.fromkeys(
        ("gpu", "cuda", "tensorrt", "jetson", "jetsonnano", "jetsonorin", "nvidia"),
        "artifacts are INT8 for CPUs, and no target is for GPUs; give 'mobile' for an Arm CPU, 'mini-pc' for x86",
    ),
    **dict.fromkeys(("rpi", "pi", "raspi", "raspberrypi"), "give 'raspberry-pi-4' or 'raspberry-pi-5'"),
    "cpu": "every target is for a CPU; give 'mini-pc' for x86, 'mobile' for Arm (targets list shows all)",
    **dict.fromkeys(
        ("int8", "quantize", "quantization", "quantized"),
        "every target writes INT8; leave --target out, or name a device (targets list shows all)",
    ),
    **dict.fromkeys(
        ("esp32", "stm32", "arduino", "mcu", "microcontroller", "tflite", "coral", "edgetpu"),
        "artifacts run in ONNX Runtime, which needs an operating system; no target is for microcontrollers or TPUs",
    ),
}
"""What no target is for, and why."""


def suggestion(name: str, known: Sequence[str]) -> str:
    """What to give in the place of a name that no target has; empty where nothing is meant.

    >>> suggestion("Pixel 8", ["android"]), suggestion("my.yaml", [])
    ("give 'android' (targets list shows all)", "profiles are TOML: write my.toml with extends = 'mobile'")
    """
    if re.search(r"\.(ya?ml|json|cfg|ini)$", name):
        return f"profiles are TOML: write {name.rpartition('.')[0]}.toml with extends = 'mobile'"
    if (device := as_named(name)) in known:
        return _give(device)
    plain = re.sub(r"[^a-z0-9]", "", name.lower())
    series, front = re.sub(r"\d+[a-z]*$", "", plain), re.split(r"\d", plain)[0]
    names = {word: target for target, words in MEANT.items() for word in words}
    names |= {re.sub(r"[^a-z0-9]", "", target): target for target in known}
    for word in (plain, series, front):
        if word in NONE_FOR:
            return NONE_FOR[word]
        if word in names:
            return _give(names[word])
    return ""


def _give(target: str) -> str:
    """A target, and where that is for an NPU the one for the CPU next to it."""
    units = f" for its NPU, {CPU_OF[target]!r} for its CPU" if target in CPU_OF else ""
    return f"give {target!r}{units} (targets list shows all)"
