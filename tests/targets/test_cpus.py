"""The families of CPUs: names that people use, and stand-ins that can be emulated."""

from __future__ import annotations

import re
from pathlib import Path
from typing import get_args

import pytest

from edgecompress.errors import RecipeError
from edgecompress.recipe.tables import Isa, Quantization
from edgecompress.targets.cpus import FAMILIES, answers_differ, as_named, find_isa, host_isa, threads_here
from edgecompress.validation.elsewhere.cpus import CPUS, find_cpu


def test_every_family_is_described() -> None:
    assert set(FAMILIES) == set(get_args(Isa))


def test_every_stand_in_can_be_emulated_and_is_of_the_family() -> None:
    for isa, family in FAMILIES.items():
        if family.stand_in is not None:
            assert find_isa(CPUS[family.stand_in].name) == isa


@pytest.mark.parametrize("name", CPUS)
def test_every_cpu_that_can_be_emulated_is_of_a_family(name: str) -> None:
    machine = "x86" if CPUS[name].machine == "x86_64" else "armv8"
    assert find_isa(name).startswith(machine)
    assert ("dotprod" in find_isa(name)) == CPUS[name].features.endswith(", dot product")


def test_no_name_stands_twice() -> None:
    names = [name for family in FAMILIES.values() for name in family.names]
    assert len(names) == len(set(names))


@pytest.mark.parametrize("name", ["Cortex-A76", "cortex a76", " CORTEX_A76 "])
def test_names_are_taken_as_people_write_them(name: str) -> None:
    assert find_isa(name) == "armv8.2-dotprod"


@pytest.mark.parametrize(
    ("name", "isa"),
    [
        ("phone", "armv8.2-dotprod"),
        ("Pixel 8 Pro", "armv8.2-dotprod"),
        ("Galaxy-S24", "armv8.2-dotprod"),
        ("iPhone 15", "armv8.2-dotprod"),
        ("jetson", "armv8.2-dotprod"),
        ("Jetson Orin Nano", "armv8.2-dotprod"),
        ("jetson nano", "armv8.0"),
        ("Raspberry Pi 3", "armv8.0"),
        ("AVX2", "x86-avx2"),
        ("avx512", "x86-avx512"),
        ("VNNI", "x86-vnni"),
    ],
)
def test_devices_and_instructions_are_known_by_the_names_people_know(name: str, isa: Isa) -> None:
    assert find_isa(name) == isa


@pytest.mark.parametrize("name", ["Raspberry Pi 5", "rpi5", "Pi 5", "raspi5", "Raspberry Pi 5 Model B"])
def test_a_raspberry_pi_is_one_however_it_is_written(name: str) -> None:
    assert as_named(name) == "raspberry-pi-5"


@pytest.mark.parametrize(
    ("name", "series"),
    [
        ("snapdragon888", "snapdragon"),
        ("Snapdragon8Gen3", "snapdragon"),
        ("pixel8", "pixel"),
        ("iPhone15Pro", "iphone"),
        ("raspberrypi4b", "raspberry-pi-4"),
        ("Raspberry Pi 4B", "raspberry-pi-4"),
        ("snapdragon855", "android"),
        ("raspberry-pi-44", "raspberry-pi-44"),
        ("pixelated", "pixelated"),
    ],
)
def test_a_number_needs_no_blank_in_front_of_it(name: str, series: str) -> None:
    assert as_named(name) == series


@pytest.mark.parametrize("name", sorted({name for family in FAMILIES.values() for name in family.names}))
def test_a_name_of_the_table_stays_what_it_is(name: str) -> None:
    assert as_named(name) == name


def test_an_unknown_cpu_gets_the_nearest() -> None:
    with pytest.raises(RecipeError, match=r"unknown CPU 'hasswell'; did you mean 'haswell'\? Families are x86-sse"):
        find_isa("hasswell")


@pytest.mark.parametrize("name", ["arm64", "AArch64", "x86_64", "amd64", "Intel"])
def test_an_architecture_is_no_cpu_and_its_kinds_are_offered(name: str) -> None:
    begins, other = ("armv8", "x86") if name.lower().startswith(("arm", "aarch")) else ("x86", "armv8")
    for find in (find_isa, find_cpu):
        with pytest.raises(RecipeError, match=f"^'{name}' stands for several kinds of CPU; give ") as caught:
            find(name)
        offered = re.findall(r"([\w.-]+) \(", str(caught.value))
        assert len(offered) > 1
        assert all(find_isa(each).startswith(begins) for each in offered)
        assert other not in str(caught.value)


def test_the_families_of_an_architecture_are_told_with_the_flags_that_tell_them_apart() -> None:
    with pytest.raises(RecipeError) as caught:
        find_isa("arm64")
    assert str(caught.value) == (
        "'arm64' stands for several kinds of CPU; give the first whose flag lscpu lists on the device, armv8.2-dotprod"
        " (asimddp) or armv8.0 (asimd), or the name of a device"
    )


@pytest.mark.parametrize("name", ["x86_64", "arm64"])
def test_the_first_kind_whose_flag_is_listed_is_that_of_the_machine(name: str, tmp_path: Path) -> None:
    """What a user reads from lscpu by the message is what this package reads from the same flags."""
    with pytest.raises(RecipeError) as caught:
        find_isa(name)
    kinds = [(isa, flags.split(" or ")) for isa, flags in re.findall(r"([\w.-]+) \(([^)]*)\)", str(caught.value))]
    cpuinfo = tmp_path / "cpuinfo"
    for place, (isa, flags) in enumerate(kinds):
        for flag in flags:
            cpuinfo.write_text(f"flags : fpu {flag} {' '.join(each[0] for _, each in kinds[place + 1 :])}\n")
            assert host_isa(cpuinfo) == isa


@pytest.mark.parametrize(
    ("isa", "scheme", "enabled", "differ"),
    [
        ("x86-avx2", "qnnpack", True, True),
        ("x86-avx512", "qnnpack", True, True),
        ("x86-avx2", "fbgemm", True, False),
        ("x86-avx2", "qnnpack", False, False),
        ("x86-vnni", "qnnpack", True, False),
        ("armv8.0", "qnnpack", True, False),
        (None, "qnnpack", True, False),
    ],
)
def test_answers_differ_where_8_bit_products_saturate(
    isa: Isa | None, scheme: str, enabled: bool, differ: bool
) -> None:
    quantization = Quantization.model_validate({"scheme": scheme, "enabled": enabled})
    assert answers_differ(isa, quantization) is differ


@pytest.mark.parametrize(("asked", "cores", "timed"), [(4, 2, 2), (4, 4, 4), (1, 2, 1), (256, 1, 1)])
def test_what_is_timed_here_has_no_more_threads_than_there_are_cores(
    asked: int, cores: int, timed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("edgecompress.targets.cpus.available_cores", lambda: cores)
    assert threads_here(asked) == timed


@pytest.mark.parametrize(
    ("line", "isa"),
    [
        ("flags\t\t: fpu sse2 avx avx2 avx512f avx512_vnni", "x86-vnni"),
        ("flags\t\t: fpu sse2 avx avx2 avx_vnni", "x86-vnni"),
        ("flags\t\t: fpu sse2 avx avx2 avx512f", "x86-avx512"),
        ("flags\t\t: fpu sse2 avx avx2", "x86-avx2"),
        ("flags\t\t: fpu sse2 avx", "x86-sse"),
        ("Features\t: fp asimd crc32", "armv8.0"),
        ("Features\t: fp asimd asimddp", "armv8.2-dotprod"),
        ("flags\t\t: altivec", None),
        ("model name\t: avx2", None),
    ],
)
def test_the_family_of_this_machine_is_read_from_linux(line: str, isa: Isa | None, tmp_path: Path) -> None:
    (tmp_path / "cpuinfo").write_text(f"processor\t: 0\n{line}\n\nprocessor\t: 1\n{line}\n")
    assert host_isa(tmp_path / "cpuinfo") == isa
    assert host_isa(tmp_path / "absent") is None
