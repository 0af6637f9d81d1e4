"""Keys that no recipe has: what to write in their place."""

from __future__ import annotations

from collections.abc import Sequence

from edgecompress.errors import nearest

OTHER_NAMES = {
    "sparsity": "pruning.amount",
    "ratio": "pruning.amount",
    "prune_ratio": "pruning.amount",
    "lr": "training.learning_rate",
    "num_epochs": "training.epochs",
    "batchsize": "data.batch_size",
    "opset_version": "export.opset",
    "num_threads": "cpu.threads",
    "input_size": "images.size",
    "image_size": "images.size",
    "img_size": "images.size",
    "calibration_method": "quantization.observer",
    "w_bits": "quantization.weight_bits",
}
"""How others call what a key says."""
WIDTH = (
    "weights and activations have 8 bits, so leave it out (quantization.weight_bits names layers whose weights have"
    " fewer, quantization.keep_float those that stay float)"
)
NO_KEYS = {
    **dict.fromkeys(("bits", "nbits", "num_bits", "dtype", "precision"), WIDTH),
    **dict.fromkeys(("device", "gpu", "cuda"), "leave it out: training takes a GPU where there is one"),
    **dict.fromkeys(("calibration", "evaluation_data", "train_data"), "data are options: --calibration DATA"),
    **dict.fromkeys(("output", "output_dir"), "it is an option: --output DIR"),
    "weights": "weights have 8 bits, so leave it out; a file of weights is given as --weights FILE",
}
"""What is no key of a recipe, and what to do."""


def in_its_place(key: str, known: Sequence[str], otherwise: str = "targets show NAME lists the keys") -> str:
    """What to write in the place of a key that there is not.

    Args:
        key: its path, as it was written.
        known: the paths of all keys.
        otherwise: what to say where nothing is near.

    >>> in_its_place("training.lr", ["training.learning_rate"]), in_its_place("output", [])
    ("did you mean 'training.learning_rate'?", 'it is an option: --output DIR')
    """
    last = key.rpartition(".")[2].replace("-", "_").lower()
    if last in NO_KEYS:
        return NO_KEYS[last]
    if (meant := OTHER_NAMES.get(last)) in known:
        return f"did you mean {meant!r}?"
    return nearest(key, known, f"; {otherwise}").removeprefix("; ")
