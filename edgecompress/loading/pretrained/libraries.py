"""What both libraries share: how MODEL names them, how they are imported, and how their faults are told."""

from __future__ import annotations

import contextlib
import importlib
import logging
import os
import re
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from edgecompress.errors import USER_CODE_FAILS, InputError, ModelError, first_line

HUB = {"HF_HUB_DISABLE_TELEMETRY": "1", "DISABLE_SAFETENSORS_CONVERSION": "1"}
"""What keeps the hub's client from telling who asks, and from having files converted on the hub."""

CONFIGURATION = "config.json"
WRITTEN = {"hf": "save_pretrained", "timm": "timm.models.save_for_hf"}
"""By what stands before the colon: what writes a folder that is read."""


def library(name: str, form: str) -> Any:
    """An installed library.

    Args:
        name: of the library, and of the extra that installs it.
        form: of MODEL, which needs it.

    Raises:
        ModelError: it is not installed, or cannot be imported.
    """
    for key, value in HUB.items():
        os.environ.setdefault(key, value)
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        missing = error.name or name
        raise ModelError(
            f"{form!r} needs {name}, and {missing} is not installed; pip install 'edgecompress[{name}]'"
        ) from None
    except USER_CODE_FAILS as error:
        raise ModelError(
            f"{form!r} needs {name}, which cannot be imported: {first_line(error)}; install versions of it and of"
            " torch that fit each other"
        ) from None


def is_folder(form: str) -> bool:
    """Whether a model is a folder on this machine, which needs no network.

    Args:
        form: MODEL as the user wrote it.

    Raises:
        ModelError: there is no name, it is the path of a folder that does not exist, or no model lies there.
    """
    library, _, name = form.partition(":")
    if not name:
        raise ModelError(f"{form!r} has no name; give {library}:NAME, or {library}:FOLDER")
    path = Path(name)
    if path.is_file():
        raise ModelError(f"{form!r} is a file; give the folder that it lies in, with its config.json")
    if not path.is_dir() and (name.startswith((".", "/", "~")) or len(path.parts) > 2):
        raise ModelError(f"there is no folder {name!r}; check the path")
    if path.is_dir() and not (path / CONFIGURATION).is_file():
        raise ModelError(f"{form!r} has no {CONFIGURATION}; give a folder that {WRITTEN[library]} wrote")
    return path.is_dir()


@contextlib.contextmanager
def told_as_ours(form: str, *, local: bool) -> Iterator[None]:
    """What a library raises while it loads a model, in one line.

    Args:
        form: MODEL as the user wrote it.
        local: whether it is a folder on this machine.

    Raises:
        ModelError: something was raised inside.
    """
    logger = logging.getLogger("huggingface_hub")
    level = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    except InputError:
        raise
    except USER_CODE_FAILS as error:
        here = "check the files in that folder"
        fix = here if local else "check the name and the network, or give a folder that has been downloaded"
        raise ModelError(f"{form!r} cannot be loaded: {_first_sentence(error)}; {fix}") from error
    finally:
        logger.setLevel(level)


def _first_sentence(error: BaseException) -> str:
    return re.split(r"\.(?:\s|$)", first_line(error))[0]
