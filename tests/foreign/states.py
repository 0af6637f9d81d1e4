"""Streams: a sample and the state of the last call go in, an answer and the new state come out."""

from __future__ import annotations

import numpy as np

from tests.foreign.writing import Blank, Drawn, Writer, below, between, declared, normal

WIDTH, INPUTS, WORDS = 8, 6, 20


def drawn(rng: np.random.Generator, opset: int) -> Drawn:
    """A recurrent network of one to three cells written out, of numbers or words.

    Each cell has a state of its own, (batch, width), or one tensor holds them all, with the batch along any axis. Every
    so often a number that all samples share, such as a sample rate, is an input as well.
    """
    write = Writer(rng, opset, lambda kind, count: f"{kind}.{count}")
    inputs: dict[str, Blank] = {}
    if rng.random() < 0.3:
        inputs["token"] = below(WORDS)
        x, given = write.op("Gather", write.weight(WORDS, INPUTS), "token"), [declared("token", ["batch"], 7)]
    else:
        inputs["x"] = normal(INPUTS)
        x, given = "x", [declared("x", ["batch", INPUTS])]
    if rng.random() < 0.2:
        inputs["rate"] = between(0.5, 2)
        given.append(declared("rate", []))
        x = write.op("Mul", x, "rate")
    layers = int(rng.integers(1, 4))
    if rng.random() < 0.4:
        names = {f"h{layer}": f"h{layer}.next" for layer in range(layers)}
        sizes: list[str | int] = ["batch", WIDTH]
        x, _ = _cells(write, x, [*names], [*names.values()])
        inputs |= {name: normal(WIDTH) for name in names}
    else:
        axis, names = int(rng.integers(3)), {"h": "h.next"}
        sizes = [layers, WIDTH]
        inputs["h"] = normal(layers, WIDTH, axis=axis)
        sizes.insert(axis, "batch")
        x = _one_tensor(write, x, layers, axis)
    given += [declared(name, sizes) for name in names]
    outputs = [declared(name, sizes) for name in names.values()]
    write.op("MatMul", x, write.weight(WIDTH, 5), name="scores")
    outputs.insert(int(rng.integers(len(outputs) + 1)), declared("scores", ["batch", 5]))
    return Drawn(model=write.model(given, outputs, "by hand"), inputs=inputs)


def _one_tensor(write: Writer, x: str, layers: int, axis: int) -> str:
    """Cells whose states are slices of ``h``, along the axis of its three that the batch leaves for the layers."""
    along = 0 if axis else 1
    turned = [1, 0] if axis == 2 else None
    states = [write.squeezed("Squeeze", part, [along]) for part in write.split("h", [1] * layers, along)]
    states = [write.op("Transpose", state, perm=turned) for state in states] if turned else states
    x, made = _cells(write, x, states, [write.name("state") for _ in states])
    made = [write.op("Transpose", state, perm=turned) for state in made] if turned else made
    parts = [write.squeezed("Unsqueeze", state, [along]) for state in made]
    write.op("Concat", *parts, axis=along, name="h.next")
    return x


def _cells(write: Writer, x: str, before: list[str], after: list[str]) -> tuple[str, list[str]]:
    """One behind the other: what the last computes, and the new states."""
    made = []
    for layer, names in enumerate(zip(before, after, strict=True)):
        x = _cell(write, x, INPUTS if layer == 0 else WIDTH, *names)
        made.append(x)
    return x, made


def _cell(write: Writer, x: str, width: int, before: str, after: str) -> str:
    """A gate between the old state and a new one: a GRU without its reset gate."""
    both = write.op("Concat", x, before, axis=1)
    gate = write.op("Sigmoid", write.op("Gemm", both, write.weight(width + WIDTH, WIDTH), write.weight(WIDTH)))
    new = write.op("Tanh", write.op("Gemm", both, write.weight(width + WIDTH, WIDTH), write.weight(WIDTH)))
    kept = write.op("Mul", gate, before)
    rest = write.op("Sub", write.constant(np.float32(1)), gate)
    return write.op("Add", kept, write.op("Mul", rest, new), name=after)
