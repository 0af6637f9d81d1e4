"""A model in a format that is not read is told by its suffix, and what else is goes on."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgecompress.errors import ModelError
from edgecompress.loading.models import load_model
from edgecompress.loading.other_formats import FORMATS, refuse_other_format


@pytest.mark.parametrize("suffix", FORMATS)
def test_every_such_model_is_told_what_it_is_and_what_to_give(suffix: str) -> None:
    for name in (f"net{suffix}", f"some folder/NET{suffix.upper()}"):
        with pytest.raises(ModelError) as caught:
            load_model(name)
        what, _, fix = str(caught.value).partition("; ")
        assert what == f"{name!r} is {FORMATS[suffix][0]}"
        assert "ONNX" in fix or "--weights" in fix
        assert "{" not in fix


@pytest.mark.parametrize("name", ["net.onnx", "net.pt2", "nets.py:net", "package.nets:net", "net"])
def test_what_is_read_or_named_passes(name: str) -> None:
    refuse_other_format(Path(name))
