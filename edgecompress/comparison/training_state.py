"""What a network holds that acts in its training alone: its answers, its weights and its layers tell nothing of it."""

from __future__ import annotations

import enum
import functools
import hashlib
import inspect
import types
from collections.abc import Iterator, Mapping, Set
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from torch.export import ExportedProgram

from edgecompress.data.digest import digest_of
from edgecompress.errors import DataError
from edgecompress.runtime import Network

HOOKS = frozenset(name for name in vars(nn.Module()) if name.endswith("_hooks"))
OF_PYTORCH = frozenset(vars(nn.Module())) - HOOKS - {"training"}
"""Attributes of every module: weights, buffers, modules, and what PyTorch notes of them."""
NAMED = (torch.dtype, torch.device, torch.layout, torch.memory_format)
PLAIN = (bool, int, float, complex, str, bytes, torch.Tensor)
CALLED_BY_NAME = (type, types.BuiltinFunctionType, types.MethodDescriptorType, types.WrapperDescriptorType)


@dataclass(frozen=True, kw_only=True)
class TrainingState:
    """A digest of what acts in training.

    Attributes:
        digest: of what is trained, and of the attributes of each module.
        whole: whether every attribute is in it; False where one has no values that could be read, such as a lock.
    """

    digest: str
    whole: bool


def training_state(network: Network) -> TrainingState:
    """Of the parameters that are trained, of the mode of each module, and of its own attributes and hooks.

    Two loads of a network have the same state. An ONNX file has none.
    """
    hasher, whole = hashlib.sha256(), True
    for name, value in _parts(network):
        try:
            found = digest_of(_readable(value, frozenset()))
        except (DataError, TypeError, ValueError, RecursionError):  # it has no values, or they cannot be read
            whole = False
            continue
        hasher.update(f"{len(name)} {name}".encode() + found)
    return TrainingState(digest=hasher.hexdigest(), whole=whole)


def _parts(network: Network) -> Iterator[tuple[str, Any]]:
    if isinstance(network, ExportedProgram):
        yield "trained", {name: value.requires_grad for name, value in network.state_dict.items()}
    if not isinstance(network, nn.Module):
        return
    yield "trained", {name: value.requires_grad for name, value in network.named_parameters()}
    for place, module in network.named_modules():
        for name, value in sorted(vars(module).items()):
            if name in HOOKS:  # under numbers that are drawn anew in each process
                yield f"{place}.{name}", [*value.values()]
            elif name not in OF_PYTORCH:
                yield f"{place}.{name}", value


def _readable(value: Any, above: frozenset[int]) -> Any:
    """The value with names in place of code, whose files count elsewhere, and with the attributes of objects.

    Args:
        value: of an attribute.
        above: ids of the objects that it lies in.

    Raises:
        RecursionError: it holds itself.
    """
    if value is None or (isinstance(value, PLAIN) and not isinstance(value, enum.Enum)):
        return value
    if isinstance(value, NAMED):
        return str(value)
    if isinstance(value, enum.Enum):
        return _name(type(value)), value.name
    if isinstance(value, CALLED_BY_NAME):
        return _name(value)
    if id(value) in above:
        raise RecursionError
    read = functools.partial(_readable, above=above | {id(value)})
    if isinstance(value, Mapping):
        return {read(key): read(each) for key, each in value.items()}
    if isinstance(value, Set):
        return {"set": sorted(digest_of(read(each)) for each in value)}
    if isinstance(value, (list, tuple)):
        return [_name(type(value)), *map(read, value)]
    return _of_code(value, read) or _of_object(value, read)


def _of_code(value: Any, read: functools.partial[Any]) -> Any:
    """Of a function its place, and what it holds; None of anything else."""
    if isinstance(value, functools.partial):
        return "partial", read(value.func), read(value.args), read(value.keywords)
    if inspect.ismethod(value):
        return "method", _name(value.__func__), read(value.__self__)
    if not inspect.isfunction(value):
        return None
    held = [cell.cell_contents for cell in value.__closure__ or ()]
    return _name(value), value.__code__.co_firstlineno, read(held), read(value.__defaults__), read(value.__kwdefaults__)


def _of_object(value: Any, read: functools.partial[Any]) -> Any:
    if isinstance(value, nn.Module):
        return _name(type(value)), {name: read(each) for name, each in _held_by(value)}
    if hasattr(value, "__array__") or not hasattr(value, "__dict__") or isinstance(value, types.ModuleType):
        return value
    return _name(type(value)), read(vars(value))


def _held_by(module: nn.Module) -> Iterator[tuple[str, Any]]:
    """The weights and attributes of a module that is no part of the network, but held by one."""
    yield from module.state_dict().items()
    yield from _parts(module)


def _name(code: Any) -> str:
    return f"{getattr(code, '__module__', '')}.{code.__qualname__}"
