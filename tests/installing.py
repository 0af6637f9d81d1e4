"""Packages that register something, put where Python finds them."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest


def install_package(
    folder: Path, monkeypatch: pytest.MonkeyPatch, group: str, names: tuple[str, str], text: str
) -> None:
    """A package of one module that registers its ``whole``.

    Args:
        folder: of the package; made.
        monkeypatch: takes it off the path again.
        group: of entry points.
        names: the package's, and that of what it registers.
        text: of the module.
    """
    package, name = names
    module = package.replace("-", "_")
    info = folder / f"{module}-1.0.dist-info"
    info.mkdir(parents=True)
    (folder / f"{module}.py").write_text(text)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[{group}]\n{name} = {module}:whole\n")
    monkeypatch.syspath_prepend(str(folder))
    monkeypatch.delitem(sys.modules, module, raising=False)
