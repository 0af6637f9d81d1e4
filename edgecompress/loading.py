"""MODEL and DATA as they are written on the command line, turned into objects.

The Python file that a user names is the user's own code and is run; weights are data and never are.
"""

from __future__ import annotations

import contextlib
import csv
import importlib
import importlib.util
import inspect
import io
import math
import sys
import warnings
import zipfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnx_ir as ir
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import nn
from torch.export import ExportedProgram

from edgecompress.archives import check_archive, read_npz
from edgecompress.data import Axes, Batch, Source, batch_sizes
from edgecompress.errors import USER_CODE_FAILS, DataError, InputError, ModelError, first_line, nearest
from edgecompress.onnx_files import read_onnx, require_file
from edgecompress.plain import WRAPPED, unwrapped
from edgecompress.programs import read_program
from edgecompress.pruning.reload.pruned_file import is_pruned_file
from edgecompress.pruning.reload.storing import load_pruned
from edgecompress.quiet import quiet_torch
from edgecompress.randomness import own_randomness, seed_all
from edgecompress.recipe import Images
from edgecompress.torchscript import OR_ONNX, refuse_model_file, refuse_torchscript, refuse_weights_file

Network = nn.Module | ExportedProgram | ir.Model
NO_AXES: Axes = {}
NPZ_BATCH_ROWS = 32
IMAGE_BATCH_ROWS = 16
IMAGE_FORMATS = ("BMP", "GIF", "JPEG", "PNG", "PPM", "TIFF", "WEBP")
"""What is decoded; among Pillow's other formats are some for which it starts a program."""
MAX_PIXELS = 2**26


def load_teacher(spec: str | None, weights: str | None = None) -> nn.Module | None:
    """The teacher that ``--teacher`` and ``--teacher-weights`` name; None without.

    Raises:
        ModelError: it cannot be loaded, or is no PyTorch module; or there are weights alone.
    """
    if spec is None:
        if weights is not None:
            raise ModelError(f"the teacher's weights {weights!r} have no teacher; give --teacher file.py:callable too")
        return None
    teacher = load_model(spec, weights)
    if not isinstance(teacher, nn.Module):
        raise ModelError(f"the teacher {spec!r} is no PyTorch module; give file.py:callable or module:callable")
    return teacher


def load_model(spec: str, weights: str | None = None) -> Network:
    """MODEL: ``file.py:callable``, ``package.module:callable``, ``model.onnx`` or ``model.pt2``.

    Raises:
        ModelError: it is missing, cannot be read, or is no model; or the weights do not fit.
    """
    suffix = Path(spec).suffix
    if suffix not in (".onnx", ".pt2") and not Path(spec).is_dir():
        refuse_model_file(Path(spec))
        module = _call_for_module(spec)
        return module if weights is None else with_weights(module, Path(weights))
    if weights is not None:
        raise ModelError(f"{spec!r} holds its own weights; leave --weights out")
    require_file(Path(spec))
    return read_onnx(Path(spec)) if suffix == ".onnx" else read_program(Path(spec))


def load_data(spec: str, role: str, images: Images, axes: Axes = NO_AXES) -> Source:
    """DATA: ``file.py:callable``, ``package.module:callable``, ``file.npz``, or a folder with ``labels.csv``.

    Args:
        spec: one of these.
        role: what the data is for, as messages call it.
        images: how a folder of images is read.
        axes: along which axis an array of a ``file.npz`` holds its samples, where that is not the first.

    Raises:
        DataError: it is missing or is none of these.
    """
    path = Path(spec)
    if path.is_dir():
        return lambda: _read_images(path, images)
    if path.suffix == ".npz":
        if not path.is_file():
            raise DataError(f"{role} file {spec!r} does not exist; check the path")
        return lambda: _read_npz(path, axes)
    factory = _resolve(spec, DataError, f"{role} data")
    with _importable(_folder(spec)):
        _require_no_arguments(factory, spec, DataError)
    return factory


def with_weights(module: nn.Module, path: Path) -> nn.Module:
    """The module, filled; or a copy of it that was shrunk first, as the file of a pruned network says.

    Raises:
        ModelError: the file cannot be read, or does not fit.
    """
    if is_pruned_file(path):
        return load_pruned(module, path)
    load_weights(module, path)
    return module


def load_weights(module: nn.Module, path: Path) -> None:
    """Fill ``module`` from safetensors, or from a state dict that ``torch.load`` reads with ``weights_only``.

    Raises:
        ModelError: the file cannot be read as tensors, or its keys or shapes do not fit (they are named).
    """
    own = module.state_dict()
    state = _without_wrappers(_read_state(path), own)
    missing, extra = sorted(own.keys() - state.keys()), sorted(state.keys() - own.keys())
    if missing or extra:
        parts = [f"{word}: {_some(keys)}" for word, keys in (("missing", missing), ("unexpected", extra)) if keys]
        raise ModelError(f"weights {str(path)!r} do not fit the model ({'; '.join(parts)}); give this model's own")
    for name, value in own.items():
        if state[name].shape != value.shape:
            raise ModelError(
                f"weights {str(path)!r} do not fit the model: {name!r} has shape"
                f" {tuple(state[name].shape)}, the model's is {tuple(value.shape)}; give this model's own"
            )
    module.load_state_dict(state)


def _read_state(path: Path) -> dict[str, torch.Tensor]:
    if not path.is_file():
        raise ModelError(f"weights file {str(path)!r} does not exist; check the path")
    refuse_weights_file(path)
    try:
        if path.suffix == ".safetensors":
            state: Any = load_file(path)
        else:
            if zipfile.is_zipfile(path):
                check_archive(path)
            with quiet_torch():
                state = torch.load(path, map_location="cpu", weights_only=True)
    except SafetensorError as error:
        raise ModelError(f"weights {str(path)!r} are not safetensors: {first_line(error)}; save them again") from None
    except Exception:  # torch.load raises whatever the bytes lead it to; none of it was executed
        raise ModelError(
            f"weights {str(path)!r} are no plain state dict and were not executed;"
            " save model.state_dict() with torch.save or safetensors"
        ) from None
    for key in ("state_dict", "model"):  # the checkpoint of a training holds it beside the optimizer's
        if isinstance(state, dict) and isinstance(state.get(key), dict):
            state = state[key]
    if not isinstance(state, dict) or not all(isinstance(value, torch.Tensor) for value in state.values()):
        raise ModelError(f"weights {str(path)!r} hold no state dict; save model.state_dict()")
    return state


def _without_wrappers(state: dict[str, torch.Tensor], own: Mapping[str, Any]) -> dict[str, torch.Tensor]:
    """A state dict without what a wrapper put before all of its names."""
    for prefix in WRAPPED * 2:
        if state and all(key.startswith(prefix) for key in state) and not all(key.startswith(prefix) for key in own):
            state = {key.removeprefix(prefix): value for key, value in state.items()}
    return state


def _some(keys: list[str], shown: int = 3) -> str:
    more = f" and {len(keys) - shown} more" if len(keys) > shown else ""
    return ", ".join(keys[:shown]) + more


def _call_for_module(spec: str) -> nn.Module:
    factory = _resolve(spec, ModelError, "model")
    _require_no_arguments(factory, spec, ModelError)
    try:
        with _importable(_folder(spec)), own_randomness():
            # Untrained students draw their weights: a run that goes on after a kill has to find the same ones.
            seed_all("model")
            module = unwrapped(factory())
    except InputError:
        raise
    except USER_CODE_FAILS as error:
        raise ModelError(f"{spec!r} raised {type(error).__name__}: {first_line(error)}; repair it") from error
    refuse_torchscript(module, f"{spec!r} returned", OR_ONNX)
    if not isinstance(module, nn.Module):
        raise ModelError(f"{spec!r} returned {type(module).__name__}, not a torch.nn.Module; return one")
    return module


def _resolve(spec: str, error_type: type[InputError], what: str) -> Callable[[], Any]:
    """The callable that ``file.py:name`` or ``package.module:name`` stands for."""
    place, separator, name = spec.rpartition(":")
    if not separator or not place or not name:
        forms = "file.py:callable or package.module:callable"
        raise error_type(f"{what} {spec!r} is neither a known file nor a callable; give {forms}")
    module = _import_file(Path(place), error_type) if place.endswith(".py") else _import_module(place, error_type)
    if not hasattr(module, name):
        names = [key for key, value in vars(module).items() if callable(value)]
        raise error_type(f"{place!r} has no callable {name!r}{nearest(name, names, '; name one that it has')}")
    factory = getattr(module, name)
    if not callable(factory):
        raise error_type(f"{spec!r} is a {type(factory).__name__}, not a callable; name a function")
    return factory  # type: ignore[no-any-return]


def _import_file(path: Path, error_type: type[InputError]) -> Any:
    if not path.is_file():
        raise error_type(f"file {str(path)!r} does not exist; check the path")
    name = path.stem
    loaded = sys.modules.get(name)
    if loaded is not None and getattr(loaded, "__file__", None) == str(path.resolve()):
        return loaded
    # A name that is taken (a user's own calibration.py or json.py) must not replace the module that has it.
    name = name if loaded is None else f"_edgecompress_user_{name}"
    module_spec = importlib.util.spec_from_file_location(name, path.resolve())
    assert module_spec is not None
    assert module_spec.loader is not None
    module = importlib.util.module_from_spec(module_spec)
    sys.modules[name] = module
    try:
        with _importable(path.resolve().parent):
            module_spec.loader.exec_module(module)
    except USER_CODE_FAILS as error:
        del sys.modules[name]
        raise error_type(f"{str(path)!r} raised {type(error).__name__}: {first_line(error)}; repair it") from error
    return module


def _import_module(name: str, error_type: type[InputError]) -> Any:
    try:
        with _importable(Path.cwd()):
            return importlib.import_module(name)
    except USER_CODE_FAILS as error:
        raise error_type(
            f"module {name!r} cannot be imported: {first_line(error)}; install it, or check the name"
        ) from error


@contextlib.contextmanager
def _importable(folder: Path) -> Iterator[None]:
    """The user's folder comes first while their code is imported, and last ever after.

    First, so that ``import data`` finds the file beside theirs, as in a script; last, so that imports
    made later (in an iterator, say) still work but cannot shadow an installed package.
    """
    entry = str(folder)
    sys.path.insert(0, entry)
    try:
        yield
    finally:
        sys.path.remove(entry)
        if entry not in sys.path:
            sys.path.append(entry)


def _folder(spec: str) -> Path:
    place = spec.rpartition(":")[0]
    return Path(place).resolve().parent if place.endswith(".py") else Path.cwd()


def _require_no_arguments(factory: Callable[..., Any], spec: str, error_type: type[InputError]) -> None:
    try:
        parameters = inspect.signature(factory).parameters.values()
    except (TypeError, ValueError):
        return
    variadic = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    needed = [p.name for p in parameters if p.default is p.empty and p.kind not in variadic]
    if needed:
        raise error_type(f"{spec!r} needs the argument {needed[0]!r}; give a callable that takes none")


def _read_npz(path: Path, axes: Axes) -> Iterable[Any]:
    """Batches of ``NPZ_BATCH_ROWS`` rows: a dict of inputs, with the labels where the file has them."""
    try:
        arrays = read_npz(path)
    except Exception:  # numpy's reasons advise to unpickle, which is never done here
        raise DataError(
            f"{str(path)!r} cannot be read as npz: it is damaged, no npz, larger than memory, or holds objects;"
            " write arrays with numpy.savez"
        ) from None
    lengths = {name: batch_sizes({name: array.shape}, axes) for name, array in arrays.items() if array.ndim}
    sizes = {name: size[0] for name, size in lengths.items() if size}
    if len(set(sizes.values())) != 1 or 0 in sizes.values():
        raise DataError(
            f"{str(path)!r}: arrays need the same first dimension, not {sizes}; save one row for each sample, or name"
            " the axis that holds the samples (export.batch_axes.NAME)"
        )
    whole = Batch(inputs=arrays, axes=axes)
    return [whole.slice(start, start + NPZ_BATCH_ROWS).inputs for start in range(0, whole.rows, NPZ_BATCH_ROWS)]


def _read_images(folder: Path, images: Images) -> Iterator[Any]:
    """Batches of ``IMAGE_BATCH_ROWS`` images as float32 (rows, 3, height, width), with their labels."""
    rows = _read_labels(folder)
    for start in range(0, len(rows), IMAGE_BATCH_ROWS):
        part = rows[start : start + IMAGE_BATCH_ROWS]
        pixels = np.stack([_read_image(folder / name, images) for name, _ in part])
        yield pixels, np.array([label for _, label in part], np.int64)


def _read_labels(folder: Path) -> list[tuple[str, int]]:
    table = folder / "labels.csv"
    if not table.is_file():
        raise DataError(f"folder {str(folder)!r} has no labels.csv; write one line 'image,label' for each image")
    try:
        text = table.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        raise DataError(f"{str(table)!r} is not UTF-8 text; save it as UTF-8") from None
    rows: list[tuple[str, int]] = []
    for number, fields in enumerate(csv.reader(io.StringIO(text)), 1):
        if len(fields) == 2 and fields[1].strip().isdigit():
            rows.append((fields[0], int(fields[1])))
        elif fields and number > 1:  # the first line may be a header
            raise DataError(
                f"{str(table)!r} line {number} is {','.join(fields)!r}; write 'image,label', the label a class from 0"
            )
    return rows


def _read_image(path: Path, images: Images) -> np.ndarray[Any, np.dtype[np.float32]]:
    from PIL import Image

    height, width = images.size
    try:
        with warnings.catch_warnings(), Image.open(path, formats=IMAGE_FORMATS) as image:
            warnings.simplefilter("ignore")
            if math.prod(image.size) > MAX_PIXELS:
                raise ValueError(f"it has {image.width} x {image.height} pixels, more than {MAX_PIXELS:,}")
            pixels = np.asarray(image.convert("RGB").resize((width, height), Image.Resampling.BILINEAR), np.float32)
    except Exception as error:  # each decoder has exceptions of its own for what is damaged
        raise DataError(
            f"image {str(path)!r} cannot be read: {first_line(error)}; mend the file, or take it out of labels.csv"
        ) from None
    normalized = (pixels / 255 - np.array(images.mean, np.float32)) / np.array(images.std, np.float32)
    return np.ascontiguousarray(normalized.transpose(2, 0, 1))
