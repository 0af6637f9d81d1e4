"""What lies in the user's cache lies below one folder, unless the environment names another one."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

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
