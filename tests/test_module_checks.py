"""What no front end works on."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from edgecompress.errors import ModelError
from edgecompress.module_checks import check_module


def test_something_else() -> None:
    with pytest.raises(ModelError, match=r"^the model is a str; give a torch\.nn\.Module$"):
        check_module("resnet")


def test_parameters_without_shape_or_values() -> None:
    with pytest.raises(ModelError, match=r"'0\.weight' has no shape yet; run the model once"):
        check_module(nn.Sequential(nn.LazyLinear(4)))
    with torch.device("meta"), pytest.raises(ModelError, match="'weight' is on the meta device"):
        check_module(nn.Linear(4, 4))
