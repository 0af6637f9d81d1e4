"""MODEL and DATA as they are written on the command line, turned into objects.

The Python file that a user names is the user's own code and is run; weights are data and never are.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import onnx_ir as ir
from torch import nn
from torch.export import ExportedProgram

from edgecompress.errors import USER_CODE_FAILS, InputError, ModelError, a_kind, first_line
from edgecompress.loading.onnx_files import read_onnx
from edgecompress.loading.other_formats import refuse_folder, refuse_other_format
from edgecompress.loading.pretrained.hugging_face import load_hugging_face
from edgecompress.loading.pretrained.timm_models import load_timm
from edgecompress.loading.programs import read_program
from edgecompress.loading.pytorch_files import refuse_model_file
from edgecompress.loading.user_code import folder_of, importable, require_no_arguments, resolve
from edgecompress.loading.weights import with_weights
from edgecompress.modules.checks import check_network
from edgecompress.modules.plain import unwrapped
from edgecompress.modules.torchscript import OR_ONNX, refuse_torchscript
from edgecompress.progress import Progress
from edgecompress.runtime import Network
from edgecompress.system.isolation import require_file
from edgecompress.system.randomness import own_randomness, seed_all

LIBRARIES: Mapping[str, Callable[..., nn.Module]] = {"hf": load_hugging_face, "timm": load_timm}
"""What loads the networks of other libraries, by what stands before the colon."""


def load_teacher(spec: str | None, weights: str | None = None, progress: Progress | None = None) -> nn.Module | None:
    """The teacher that ``--teacher`` and ``--teacher-weights`` name; None without.

    Raises:
        ModelError: it cannot be loaded, or is no PyTorch module; or the file holds only weights.
    """
    if spec is None:
        if weights is not None:
            raise ModelError(f"the teacher's weights {weights!r} have no teacher; give --teacher file.py:callable too")
        return None
    teacher = load_model(spec, weights, progress)
    if not isinstance(teacher, nn.Module):
        raise ModelError(f"the teacher {spec!r} is no PyTorch module; give file.py:callable or module:callable")
    return teacher


def given_model(
    model: Network | str | os.PathLike[str],
    weights: str | os.PathLike[str] | None = None,
    progress: Progress | None = None,
) -> Network:
    """A network that Python hands over, or MODEL.

    Args:
        model: a module, an exported program, an ONNX model, or what :func:`load_model` takes.
        weights: of a module that MODEL names.
        progress: told of what is taken of the weights, where that is not all.

    Raises:
        ModelError: it is none of these or cannot be loaded; or there are weights for what has its own.
    """
    if isinstance(model, (str, os.PathLike)):
        return load_model(str(model), None if weights is None else str(weights), progress)
    if weights is not None:
        raise ModelError("weights are for a model that is given by its name; load them into the module")
    return check_network(model)


def load_model(spec: str, weights: str | None = None, progress: Progress | None = None) -> Network:
    """MODEL: ``file.py:callable``, ``package.module:callable``, ``model.onnx``, ``model.pt2``, ``hf:NAME_OR_FOLDER`` or
    ``timm:NAME_OR_FOLDER``.

    Raises:
        ModelError: it is missing, cannot be read, or is no model; or the weights do not fit.
    """
    library, separator, name = spec.partition(":")
    if separator and library in LIBRARIES:
        module = LIBRARIES[library](name, filled=weights is None)
        return module if weights is None else with_weights(module, Path(weights), progress)
    suffix = Path(spec).suffix
    refuse_folder(Path(spec))
    if suffix not in (".onnx", ".pt2"):
        refuse_other_format(Path(spec))
        refuse_model_file(Path(spec))
        factory = resolve(spec, ModelError, "model", (nn.Module,), _fix(spec))
        module = _call_for_module(factory, spec)
        if weights is None and isinstance(factory, type) and progress is not None:
            progress.warn(
                f"{spec!r} is a class, and no weights are given (--weights): the network has those that it begins with"
            )
        return module if weights is None else with_weights(module, Path(weights), progress)
    if weights is not None:
        raise ModelError(f"{spec!r} holds its own weights; leave --weights out")
    require_file(Path(spec))
    return read_onnx(Path(spec)) if suffix == ".onnx" else read_program(Path(spec))


def name_of(model: Network | str) -> str:
    """What a model is called in the name of a folder: MODEL without its place, or the class of a module.

    >>> name_of("models.py:resnet20"), name_of("nets/resnet20.onnx"), name_of(nn.Linear(1, 1))
    ('resnet20', 'resnet20', 'linear')
    >>> name_of("hf:google/vit-base-patch16-224")
    'vit-base-patch16-224'
    """
    if isinstance(model, str):
        place, _, name = model.rpartition(":")
        if place in LIBRARIES:
            return Path(name).resolve().name if Path(name).is_dir() else name.rpartition("/")[2]
        return name if place else Path(model).stem
    return "model" if isinstance(model, (ir.Model, ExportedProgram)) else type(model).__name__.lower()


def _fix(spec: str) -> str:
    """What to give in place of a text that names nothing here, and may be a name of another library's."""
    if re.fullmatch(r"[\w.-]+/[\w.-]+", spec):
        return f"give file.py:callable, or hf:{spec} for a model of the Hugging Face hub"
    if re.fullmatch(r"[\w.-]+", spec):
        return f"give file.py:callable, or timm:{spec} or hf:{spec} for a model of one of these libraries"
    return "give file.py:callable or package.module:callable"


def _call_for_module(factory: Callable[..., Any], spec: str) -> nn.Module:
    require_no_arguments(factory, spec, ModelError)
    try:
        with importable(folder_of(spec)), own_randomness():
            # Untrained students draw their weights: a run that goes on after a kill has to find the same ones.
            seed_all("model")
            module = unwrapped(factory())
    except InputError:
        raise
    except USER_CODE_FAILS as error:
        raise ModelError(f"{spec!r} raised {type(error).__name__}: {first_line(error)}; repair it") from error
    refuse_torchscript(module, f"{spec!r} returned", OR_ONNX)
    if not isinstance(module, nn.Module):
        raise ModelError(f"{spec!r} returned {a_kind(module)}, not a torch.nn.Module; return one")
    return module
