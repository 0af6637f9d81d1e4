"""A product with constant weights that is no layer as it stands becomes Conv or MatMul, which have integer kernels."""

from __future__ import annotations

import math
import re
import string
from dataclasses import dataclass

import numpy as np
import onnx_ir as ir
import onnx_ir.passes.common as passes
from numpy.typing import NDArray

from edgecompress.exporters.graph import constant, initializer, is_float, node, substitute
from edgecompress.step import StepResult

TERM = re.compile(r"[A-Za-z]*(\.\.\.)?[A-Za-z]*")
IMAGES = range(3, 6)
"""Ranks that Conv takes."""


def weigh_products(model: ir.Model) -> StepResult[ir.Model]:
    """Write Einsum with constant weights, and MatMul whose first operand is constant, as Conv or MatMul.

    ``torch.einsum(...)`` and ``weight @ x`` are exported so. A product over axis 1 is a 1x1 Conv as it stands. Any
    other Einsum becomes a MatMul over the last axis, between transpositions and reshapes where its axes lie otherwise.
    """
    weighed = model.clone()
    changes: list[str] = []
    for old in list(weighed.graph):
        product = _product(old)
        if product is None:
            continue
        if product.is_convolution:
            substitute(weighed.graph, old, [_convolution(weighed.graph, old, product)])
        elif old.op_type == "Einsum":
            substitute(weighed.graph, old, _multiplication(weighed.graph, old, product))
        else:
            continue
        changes.append(f"{old.name}: {old.op_type} became {'Conv' if product.is_convolution else 'MatMul'}")
    passes.RemoveUnusedNodesPass()(weighed)
    return StepResult(model=weighed, changes=tuple(changes))


@dataclass(frozen=True, kw_only=True)
class _Product:
    """A value times constant weights; ``given``, ``weighed`` and ``wanted`` have a letter for each axis of the value,
    of the weights and of the output, as Einsum's equations have."""

    source: ir.Value
    weights: NDArray[np.float32]
    given: str
    weighed: str
    wanted: str

    @property
    def summed(self) -> str:
        """Axes that are summed over."""
        return "".join(axis for axis in self.weighed if axis not in self.wanted)

    @property
    def added(self) -> str:
        """Axes that the weights bring, in the order of the output."""
        return "".join(axis for axis in self.wanted if axis not in self.given)

    @property
    def kept(self) -> str:
        """Axes that stay, in the order of the output."""
        return "".join(axis for axis in self.wanted if axis in self.given)

    @property
    def is_layer(self) -> bool:
        """Whether each axis of the value stays or is summed over, and each of the weights is summed over or added."""
        terms = (self.given, self.weighed, self.wanted)
        once = all(len(set(term)) == len(term) for term in terms) and len(self.weighed) == self.weights.ndim
        complete = set(self.given) == {*self.kept, *self.summed} and set(self.weighed) == {*self.summed, *self.added}
        return once and complete and all((self.summed, self.added, self.kept))

    @property
    def is_convolution(self) -> bool:
        """Whether the only axis that is summed over is the channels', and the output has the new one in its place."""
        if len(self.summed) != 1 or len(self.added) != 1 or len(self.given) not in IMAGES:
            return False
        return self.given[1] == self.summed and self.wanted == self.given.replace(self.summed, self.added)


def _product(old: ir.Node) -> _Product | None:
    """What a node computes, where it is a product with constant weights."""
    if old.domain not in ("", "ai.onnx") or old.op_type not in ("Einsum", "MatMul") or len(old.inputs) != 2:
        return None
    held = [constant(value) for value in old.inputs]
    place = 0 if held[0] is not None else 1
    source, weights = old.inputs[1 - place], held[place]
    if weights is None or held[1 - place] is not None or source is None or source.shape is None or not is_float(source):
        return None
    rank = len(source.shape)
    terms = _einsum(old, rank, place) if old.op_type == "Einsum" else _matmul(weights, rank, place)
    if terms is None:
        return None
    given, weighed, wanted = terms
    product = _Product(source=source, weights=weights, given=given, weighed=weighed, wanted=wanted)
    return product if product.is_layer else None


def _matmul(weights: NDArray[np.float32], rank: int, place: int) -> tuple[str, str, str] | None:
    """The axes of MatMul whose first operand is a matrix of weights."""
    if place != 0 or weights.ndim != 2 or rank < 2:
        return None
    outer = string.ascii_lowercase[: rank - 2]
    return f"{outer}KN", "MK", f"{outer}MN"


def _einsum(old: ir.Node, rank: int, place: int) -> tuple[str, str, str] | None:
    """The axes of the value, of the weights and of the output; an ellipsis of the value stands for free letters."""
    equation = old.attributes.get_string("equation", "").replace(" ", "")
    left, arrow, wanted = equation.partition("->")
    terms = left.split(",")
    if not arrow or len(terms) != 2 or not all(TERM.fullmatch(term) for term in (*terms, wanted)):
        return None
    free = (letter for letter in string.ascii_letters if letter not in equation)
    outer = "".join(
        letter for letter, _ in zip(free, range(rank - len(terms[1 - place].replace("...", ""))), strict=False)
    )
    given, wanted = terms[1 - place].replace("...", outer), wanted.replace("...", outer)
    return (given, terms[place], wanted) if "..." not in terms[place] and len(given) == rank else None


def _convolution(graph: ir.Graph, old: ir.Node, product: _Product) -> ir.Node:
    places = [1] * (len(product.given) - 2)
    weights = product.weights if product.weighed[1] == product.summed else product.weights.T
    weight = initializer(graph, f"{old.name}/weight", weights.reshape(*weights.shape, *places))
    return node("Conv", [product.source, weight], "", str(old.name), kernel_shape=places)


def _multiplication(graph: ir.Graph, old: ir.Node, product: _Product) -> list[ir.Node]:
    """Transpose, Reshape, MatMul, Reshape, Transpose; those that would change nothing are left out."""
    sizes = dict(zip(product.weighed, product.weights.shape, strict=True))
    summed, added, name = product.summed, product.added, str(old.name)
    order = [product.weighed.index(axis) for axis in summed + added]
    folded = [math.prod(sizes[axis] for axis in axes) for axes in (summed, added)]
    weight = initializer(graph, f"{name}/weight", product.weights.transpose(order).reshape(folded))
    made = _transposed(product.source, product.given, product.kept + summed, f"{name}/operand")
    if len(summed) > 1:
        made.append(_reshaped(graph, _end(made, product), [*[0] * len(product.kept), folded[0]], f"{name}/flat"))
    made.append(node("MatMul", [_end(made, product), weight], f"{name}/product", name))
    if len(added) > 1:
        shape = [*[0] * len(product.kept), *(sizes[axis] for axis in added)]
        made.append(_reshaped(graph, _end(made, product), shape, f"{name}/whole"))
    return made + _transposed(_end(made, product), product.kept + added, product.wanted, f"{name}/ordered")


def _end(made: list[ir.Node], product: _Product) -> ir.Value:
    return made[-1].outputs[0] if made else product.source


def _transposed(value: ir.Value, before: str, after: str, name: str) -> list[ir.Node]:
    perm = [before.index(axis) for axis in after]
    return [] if before == after else [node("Transpose", [value], name, name, perm=perm)]


def _reshaped(graph: ir.Graph, value: ir.Value, shape: list[int], name: str) -> ir.Node:
    """A size of 0 is that of the value."""
    return node("Reshape", [value, initializer(graph, f"{name}/shape", np.array(shape, np.int64))], name, name)
