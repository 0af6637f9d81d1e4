"""A folder that is imported in the place of a module is named."""

from __future__ import annotations

import importlib
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from edgecompress.data.batches import Batch
from edgecompress.errors import ModelError
from edgecompress.modules.capture import capture
from edgecompress.modules.shadowing import shadowing_folder
from edgecompress.recipe.tables import Export


class _Reading(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x * importlib.import_module("hollow").scale  # type: ignore[no-any-return]


def test_a_folder_without_code_is_told_as_what_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "hollow").mkdir()
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(ModelError) as caught:
        capture(_Reading(), Batch(inputs={"x": torch.ones(2, 3).numpy()}), Export())
    folder = str(tmp_path / "hollow")
    assert str(caught.value) == (
        f"the folder {folder!r} is imported in the place of an installed module; rename it, or run elsewhere"
    )


@pytest.mark.parametrize(
    "error",
    [
        AttributeError("module 'torch' has no attribute 'x'"),
        AttributeError("module 'gone' has no attribute 'x'"),
        ValueError("x"),
    ],
)
def test_other_errors_come_from_something_else(error: Exception) -> None:
    assert shadowing_folder(error) is None
