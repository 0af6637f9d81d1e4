"""The front end for low rank: layers, or the layers of a model, become thinner ones."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from torch import nn

from edgecompress.errors import ModelError, a_kind
from edgecompress.loading.sources import Data, open_batches
from edgecompress.low_rank.factorize import factorize
from edgecompress.low_rank.layer_rank import by_ratio
from edgecompress.low_rank.layers import check_finite, obstacle
from edgecompress.low_rank.options import Option, candidate
from edgecompress.low_rank.request import MULTIPLE, Goal, LowRankRequest, check_multiple, check_share
from edgecompress.modules.checks import check_module
from edgecompress.modules.named_inputs import name_inputs
from edgecompress.modules.plain import plain_copy, unwrapped
from edgecompress.recipe.arguments import named_as_arguments, names
from edgecompress.recipe.meant import text_as_meant
from edgecompress.recipe.tables import Recipe
from edgecompress.recipe.wording import in_python_words
from edgecompress.step import StepResult


class LowRankDecomposition:
    """Truncated SVD of weights: a layer becomes an ``nn.Sequential`` of two or three, where that is less work.

    A linear layer or 1x1 convolution of m x n becomes n -> rank -> m (two, of rank x (m + n) weights); a k x k
    convolution a k x 1 and a 1 x k (Jaderberg et al. 2014), or a 1 x 1, a k x k and a 1 x 1 (Tucker-2, Kim et al.
    2016). The last one keeps the bias. All are plain ``nn.Linear`` and ``nn.Conv2d``, and keep dtype, device, mode and
    ``requires_grad``. What is given is never modified.

    >>> layers = LowRankDecomposition.decompose_linear(nn.Linear(64, 32), 0.25)
    >>> [tuple(part.weight.shape) for part in layers]
    [(8, 64), (32, 8)]
    """

    @staticmethod
    @in_python_words
    def decompose_linear(layer: nn.Linear, rank_ratio: float, *, multiple: int = 1) -> nn.Module:
        """A linear layer as two.

        Args:
            layer: m x n, of floating-point weights.
            rank_ratio: rank as a share of min(m, n), above 0 and up to 1; to the nearest multiple, at least one.
            multiple: the rank is a multiple of it.

        Returns:
            Both in an ``nn.Sequential``. Where rank x (m + n) is not below m x n, and where the weight is masked or
            otherwise parametrized or the layer has hooks: a copy of the layer. A square layer pays below 0.5.

        Raises:
            RecipeError: the ratio or the multiple is out of range.
            ModelError: it is no ``nn.Linear``, or its weights are not there or not finite.
        """
        return _decompose(layer, (nn.Linear,), rank_ratio, multiple)

    @staticmethod
    @in_python_words
    def decompose_conv(layer: nn.Conv1d | nn.Conv2d, rank_ratio: float, *, multiple: int = 1) -> nn.Module:
        """A convolution as two or three.

        Args:
            layer: with any stride, padding (also ``"same"`` and other modes) and dilation.
            rank_ratio: rank as a share of the full one, above 0 and up to 1; to the nearest multiple, at least one.
                The full rank of a convolution of m x n channels is min(m, n) for kernel 1, min(m * width,
                n * height) for others. That is the rank of k x 1 and 1 x k; Tucker-2 takes their place where one of its
                pairs of ranks has no more weights and loses less.
            multiple: ranks are multiples of it.

        Returns:
            They in an ``nn.Sequential``; a copy of the layer where they have no fewer weights, and for grouped,
            depthwise and one-dimensional convolutions with a kernel above 1, for masked layers and layers with hooks.

        Raises:
            RecipeError: the ratio or the multiple is out of range.
            ModelError: it is no ``nn.Conv1d`` or ``nn.Conv2d``, or its weights are not there or not finite.
        """
        return _decompose(layer, (nn.Conv1d, nn.Conv2d), rank_ratio, multiple)

    @staticmethod
    @in_python_words
    def apply_to_model(
        model: nn.Module,
        rank_ratio: float = 0.5,
        *,
        example_inputs: Any = None,
        energy: float | None = None,
        goal: Goal | None = None,
        amount: float = 0.5,
        multiple: int = MULTIPLE,
        calibration: Data | None = None,
        include: Sequence[str] = (),
        protect: Sequence[str] = (),
        threads: int = 1,
    ) -> StepResult[nn.Module]:
        """Decompose a copy of a model, layer by layer; embeddings and the last classifier are left whole.

        Args:
            model: not modified.
            rank_ratio: rank as a share of the full one, as in :meth:`decompose_linear`; square layers pay below 0.5.
            example_inputs: a tensor, a tuple of inputs, or a dict by input name. With them the last classifier is the
                last to run, and layers whose weights the model's own code reads are found and left whole.
            energy: in place of the ratio, the share of each layer's output energy (of its squared singular values) to
                keep.
            goal: in place of both, what a share of the model has to lose: ``parameters``, ``macs``, or ``latency`` in
                ONNX Runtime; the layers share it so that the product of the energies that they keep is greatest.
            amount: that share, 0 up to but not including 1.
            multiple: ranks are multiples of it: 16 suits AVX-512, 8 AVX2, 4 or 8 Arm.
            calibration: batches, by which the error that counts is that of the outputs and not of the weights.
            include: names of layers that are decomposed although they are protected; ``*`` and ``?`` are wildcards, and
                a module stands for all that is in it.
            protect: names of layers that are left whole.
            threads: of the sessions that latency is measured in.

        Returns:
            The new model as ``.model``, the layers that changed as ``.changes``, what was left whole, and why, as
            ``.refusals``, and ``.metrics``.

        Raises:
            RecipeError: an argument is wrong, nothing can be decomposed, or the goal cannot be met; it says what can.
            ModelError: it is no module, its weights are not there or not finite, or it does not run on the inputs.
            DataError: the calibration data cannot be read, or does not fit.
        """
        plain = plain_copy(check_module(model))
        request = LowRankRequest(
            rank_ratio=text_as_meant("low_rank.rank_ratio", rank_ratio),
            energy=text_as_meant("low_rank.energy", energy),
            goal=text_as_meant("low_rank.goal", goal),
            amount=text_as_meant("low_rank.amount", amount),
            multiple=multiple,
            include=names("include", include),
            protect=names("protect", protect),
            threads=threads,
        )
        with named_as_arguments("low_rank", {"inspect lists": "model.named_modules() has"}):
            result = _apply(plain.model, request, example_inputs, calibration)
        return replace(result, changes=(*plain.changes, *result.changes))


def _apply(model: nn.Module, request: LowRankRequest, inputs: Any, calibration: Data | None) -> StepResult[nn.Module]:
    recipe = Recipe()
    raw = [(inputs if isinstance(inputs, (tuple, list, Mapping)) else (inputs,), None)]
    named = model if inputs is None else name_inputs(model, lambda: raw)  # for the names; the model itself is run
    example = None if inputs is None else open_batches(raw, "example", named, recipe).first()
    samples = () if calibration is None else open_batches(calibration, "calibration", named, recipe)
    return factorize(model, request, example, samples=samples)


def _decompose(layer: Any, kinds: tuple[type[nn.Module], ...], rank_ratio: float, multiple: int) -> nn.Module:
    ratio = check_share("rank_ratio", text_as_meant("low_rank.rank_ratio", rank_ratio))
    step = check_multiple(multiple)
    layer = unwrapped(layer)
    if not isinstance(layer, kinds):
        raise ModelError(f"the layer is {a_kind(layer)}; give a {' or '.join(kind.__name__ for kind in kinds)}")
    plain = plain_copy(check_module(layer)).model
    if obstacle(plain) is not None:
        return plain
    assert isinstance(plain, (nn.Linear, nn.Conv1d, nn.Conv2d))
    check_finite({"": plain})
    choice = by_ratio(candidate("", plain), ratio, step)
    return choice.form.build(choice.rank) if isinstance(choice, Option) else plain
