"""The CPUs of devices: what they can do, and by which names people call them."""

from __future__ import annotations

import platform
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import get_args

from edgecompress.arithmetic import Arithmetic
from edgecompress.errors import RecipeError, nearest
from edgecompress.recipe.tables import Isa, Quantization, Recipe
from edgecompress.system.cores import available_cores


@dataclass(frozen=True, kw_only=True)
class CpuFamily:
    """CPUs with the same instructions.

    ``saturates``: sums of two products of 8-bit activations and weights are cut off at 16 bits. ``stand_in`` is the
    CPU for ``cpu.emulate``, where QEMU has one; ``names`` are CPUs of the family, and what people call
    what has them. Profiles for the family ``also``
    serve this one too.
    """

    what: str
    saturates: bool = False
    also: Isa | None = None
    stand_in: str | None = None
    names: tuple[str, ...] = ()


FAMILIES: Mapping[Isa, CpuFamily] = {
    "x86-sse": CpuFamily(what="x86 without AVX2", stand_in="nehalem", names=("nehalem", "sandybridge")),
    "x86-avx2": CpuFamily(
        what="x86 with AVX2, without VNNI",
        saturates=True,
        stand_in="haswell",
        names=("haswell", "broadwell", "skylake", "zen2", "zen3"),
    ),
    "x86-avx512": CpuFamily(
        what="x86 with AVX-512, without VNNI", saturates=True, also="x86-avx2", names=("skylake-server",)
    ),
    "x86-vnni": CpuFamily(
        what="x86 with AVX-512 VNNI", names=("cascadelake", "icelake", "sapphirerapids", "zen4", "zen5")
    ),
    "armv8.0": CpuFamily(
        what="Armv8.0, no dot product",
        stand_in="cortex-a72",
        names=("cortex-a53", "cortex-a57", "cortex-a72", "jetson-nano", "jetson-tx2", "raspberry-pi-3"),
    ),
    "armv8.2-dotprod": CpuFamily(
        what="Armv8.2 with dot product",
        stand_in="cortex-a76",
        names=(
            "cortex-a55",
            "cortex-a75",
            "cortex-a76",
            "cortex-a78",
            "cortex-x1",
            "neoverse-n1",
            "apple-m1",
            "jetson",
            "jetson-orin",
            "jetson-xavier",
            "phone",
            "smartphone",
            "pixel",
            "galaxy",
            "iphone",
            "ipad",
            "snapdragon",
        ),
    ),
    "wasm": CpuFamily(what="WebAssembly in a browser", names=("browser",)),
}
"""What is known of each value of ``cpu.isa`` (docs/other-cpus.md has what was measured)."""
SERIES = (
    *("pixel", "galaxy", "iphone", "ipad", "snapdragon"),
    *("jetson-orin", "jetson-xavier", "raspberry-pi-4", "raspberry-pi-5"),
)
"""Names that stay true with more behind them, as in ``pixel-8-pro`` or ``pixel8``."""
BEHIND = re.compile(r"-|(?<=[a-z])\d|(?<=\d)[a-z]")
"""How what stands behind a name begins."""
DEVICES: Mapping[str, str] = {
    **dict.fromkeys(("phone", "smartphone", "pixel", "galaxy"), "android"),
    **{name: name for name in ("jetson", "jetson-nano", "jetson-tx2", "jetson-orin", "jetson-xavier")},
    **{name: name for name in ("raspberry-pi-3", "iphone", "ipad", "apple-m1")},
}
"""Names of devices among those of CPUs: the profile that is for it, or its own name where none is."""
WITHOUT_NPU = re.compile(r"^snapdragon-?(?!888)\d{3}(?!\d)")
"""Snapdragons whose NPU nothing here compiles for: those before the 888, and the smaller ones of three digits."""
CPU_OF: Mapping[str, str] = {"snapdragon": "android"}
"""By the profile for a chip's NPU, that for its CPU."""
INSTRUCTIONS: Mapping[str, Isa] = {"sse": "x86-sse", "avx2": "x86-avx2", "avx512": "x86-avx512", "vnni": "x86-vnni"}
"""What people call a family by."""
ARCHITECTURES = {
    "armv8": ("arm", "arm64", "aarch64", "armv8", "arm64v8"),
    "x86": ("x86", "x8664", "x64", "amd64", "intel", "amd"),
}
"""Names that say too little, by how the families begin that they stand for."""
SHORT_PI = re.compile(r"^(?:rpi|pi|raspi|raspberry|raspberrypi)-?(?=\d)")
"""How people begin the name of a Raspberry Pi."""
FLAGS: tuple[tuple[Isa, set[str]], ...] = (
    ("x86-vnni", {"avx512_vnni", "avx_vnni"}),
    ("x86-avx512", {"avx512f"}),
    ("x86-avx2", {"avx2"}),
    ("x86-sse", {"sse2"}),
    ("armv8.2-dotprod", {"asimddp"}),
    ("armv8.0", {"asimd"}),
)
"""What Linux calls the instructions of each family, the richest first."""


def as_named(name: str) -> str:
    """A name as CPUs and devices have it here; of what stands in a series, the name of that.

    >>> as_named("Raspberry Pi 5"), as_named("rpi4"), as_named("Pixel 8 Pro"), as_named("AVX2")
    ('raspberry-pi-5', 'raspberry-pi-4', 'pixel', 'x86-avx2')
    """
    plain = SHORT_PI.sub("raspberry-pi-", "-".join(re.split(r"[\s_-]+", name.strip().lower())))
    if WITHOUT_NPU.match(plain):
        return CPU_OF["snapdragon"]
    series = next((series for series in SERIES if plain.startswith(series) and BEHIND.match(plain, len(series))), plain)
    return INSTRUCTIONS.get(plain, series)


def wide_kind(name: str) -> str | None:
    """How the families begin that an architecture stands for; None for the name of anything else.

    >>> wide_kind("AArch64"), wide_kind("x86_64"), wide_kind("haswell")
    ('armv8', 'x86', None)
    """
    plain = re.sub(r"[^a-z0-9]", "", name.lower())
    return next((kind for kind, names in ARCHITECTURES.items() if plain in names), None)


def find_isa(name: str, others: Iterable[str] = ()) -> Isa:
    """The family that a CPU is of, or that is called so itself; ``others`` are more names to offer.

    Raises:
        RecipeError: there is none; the message offers the nearest and lists the families.

    >>> find_isa("haswell"), find_isa("armv8.0")
    ('x86-avx2', 'armv8.0')
    """
    for isa, family in FAMILIES.items():
        if as_named(name) in (isa, *family.names):
            return isa
    if (kind := wide_kind(name)) is not None:
        *richer, last = [f"{isa} ({' or '.join(sorted(flags))})" for isa, flags in FLAGS if isa.startswith(kind)]
        raise RecipeError(
            f"{name!r} stands for several kinds of CPU; give the first whose flag lscpu lists on the device,"
            f" {', '.join(richer)} or {last}, or the name of a device"
        )
    known = [*others, *get_args(Isa), *(alias for family in FAMILIES.values() for alias in family.names)]
    near = nearest(as_named(name), known)
    raise RecipeError(
        f"unknown CPU {name!r}{f'{near} Families' if near else '; families'} are {', '.join(get_args(Isa))}"
    )


def answers_differ(isa: Isa | None, quantization: Quantization) -> bool:
    """Whether integers of that kind give other answers on such a CPU than where nothing saturates.

    >>> answers_differ("x86-avx2", Quantization(enabled=True, scheme="qnnpack"))
    True
    """
    saturates = isa is not None and FAMILIES[isa].saturates
    return saturates and quantization.enabled and quantization.scheme == "qnnpack"


def host_isa(cpuinfo: Path = Path("/proc/cpuinfo")) -> Isa | None:
    """The family of this machine's CPU, by what Linux says of it; None elsewhere."""
    try:
        lines = cpuinfo.read_text().splitlines()
    except OSError:
        return None
    said = next((line for line in lines if line.partition(":")[0].strip().lower() in ("flags", "features")), "")
    flags = set(said.partition(":")[2].split())
    return next((isa for isa, needed in FLAGS if flags & needed), None)


def arithmetic_of(recipe: Recipe) -> Arithmetic:
    """The arithmetic in which an artifact is judged: that of its target, on whatever machine it is made.

    >>> arithmetic_of(Recipe(quantization=Quantization(enabled=True, scheme="qnnpack")))
    'exact'
    """
    return "native" if answers_differ(recipe.cpu.isa, recipe.quantization) else "exact"


def times_here(isa: Isa | None) -> bool:
    """Whether this machine's times count for a target: it names no CPU, or this machine has such a CPU.

    Where nobody tells what this machine's can do, one of the same architecture counts.

    >>> times_here(None)
    True
    """
    here = host_isa()
    if isa is None or here is not None:
        return isa in (None, here)
    kind = wide_kind(platform.machine())
    return kind is not None and isa.startswith(kind)


def another_cpu(isa: Isa | None) -> str:
    """A target's CPU and this machine's, in words."""
    return f"the target's CPU is {isa}, this machine's {host_isa() or platform.machine()}"


def threads_here(asked: int) -> int:
    """Threads of a session that is timed on this machine: those of the target, but no more than there are cores.

    Threads that wait for one another's core take a time that says nothing of either machine.

    >>> threads_here(1), threads_here(4) == min(4, available_cores())
    (1, True)
    """
    return min(asked, available_cores())
