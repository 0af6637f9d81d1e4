"""What lies in the user's cache lies below one folder, unless the environment names another one."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from edgecompress.errors import InputError
from edgecompress.system import cache
from edgecompress.validation.elsewhere import cpus
from edgecompress.validation.elsewhere.device.clock import kept_times
from edgecompress.validation.elsewhere.runtimes import browser

NAMED: list[tuple[Callable[[], Path], str]] = [
    (cache.cache_folder, cache.VARIABLE),
    (cpus.arm_root, cpus.ARM_ROOT),
    (browser.package, browser.WEB),
]


@pytest.mark.parametrize("find", [*(find for find, _ in NAMED), kept_times])
def test_all_of_it_is_below_one_folder_of_the_home(
    find: Callable[[], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    for _, variable in NAMED:
        monkeypatch.setenv(variable, "")
    assert find().is_relative_to(tmp_path / ".cache" / "edgecompress")
    assert find() != tmp_path / ".cache" / "edgecompress"


@pytest.mark.parametrize(("find", "variable"), NAMED)
def test_the_environment_names_another_place(
    find: Callable[[], Path], variable: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv(variable, "mine")
    assert find() == tmp_path / "mine"


@pytest.mark.parametrize(("find", "variable"), [*NAMED, (kept_times, "HOME")])
def test_without_a_home_a_line_says_what_to_set(
    find: Callable[[], Path], variable: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_home() -> Path:
        raise RuntimeError("Could not determine home directory.")

    for _, each in NAMED:
        monkeypatch.delenv(each, raising=False)
    monkeypatch.setattr(Path, "home", no_home)
    with pytest.raises(
        InputError, match=rf"^there is no home folder for the user's cache; set {variable} to a folder$"
    ):
        find()
