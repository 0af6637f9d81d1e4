"""``timm:NAME_OR_FOLDER``: a network of timm, with what its configuration says of the inputs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from torch import nn

from edgecompress.errors import ModelError, nearest
from edgecompress.loading.other_formats import is_of_timm
from edgecompress.loading.pretrained.libraries import CONFIGURATION, is_folder, library, told_as_ours
from edgecompress.loading.pretrained.processors import images_of_timm
from edgecompress.modules.preprocessing import Preprocessing, with_preprocessing


def load_timm(name: str, *, filled: bool = True) -> nn.Module:
    """A network of timm.

    Args:
        name: of one of timm's networks, of a repository on the hub, or a folder, for which nothing is fetched.
        filled: read the weights, too; otherwise they are random.

    Raises:
        ModelError: timm is missing; there is no such network, or it has no weights.
    """
    form = f"timm:{name}"
    timm = library("timm", form)
    local = is_folder(form)
    if local and not is_of_timm(Path(name) / CONFIGURATION):
        raise ModelError(f"{form!r} was not written by timm; for a folder of transformers give hf:{name}")
    source = _source(timm, name, form, local=local, filled=filled)
    with told_as_ours(form, local=local):
        module = timm.create_model(source, pretrained=filled).eval()
        return with_preprocessing(module, Preprocessing(images=images_of_timm(module.pretrained_cfg)))


def _source(timm: Any, name: str, form: str, *, local: bool, filled: bool) -> str:
    """What timm calls it."""
    if local:
        return f"local-dir:{name}"
    if "/" in name:
        return name if ":" in name else f"hf-hub:{name}"
    if not timm.is_model(name):
        raise ModelError(f"timm has no network {name!r}{nearest(name, timm.list_models(), '; timm.list_models()')}")
    if filled and not timm.is_model_pretrained(name):
        raise ModelError(f"{form!r} has no trained weights; give yours with --weights FILE")
    return name
