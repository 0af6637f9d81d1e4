"""Weights of fewer than eight bits: which layers have them.

ONNX Runtime's CPU provider has no kernel for fewer bits that is faster. Weights of 2 to 7 bits are stored as int8, and
take as long as those of eight: an archive compresses them better, and other chips that read the file may pack them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from fnmatch import fnmatchcase
from types import MappingProxyType

import onnx_ir as ir

from edgecompress.calibration import QuantParams
from edgecompress.calibration.schemes import WEIGHT_BITS

ALL_BITS: Mapping[str, int] = MappingProxyType({})
"""Eight bits for every layer."""


def bits_of(name: str, bits: Mapping[str, int]) -> int:
    """How many bits the weights of a node have.

    Args:
        name: of the node.
        bits: by names of nodes; ``*`` and ``?`` are wildcards, and where several match, the fewest count.

    >>> bits_of("conv1", {"conv*": 6, "conv1": 4}), bits_of("head", {"conv*": 6})
    (4, 8)
    """
    return min((given for pattern, given in bits.items() if fnmatchcase(name, pattern)), default=WEIGHT_BITS)


def narrowed(grids: Mapping[str, QuantParams]) -> Iterator[str]:
    """Layers whose weights have fewer than eight bits, a sentence for each width.

    Args:
        grids: of the weights, by the names of their layers.
    """
    found: dict[int, list[str]] = {}
    for name, params in grids.items():
        if params.bits is not None and params.bits < WEIGHT_BITS:
            found.setdefault(params.bits, []).append(name)
    for width, names in sorted(found.items()):
        yield f"weights of {width} bits, stored as INT8: {', '.join(names)}"


def not_narrowed(graph: ir.Graph, grids: Mapping[str, QuantParams], bits: Mapping[str, int]) -> Iterator[str]:
    """Warnings for names whose nodes have no integer weights.

    Args:
        graph: float.
        grids: of the weights, by the names of their layers.
        bits: by names of nodes, with wildcards.
    """
    for pattern in bits:
        names = {str(node.name) for node in graph if fnmatchcase(str(node.name), pattern)}
        if names and names.isdisjoint(grids):
            yield f"quantization.weight_bits: no node with a name like {pattern!r} computes with integer weights"
