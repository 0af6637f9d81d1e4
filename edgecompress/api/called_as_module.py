"""What code for modules asks of a quantized model: what goes without saying works, the rest is told."""

from __future__ import annotations

from typing import Any, NoReturn, Self

import torch

from edgecompress.errors import ModelError


class CalledAsModule:
    """A model of ONNX Runtime's that is called like the module it was made from: always in evaluation, on the CPU."""

    def eval(self) -> Self:
        """The model itself, which is in evaluation mode always."""
        return self

    def cpu(self) -> Self:
        """The model itself, which is on the CPU always."""
        return self

    def to(self, device: Any) -> Self:
        """The model itself, where the CPU is asked for.

        Raises:
            ModelError: another device is, or a type.
        """
        if str(device) != "cpu":
            raise ModelError(f"a quantized model runs on the CPU, and not as {device}; leave .to({device!r}) out")
        return self

    def train(self, mode: bool = True) -> Self:
        """The model itself, where evaluation mode is asked for.

        Raises:
            ModelError: it is asked to train.
        """
        if mode:
            raise ModelError("a quantized model is not trained; train the module that it was made from")
        return self

    def state_dict(self) -> NoReturn:
        """Its weights are those of a file.

        Raises:
            ModelError: always.
        """
        raise ModelError("a quantized model is an ONNX file, and has no state dict; save it with .save('model.onnx')")

    def parameters(self) -> NoReturn:
        """Its weights are those of a file.

        Raises:
            ModelError: always.
        """
        raise ModelError(
            "a quantized model is an ONNX file, and has no parameters; size_bytes is its size, inspect('model.onnx')"
            " lists its layers"
        )


def as_array(value: Any) -> Any:
    """An array of a tensor, or of what is one; gradients are left behind."""
    return value.detach().cpu().numpy() if isinstance(value, torch.Tensor) else value
