"""The layers whose weights can be pruned, and which of them is the last classifier."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from torch import nn
from torch.nn.modules.conv import _ConvNd, _ConvTransposeNd

from edgecompress.modules.copies import copied
from edgecompress.modules.forward import run_example

EMBEDDINGS = (nn.Embedding, nn.EmbeddingBag)
_PROJECTIONS = ("in_proj_weight", "q_proj_weight", "k_proj_weight", "v_proj_weight")


@dataclass(frozen=True, kw_only=True)
class Layout:
    """The axis of a weight along which an output adds up its inputs, in so many separate stretches."""

    input_axis: int
    stretches: int = 1


def layout(module: nn.Module, tensor_name: str) -> Layout | None:
    """Layout of the weight of a convolution, a linear layer, an attention or an embedding; None for other tensors.

    >>> layout(nn.ConvTranspose2d(8, 4, 3, groups=2), "weight")
    Layout(input_axis=0, stretches=2)
    >>> layout(nn.BatchNorm2d(8), "weight")
    """
    if isinstance(module, nn.MultiheadAttention):
        return Layout(input_axis=1) if tensor_name in _PROJECTIONS else None
    if tensor_name != "weight":
        return None
    if isinstance(module, _ConvTransposeNd):
        return Layout(input_axis=0, stretches=module.groups)
    if _is_conv1d_of_transformers(module):
        return Layout(input_axis=0)
    return Layout(input_axis=1) if isinstance(module, (_ConvNd, nn.Linear, *EMBEDDINGS)) else None


def last_classifier(model: nn.Module, example_inputs: Any = None) -> str | None:
    """The name of the last linear layer or convolution; None where there is none.

    With example inputs it is the last one that runs, otherwise the last one that is defined. That is the classifier of
    a model with one head; of several heads only one can be the last. The output projection of
    ``nn.MultiheadAttention`` is no candidate.

    Raises:
        ModelError: the model does not run on the inputs.
    """
    if example_inputs is None:
        return next(reversed(_candidates(model)), None)
    running = copied(model)
    ran: list[str] = []
    for name, module in _candidates(running).items():
        module.register_forward_hook(lambda *_, name=name: ran.append(name))
    run_example(running, example_inputs)
    return ran[-1] if ran else last_classifier(model)


def _candidates(model: nn.Module) -> dict[str, nn.Module]:
    inside_attention = {id(part.out_proj) for part in model.modules() if isinstance(part, nn.MultiheadAttention)}
    return {
        name: module
        for name, module in model.named_modules()
        if layout(module, "weight") and not isinstance(module, EMBEDDINGS) and id(module) not in inside_attention
    }


def _is_conv1d_of_transformers(module: nn.Module) -> bool:
    """Known by name, since transformers may not be installed; its weight is (inputs, outputs)."""
    kinds = type(module).__mro__
    return any(kind.__name__ == "Conv1D" and kind.__module__ == "transformers.pytorch_utils" for kind in kinds)
