"""Every operator has a rule, is elementwise, or keeps its inputs whole and is named."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from typing import Any

import torch
from torch import Tensor

from edgecompress.pruning.structure.rules import RULES
from edgecompress.pruning.structure.rules.elementwise import UNTAGGED
from tests.pruning.structure.patterns import pattern, reasons, structure_of


def test_an_unknown_operator_keeps_its_inputs_and_is_named() -> None:
    structure = structure_of(lambda x, weight, v: torch.fft.rfft(x @ weight).real @ v, (2, 3), weight=(3, 4), v=(3, 2))
    assert reasons(structure, "weight", 1) == {"goes through fft_rfft, which no rule knows"}


def test_an_unknown_operator_on_inputs_harms_nobody() -> None:
    structure = structure_of(lambda x, w, v: (torch.fft.rfft(x).real @ w).relu() @ v, (2, 4), w=(3, 4), v=(4, 2))
    assert pattern(structure, ("w", 1), ("v", 0)) == ["abcd", "abcd"]


def test_an_assertion_computes_nothing() -> None:
    def forward(x: Tensor, w: Tensor, v: Tensor) -> Tensor:
        hidden = x @ w
        torch.ops.aten._assert_tensor_metadata(hidden, dtype=torch.float32)
        return hidden @ v

    structure = structure_of(forward, (2, 3), w=(3, 4), v=(4, 2))
    assert pattern(structure, ("w", 1), ("v", 0)) == ["abcd", "abcd"]


def test_one_of_several_results_has_its_own_labels() -> None:
    structure = structure_of(lambda x, w, v, u: (x @ w).split([1, 3], 1)[1] @ v, (2, 3), w=(3, 4), v=(3, 2), u=(1, 1))
    assert pattern(structure, ("w", 1), ("v", 0)) == [".abc", "abc"]


X = torch.randn(3, 5)
GUESSES: dict[str, tuple[Any, ...]] = {
    "Tensor": (X,),
    "List[int]": ([3, 5], [0, 1], [5, 1]),
    "int": (0, 1, 3, 5),
    "List[Tensor]": ([X],),
}
FOREIGN = {
    "as_strided",  # strides change with the channels
    "as_strided_copy",
    "as_tensor",  # of TorchScript
    "slice_inverse",  # of autograd
}


def _views() -> Iterator[tuple[str, Any, list[tuple[Any, ...]]]]:
    """PyTorch's operators that return their input or a part of it: name, overload, arguments to try."""
    for schema in torch._C._jit_get_all_schemas():
        name = schema.name.removeprefix("aten::")
        is_view = any(each.alias_info is not None and not each.alias_info.is_write for each in schema.returns)
        required = [argument for argument in schema.arguments if not argument.has_default_value()]
        if name == schema.name or name.startswith("_") or not (is_view or name.endswith("_copy")):
            continue
        if (
            not required
            or str(required[0].type) not in ("Tensor", "List[Tensor]")
            or any(each.kwarg_only for each in required)
        ):
            continue
        overload = getattr(getattr(torch.ops.aten, name, None), schema.overload_name or "default", None)
        guesses = [GUESSES.get(str(each.type), ()) for each in required]
        if overload is not None and torch.Tag.pointwise not in overload.tags:
            yield name, overload, list(product(*guesses))


def _hands_on(overload: Any, arguments: tuple[Any, ...]) -> bool:
    try:
        result = overload(*arguments)
    except (RuntimeError, ValueError, TypeError, AssertionError, IndexError):  # not for such arguments
        return False
    result = result[0] if isinstance(result, (list, tuple)) and len(result) == 1 else result
    return isinstance(result, Tensor) and result.shape == X.shape and bool((result == X).all())


def test_every_operator_that_can_hand_on_what_it_is_given_has_a_rule() -> None:
    found = {name for name, overload, tried in _views() if any(_hands_on(overload, each) for each in tried)}
    assert {"alias", "slice", "expand", "view", "narrow", "detach", "squeeze_copy"} <= found
    assert found - RULES.keys() - set(UNTAGGED) == found & FOREIGN
