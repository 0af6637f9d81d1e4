"""The front end for quantization: a model in, a model that is called the same way out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import onnx_ir as ir
import torch
from torch import nn
from torch.export import ExportedProgram
from torch.utils import _pytree as pytree

from edgecompress.api.called_as_module import CalledAsModule, as_array
from edgecompress.arrays import Array, TensorSpec
from edgecompress.axes.classes import settle_streams
from edgecompress.calibration import Observer
from edgecompress.data.splits import Streams
from edgecompress.errors import ModelError, a_kind
from edgecompress.loading.losses import LossOrName
from edgecompress.loading.metrics import MeasuredBy
from edgecompress.loading.opened import open_together
from edgecompress.loading.sources import Data
from edgecompress.modules.checks import check_module
from edgecompress.modules.named_inputs import input_names
from edgecompress.pipeline.fold import convert, float_original
from edgecompress.pipeline.prepare import prepare
from edgecompress.progress import Progress
from edgecompress.quantization.aware.operators.no_form import NoFormError
from edgecompress.quantization.dynamic import quantize_dynamic
from edgecompress.recipe.arguments import named_as_arguments
from edgecompress.recipe.meant import name_as_meant, text_as_meant
from edgecompress.recipe.tables import Quantization, Recipe
from edgecompress.recipe.wording import caller_warnings, in_python_words
from edgecompress.registry import OBSERVERS, choose
from edgecompress.runtime import ALL_CORES, open_session, run_session, signature, to_bytes
from edgecompress.step import Conversion, Refusal, Stage, StepResult
from edgecompress.system.durable import write_whole
from edgecompress.targets import TargetProfile, given_profile
from edgecompress.techniques.context import Context
from edgecompress.validation import Evidence, gather


class QuantizedModel(CalledAsModule):
    """An INT8 ONNX model that is called like the module it was made from.

    Attributes:
        artifact: the bytes of the ONNX file.
        refusals: the operators that were left float, with the reason for each.
    """

    def __init__(
        self,
        artifact: bytes,
        inputs: Sequence[TensorSpec],
        outputs: pytree.TreeSpec,
        refusals: tuple[Refusal, ...],
    ) -> None:
        self.artifact = artifact
        self.refusals = refusals
        self._outputs = outputs
        self._session = open_session(artifact, ALL_CORES)
        self._inputs = {spec.name: spec for spec in inputs}
        self._names = list(self._inputs)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """The module's outputs, in the module's own structure, as CPU tensors.

        Args:
            args: tensors or NumPy arrays, or one dict of them by input name.
            kwargs: the same by input name.

        Raises:
            ModelError: the inputs are not those that the model was captured with.
        """
        inputs = _by_name(self._names, args, kwargs)
        if len(args) > len(self._names) or set(inputs) != set(self._names):
            raise ModelError(f"the quantized model takes the inputs {', '.join(self._names)}; call it with those")
        arrays = {name: self._array(name, value) for name, value in inputs.items()}
        outputs = [torch.from_numpy(array) for array in run_session(self._session, arrays)]
        return pytree.tree_unflatten(outputs, self._outputs)

    def _array(self, name: str, value: Any) -> Array:
        array, spec = as_array(value), self._inputs[name]
        if not isinstance(array, np.ndarray):
            raise ModelError(f"{name!r} is {a_kind(value)}; give a tensor or an array")
        if not spec.accepts(array):
            raise ModelError(
                f"{name!r} is {array.dtype} {array.shape}, the quantized model takes {spec}; give it as the module"
                " takes it"
            )
        return array

    @property
    def size_bytes(self) -> int:
        """The size of the file that :meth:`save` writes."""
        return len(self.artifact)

    def save(self, path: str | Path) -> Path:
        """Write the ONNX file; one that is there is replaced in one step.

        Args:
            path: of the file.

        Raises:
            OutputError: it cannot be written.
        """
        write_whole(Path(path), self.artifact)
        return Path(path)


class DynamicModel(CalledAsModule):
    """A dynamically quantized model that is captured at its first call, whose inputs it needs to see.

    Until then it has no file: ``size_bytes`` and ``save`` raise :class:`ModelError`.
    """

    def __init__(self, model: nn.Module) -> None:
        self._model = model
        self._captured: QuantizedModel | None = None

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """The module's outputs; the first call also captures and quantizes it."""
        if self._captured is None:
            names = input_names(self._model).names
            self._captured = _dynamic(self._model, _by_name(names, args, kwargs))
        return self._captured(*args, **kwargs)

    @property
    def size_bytes(self) -> int:
        """The size of the file that :meth:`save` writes."""
        return self._file().size_bytes

    @property
    def refusals(self) -> tuple[Refusal, ...]:
        """What was left float, and why."""
        return self._file().refusals

    def save(self, path: str | Path) -> Path:
        """Write the ONNX file."""
        return self._file().save(path)

    def _file(self) -> QuantizedModel:
        if self._captured is None:
            raise ModelError("the dynamic model was never called; call it once, or give example_inputs")
        return self._captured


WORDS = {"training_epochs": "epochs", "training_rate": "learning_rate"}
"""Arguments that are called otherwise than the keys of a recipe."""
X86 = Recipe(quantization=Quantization(scheme="fbgemm"))
"""What is asked for where nothing is said."""


class Quantizer:
    """INT8 in one call; :func:`edgecompress.compress` does the same with evidence and a bundle."""

    @staticmethod
    @in_python_words
    def dynamic_quantize(model: nn.Module, example_inputs: Any = None) -> QuantizedModel | DynamicModel:
        """Int8 weights, with activations quantized as the model runs. No data is needed.

        Matrix products (Linear, MatMul) become integer; convolutions are left float and named in
        ``refusals``, since their dynamic kernels are slower than the float ones.

        Args:
            model: not modified.
            example_inputs: a tensor, a tuple, or a dict by input name. Without it the model is captured
                at its first call.

        Raises:
            ModelError: the model is no module, or cannot be captured on the inputs; without these, at the first call.
        """
        model = check_module(model)
        if example_inputs is None:
            return DynamicModel(model)
        several = isinstance(example_inputs, (tuple, list, Mapping))
        return _dynamic(model, example_inputs if several else (example_inputs,))

    @staticmethod
    @in_python_words
    def static_quantize(
        model: nn.Module,
        calibration_data: Data,
        *,
        scheme: Literal["fbgemm", "qnnpack"] | None = None,
        granularity: Literal["per_channel", "per_tensor"] | None = None,
        observer: str | Observer | None = None,
        recipe: Recipe | None = None,
    ) -> QuantizedModel:
        """Int8 weights and activations; their ranges come from calibration data.

        Args:
            model: not modified.
            calibration_data: batches, read twice; labels are ignored.
            scheme: ``fbgemm`` (x86) or ``qnnpack`` (Arm); by default that of the recipe, or ``fbgemm``.
            granularity: of the weights' scales; by default that of the recipe, or ``per_channel``.
            observer: how the range of an activation is chosen: the name of an observer, as ``quantization.observer`` of
                a recipe takes it, or a function of one's own (:data:`edgecompress.calibration.Observer`); by default
                that of the recipe, or ``histogram``.
            recipe: its tables ``quantization`` and ``export`` say the rest; nothing else of it is read.

        Warns:
            UserWarning: what the calibration data leave open: few samples, or inputs that never vary.

        Raises:
            ModelError: the model cannot be captured.
            DataError: the calibration data does not fit the model.
            RecipeError: there is no such scheme, granularity or observer, or a function is none, fails, or gives no
                range of what was seen; or the recipe is none.
        """
        base = X86 if recipe is None else given_profile(None, recipe=recipe).recipe
        asked = _asked(base, observer, scheme=scheme, granularity=granularity)
        return _static(model, {"calibration": calibration_data}, asked, observer)

    @staticmethod
    @in_python_words
    def post_training_quantize(
        model: nn.Module,
        calibration_data: Data,
        *,
        target: str | Path | TargetProfile = "mobile",
        observer: str | Observer | None = None,
    ) -> QuantizedModel:
        """Static quantization as a target's profile prescribes it: scheme, granularity, what stays float.

        Args:
            model: not modified.
            calibration_data: batches, read twice; labels are ignored.
            target: name of a profile, path of a TOML file, or a profile.
            observer: in place of the profile's, as :meth:`static_quantize` takes it.

        Warns:
            UserWarning: what the calibration data leave open: few samples, or inputs that never vary.

        Raises:
            ModelError: the model cannot be captured.
            DataError: the calibration data does not fit the model.
            RecipeError: there is no such target or observer, or a function is none, fails, or gives no range of what
                was seen.
        """
        asked = _asked(given_profile(target).recipe, observer)
        return _static(model, {"calibration": calibration_data}, asked, observer)

    @staticmethod
    @in_python_words
    def train(
        model: nn.Module,
        calibration_data: Data,
        train_data: Data,
        *,
        epochs: int | None = None,
        learning_rate: float | None = None,
        loss: LossOrName | None = None,
        scheme: Literal["fbgemm", "qnnpack"] | None = None,
        granularity: Literal["per_channel", "per_tensor"] | None = None,
        observer: str | Observer | None = None,
        recipe: Recipe | None = None,
    ) -> QuantizedModel:
        """Quantization-aware training: the network learns with its integers in place, and the file is that network.

        Training starts from what :meth:`static_quantize` gives, and the float model is the teacher.

        Args:
            model: not modified.
            calibration_data: batches, read twice; labels are ignored.
            train_data: batches ``(inputs, labels)``, read once for each epoch.
            epochs: passes over them; by default ``quantization.training_epochs`` of the recipe, 2.
            learning_rate: how many steps of its grid a weight moves in one step of the optimizer, at most; by default
                ``quantization.training_rate`` of the recipe, 0.01.
            loss: what counts against the labels: the name of a loss, as ``training.loss`` of a recipe takes it, or a
                function ``(outputs, labels) -> scalar``; by default that of the recipe, or cross entropy.
            scheme: as of :meth:`static_quantize`, and so are ``granularity`` and ``observer``.
            granularity: of the weights' scales.
            observer: how the range of an activation is chosen, where training starts.
            recipe: its tables ``quantization``, ``training``, ``distillation`` and ``export`` say the rest, and its
                seed; nothing else of it is read.

        Warns:
            UserWarning: training diverged, and the model is the one that was not trained; or as
                :meth:`static_quantize`.

        Raises:
            ModelError: the model cannot be captured, or an operator cannot be trained through; it is named.
            DataError: data does not fit the model, or labels are missing or out of range.
            RecipeError: a setting is impossible, or there is no such loss, scheme, granularity or observer.
        """
        base = X86 if recipe is None else given_profile(None, recipe=recipe).recipe
        asked = _asked(
            base,
            observer,
            scheme=scheme,
            granularity=granularity,
            training="always",
            training_epochs=epochs,
            training_rate=learning_rate,
        )
        learned = {key: getattr(base, key) for key in ("seed", "training", "distillation")}
        with named_as_arguments("training"):
            named = MeasuredBy(loss=loss).named_in(asked.model_copy(update=learned))
        try:
            return _static(model, {"calibration": calibration_data, "train": train_data}, named, observer, loss)
        except NoFormError as error:
            cause, _, _ = str(error).partition(";")
            raise ModelError(f"{cause}; use Quantizer.static_quantize, which needs none") from error

    @staticmethod
    @in_python_words
    def compare_quantization(model: nn.Module, calibration_data: Data, evaluation_data: Data) -> dict[str, Evidence]:
        """The evidence for each way to quantize a model, against its float ONNX export.

        Args:
            model: not modified.
            calibration_data: batches, read twice for each scheme; labels are ignored.
            evaluation_data: batches with labels, to measure on.

        Returns:
            ``fbgemm``, ``qnnpack`` and ``dynamic``, each with size, latency, accuracy and parity.

        Raises:
            ModelError: the model cannot be captured.
            DataError: the data does not fit the model.
        """
        model = check_module(model)
        told = caller_warnings()
        opened = open_together(model, {"evaluation": evaluation_data}, Recipe(), told.warn)
        streams, first = Streams(**opened.batches), opened.first()
        exported = float_original(opened.network, opened.recipe, first)
        evaluation = settle_streams(exported, streams, None, told).evaluation
        assert evaluation is not None
        original = Stage(name="original", content=to_bytes(exported))
        candidates = {
            "fbgemm": Quantizer.static_quantize(model, calibration_data, scheme="fbgemm"),
            "qnnpack": Quantizer.static_quantize(model, calibration_data, scheme="qnnpack"),
            "dynamic": _dynamic(model, first.inputs),
        }
        return {
            name: gather([original, Stage(name=name, content=candidate.artifact)], evaluation, Recipe().cpu, Progress())
            for name, candidate in candidates.items()
        }


def _by_name(names: Sequence[str], args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> dict[str, Any]:
    """Inputs by name, whether they came by position, by keyword, or as one dict."""
    if len(args) == 1 and isinstance(args[0], Mapping):
        return {**args[0], **kwargs}
    return {**dict(zip(names, args, strict=False)), **kwargs}


def _asked(recipe: Recipe, observer: str | Observer | None, **given: Any) -> Recipe:
    """How a recipe quantizes and exports, with what is given in place of its own."""
    own = {key: text_as_meant(f"quantization.{key}", value) for key, value in given.items() if value is not None}
    with named_as_arguments("quantization", WORDS):
        tables = {**recipe.quantization.model_dump(), "enabled": True, **own, **_named(observer)}
        return Recipe(quantization=Quantization(**tables), export=recipe.export)


def _named(observer: str | Observer | None) -> dict[str, Any]:
    """The entry of a table of a recipe, where an observer is given by its name; a function is looked at."""
    if observer is None or not callable(observer):
        return {} if observer is None else {"observer": name_as_meant("quantization.observer", observer)}
    choose(OBSERVERS, observer)
    return {}


def _static(
    model: nn.Module,
    data: Mapping[str, Data],
    recipe: Recipe,
    observer: str | Observer | None,
    loss: LossOrName | None = None,
) -> QuantizedModel:
    told = caller_warnings({f"quantization.{key}": argument for key, argument in WORDS.items()})
    opened = open_together(check_module(model), data, recipe, told.warn)
    context = Context(
        recipe=opened.recipe,
        example=opened.first(),
        streams=Streams(**opened.batches),
        progress=told,
        observer=observer if callable(observer) else None,
        loss=loss,
    )
    network, context = prepare(opened.network, context) if "train" in data else (opened.network, context)
    conversion = convert(network, context)
    return _wrap(conversion, conversion.done[-1].result)


def _dynamic(model: nn.Module, inputs: tuple[Any, ...] | Mapping[str, Any]) -> QuantizedModel:
    told = caller_warnings()
    opened = open_together(model, {"example": [(inputs, None)]}, Recipe(), told.warn)
    context = Context(recipe=opened.recipe, example=opened.first(), progress=told)
    conversion = convert(opened.network, context)
    return _wrap(conversion, quantize_dynamic(conversion.artifact))


def _wrap(conversion: Conversion, result: StepResult[ir.Model]) -> QuantizedModel:
    program = next(step.result.model for step in conversion.done if isinstance(step.result.model, ExportedProgram))
    return QuantizedModel(to_bytes(result.model), signature(result.model), program.call_spec.out_spec, result.refusals)
