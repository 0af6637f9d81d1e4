"""Streams: a sample and the state of the last call go in, an answer and the new state come out."""

from __future__ import annotations

import numpy as np

from tests.foreign.writing import Blank, Drawn, Writer, below, declared, normal

WIDTH, INPUTS, WORDS = 8, 6, 20


def drawn(rng: np.random.Generator, opset: int) -> Drawn:
    """A recurrent cell written out, of numbers or words, with one to three states, the batch first."""
    write = Writer(rng, opset, lambda kind, count: f"{kind}.{count}")
    inputs: dict[str, Blank] = {}
    if rng.random() < 0.3:
        inputs["token"] = below(WORDS)
        x, given = write.op("Gather", write.weight(WORDS, INPUTS), "token"), [declared("token", ["batch"], 7)]
    else:
        inputs["x"] = normal(INPUTS)
        x, given = "x", [declared("x", ["batch", INPUTS])]
    outputs, layers = [], int(rng.integers(1, 4))
    for layer in range(layers):
        before, after = f"h{layer}", f"h{layer}.next"
        given.append(declared(before, ["batch", WIDTH]))
        inputs[before] = normal(WIDTH)
        x = _cell(write, x, INPUTS if layer == 0 else WIDTH, before, after)
        outputs.append(declared(after, ["batch", WIDTH]))
    write.op("MatMul", x, write.weight(WIDTH, 5), name="scores")
    outputs.insert(int(rng.integers(0, layers + 1)), declared("scores", ["batch", 5]))
    return Drawn(model=write.model(given, outputs, "by hand"), inputs=inputs)


def _cell(write: Writer, x: str, width: int, before: str, after: str) -> str:
    """A gate between the old state and a new one: a GRU without its reset gate."""
    both = write.op("Concat", x, before, axis=1)
    gate = write.op("Sigmoid", write.op("Gemm", both, write.weight(width + WIDTH, WIDTH), write.weight(WIDTH)))
    new = write.op("Tanh", write.op("Gemm", both, write.weight(width + WIDTH, WIDTH), write.weight(WIDTH)))
    kept = write.op("Mul", gate, before)
    rest = write.op("Sub", write.constant(np.float32(1)), gate)
    return write.op("Add", kept, write.op("Mul", rest, new), name=after)
