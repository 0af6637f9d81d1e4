"""The configuration of a network of transformers says what pruning made of its sizes, where it has words for that."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from itertools import islice, product

import torch
from torch import nn
from torch.nn.utils.parametrize import type_before_parametrizations

from edgecompress.errors import USER_CODE_FAILS
from edgecompress.pruning.reload.blueprint import sizes_of
from edgecompress.pruning.storage import named_tensors
from edgecompress.system.quiet import quiet_torch

KEYS = (
    *("intermediate_size", "hidden_dim", "ffn_dim", "encoder_ffn_dim", "decoder_ffn_dim", "n_inner", "d_ff"),
    *("num_attention_heads", "num_key_value_heads", "num_heads", "hidden_size", "d_model", "dim", "n_embd"),
)
"""What configurations call the sizes that pruning changes."""
MOST_TRIALS = 64
"""Most combinations of values that are tried, one after the other."""
Facts = Mapping[tuple[str, int], int]
"""The axes of tensors, and the whole numbers that modules hold, by name and place."""


def tell_configurations(before: nn.Module, after: nn.Module) -> None:
    """Let the configurations in a pruned network say what is true of it.

    A value is told where a network that is built from the configuration with it differs from one that is built without
    it only in sizes that the pruned network has: a width that is not the same in every layer is not told.

    Args:
        before: the network with the sizes that its configurations tell; not modified.
        after: the pruned one, whose configurations are modified.
    """
    known, told = dict(before.named_modules()), set[int]()
    for path, part in after.named_modules():
        config = getattr(part, "config", None)
        if path in known and _is_of_transformers(part) and id(config) not in told:
            told.add(id(config))
            for key, value in _best(known[path], part).items():
                setattr(config, key, value)


def _best(before: nn.Module, after: nn.Module) -> dict[str, int]:
    """The values that say most."""
    stale = _stale(before, after)
    facts, plain = _facts(after), _built(after, {})
    if plain is None or plain.items() <= facts.items():
        return {}
    most, best = 0, dict[str, int]()
    for values in islice(_candidates(before, after), MOST_TRIALS):
        built = _built(after, values)
        moved = {fact: size for fact, size in (built or {}).items() if plain.get(fact) != size and fact not in stale}
        if len(moved) > most and moved.items() <= facts.items():
            most, best = len(moved), values
    return best


def _candidates(before: nn.Module, after: nn.Module) -> Iterator[dict[str, int]]:
    """Candidates for each key: the value that it has, and those that it has where it shrinks like a tensor."""
    old, new = named_tensors(before), named_tensors(after)
    pairs = ((old[name].shape, new[name].shape) for name in old.keys() & new.keys())
    shrunk = {(a, b) for own, other in pairs for a, b in zip(own, other, strict=False) if a > b}
    options: dict[str, list[int]] = {}
    for key in KEYS:
        value = getattr(after.config, key, None)
        if type(value) is int and value > 0:
            options[key] = sorted({value * b // a for a, b in shrunk if a % value == 0 and value * b % a == 0 and b})
    whole = [[(key, value) for value in (None, *values)] for key, values in options.items() if values]
    chosen = ({key: value for key, value in setting if value is not None} for setting in product(*whole))
    return iter(sorted(chosen, key=len))


def _built(like: nn.Module, values: Mapping[str, int]) -> Facts | None:
    """What a network of this class and configuration holds; None where there is none."""
    config = copy.deepcopy(like.config)
    for key, value in values.items():
        setattr(config, key, value)
    try:
        with quiet_torch(), torch.random.fork_rng(devices=[]), torch.device("meta"):
            return _facts(type_before_parametrizations(like)(config))
    except USER_CODE_FAILS:
        return None


def _facts(module: nn.Module) -> Facts:
    shapes = {name: tuple(tensor.shape) for name, tensor in named_tensors(module).items()}
    parts = {f"{path}.{name}": size for path, part in module.named_modules() for name, size in sizes_of(part).items()}
    facts: dict[tuple[str, int], int] = {}
    for name, sizes in (*shapes.items(), *parts.items()):
        facts |= {(name, axis): size for axis, size in enumerate(sizes if isinstance(sizes, tuple) else (sizes,))}
    return facts


def _stale(before: nn.Module, after: nn.Module) -> set[tuple[str, int]]:
    """Numbers that are the size of an axis in the network as it was, and of none that is left of their module.

    Pruning found no need to change them: the module's code does not read them.
    """
    known = dict(before.named_modules())
    found = set()
    for path, part in after.named_modules():
        old, new = (_axes(each) for each in (known.get(path, part), part))
        same = sizes_of(part).items() & sizes_of(known.get(path, part)).items()
        found |= {(f"{path}.{name}", 0) for name, size in same if size in old - new}
    return found


def _axes(part: nn.Module) -> set[object]:
    return {size for parameter in part.parameters() for size in parameter.shape}


def _is_of_transformers(part: nn.Module) -> bool:
    """Known by name, since transformers may not be installed."""
    kinds = type(part).__mro__
    return any(kind.__name__ == "PreTrainedModel" and kind.__module__.startswith("transformers.") for kind in kinds)
