"""What is asked for: the recipe, one table per technique.

A recipe is data: frozen, validated when it is made, equal to itself after a round trip through TOML.
Every key has a dotted path (``quantization.scheme``) that errors name and that overrides (``overrides.py``) reach.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from edgecompress.recipe.budgets import Budgets
from edgecompress.recipe.consistency import check_enclosure, check_order, check_steps
from edgecompress.recipe.device import Device
from edgecompress.recipe.elsewhere import Validation as Validation
from edgecompress.recipe.samples import Images, Samples
from edgecompress.recipe.table import Table, paths_of
from edgecompress.recipe.values import (
    AxisName,
    AxisNumber,
    BatchAxis,
    CriterionName,
    LossName,
    MetricName,
    ObserverName,
    Positive,
    PositiveInt,
    Share,
    WeightBits,
)
from edgecompress.registry import TECHNIQUES, require_known

STAGES = {"pruning": 0, "low_rank": 0, "distillation": 1, "quantization": 2}
"""Progressive compression: what takes layers apart, what teaches those that are left, what rounds their weights.
Techniques of other packages stand where the recipe puts them."""
Technique = Annotated[str, AfterValidator(partial(require_known, TECHNIQUES)), Field(examples=list(STAGES))]
MAX_THREADS = 256
FEWEST_RUNS = 10
MAX_BATCH_SIZE = 65536
Isa = Literal["x86-sse", "x86-avx2", "x86-avx512", "x86-vnni", "armv8.0", "armv8.2-dotprod", "wasm"]
Option = bool | int | float | str


class Pruning(Table):
    """Removal of channels, with everything that depends on them, and what the network is given to recover."""

    enabled: bool = False
    """Remove channels."""
    amount: Share = 0.5
    """How much goes: a share, 0 to 1, of what ``goal`` names."""
    goal: Literal["channels", "macs", "parameters", "latency"] = "channels"
    """What ``amount`` is a share of; ``latency`` is measured in ONNX Runtime."""
    spread: Literal["uniform", "global", "latency", "sensitivity"] = "uniform"
    """The same share of every layer; by importance over all layers; where it buys most time for least importance; or
    where it buys most of the goal for the least harm to the outputs, measured on calibration data."""
    importance: CriterionName = "l2"
    """Which channels of a layer go first, by a criterion; ``taylor`` needs training data."""
    method: Literal["both", "filter", "channel", "block"] = "both"
    """What is looked at: the weights that make a channel (``filter``), that read it (``channel``), or both; ``block``
    removes whole residual blocks, ``amount`` of them, and keeps their shortcuts."""
    blocks: Share = 0.0
    """The share of the residual blocks that goes before any channel; ``amount`` counts what went with them."""
    multiple: PositiveInt = 16
    """A layer keeps a multiple of so many channels: 16 for AVX-512, 8 for AVX2, 4 or 8 for Arm; narrower layers stay
    whole."""
    residual: Literal["prune", "keep", "auto"] = "auto"
    """The channels that residual additions join; with ``keep`` only those inside of blocks go; ``auto`` keeps them
    where what is inside of blocks suffices for the amount: the network is faster for the same work, and loses less."""
    protect: tuple[str, ...] = ()
    """Names of layers whose channels stay; ``*`` and ``?`` are wildcards."""
    schedule: Literal["one_shot", "linear", "cubic"] = "one_shot"
    """How the amount grows over the steps between which the network is trained."""
    steps: PositiveInt = 1
    """Cuts, each followed by its part of the training."""
    warn_above: Share = 0.7
    """Sanity limit: an amount above it is warned about before the run."""


class LowRank(Table):
    """Replacement of a layer by two or three thinner ones, where that is less work."""

    enabled: bool = False
    """Replace layers by two or three thinner ones, where that is less work."""
    goal: Literal["macs", "parameters", "latency", "energy", "ratio"] = "macs"
    """What decides the ranks: a share of the network's cost that has to go, which layers share by what they lose, and
    ``latency`` is measured in ONNX Runtime; or, layer by layer, the energy that is kept, or a ratio."""
    amount: Share = 0.5
    """The share of the network's MACs, parameters or latency that goes."""
    energy: Annotated[float, Field(gt=0, le=1)] = 0.9
    """Of the energy of each layer's output, the share that is kept, for goal ``energy``."""
    rank_ratio: Annotated[float, Field(gt=0, le=1)] = 0.25
    """Rank kept, as a share of the full rank, for goal ``ratio``; half of it saves nothing in a square layer."""
    multiple: PositiveInt = 16
    """Ranks are multiples of it: 16 for AVX-512, 8 for AVX2, 4 or 8 for Arm."""
    whitening: bool = True
    """Weigh errors by what calibration data make of them in the layer's output; without, only by the weights."""
    protect: tuple[str, ...] = ()
    """Names of layers that stay whole; ``*`` and ``?`` are wildcards."""
    include: tuple[str, ...] = ()
    """Names of layers that are decomposed although they are protected: the last classifier."""


class Distillation(Table):
    """Training of a smaller student on the outputs of a teacher."""

    enabled: bool = False
    """Teach the network, or a student of it."""
    temperature: Positive = 4.0
    """The higher, the more the classes after the first count."""
    alpha: Annotated[float, Field(ge=0, le=1)] = 0.5
    """Weight of the teacher's outputs against the labels."""
    hints: tuple[str, ...] = ()
    """Layers whose outputs the student learns (FitNets), by name, or as STUDENT=TEACHER where the names differ."""
    hint_weight: Annotated[float, Field(ge=0)] = 1.0
    """Of the squared error as a share of both features' squares, for each layer."""
    block_weight: Annotated[float, Field(ge=0)] = 0.0
    """Of the squared error of each residual block's output, where the network was made from its teacher; 0 for none."""
    attention: tuple[str, ...] = ()
    """Layers whose attention maps, where in space they are large, the student learns."""
    attention_weight: Annotated[float, Field(ge=0)] = 1.0
    """For each layer."""
    relations: tuple[str, ...] = ()
    """Layers in which samples lie to one another as in the teacher's (RKD)."""
    relation_weight: Annotated[float, Field(ge=0)] = 25.0
    """Of the distances; angles weigh twice as much."""
    output_weights: dict[str, Annotated[float, Field(ge=0)]] = Field(default_factory=dict)
    """What an output's difference from the teacher's weighs: name of the output -> weight; 1 where none is given, and 0
    leaves the output out."""
    cache: bool = False
    """Keep the teacher's outputs on disk until the bundle is written, so that it sees each sample once."""

    @property
    def reads_layers(self) -> bool:
        """Whether layers of the teacher are compared, and not its outputs only."""
        return bool(self.hints or self.attention or self.relations or self.block_weight)


class Training(Table):
    """How a network that was made smaller, or a student, is trained, where there is training data."""

    task: Literal["classification", "regression"] = "classification"
    """What the labels are: class indices, or numbers of the shape of the outputs."""
    loss: LossName | None = None
    """What training minimizes: a name, or ``file.py:callable`` for a loss of your own; by default ``cross_entropy``
    for classification and ``mse`` for regression."""
    ignore_index: Annotated[int, Field(ge=-(2**31), lt=2**31)] | None = None
    """A label that counts for nothing, in the loss and in metrics of classes, as -100 does."""
    teacher: bool = True
    """Let what was pruned or factorized learn from its teacher too, as the ``distillation`` table says."""
    epochs: Annotated[int, Field(ge=0)] = 4
    """Passes over the training data after each technique that changes the network; 0 for no training."""
    learning_rate: Positive = 0.02
    """The highest one of SGD; it rises and falls over the run (one cycle). Losses that read no classes are learned by
    AdamW, at a tenth of it."""
    weight_decay: Annotated[float, Field(ge=0)] = 5e-4
    """Not on norms and biases."""
    augmentation: Literal["none", "flip", "crop_and_flip"] = "none"
    """Vary the training images: mirrored, for few epochs; or also shifted by up to an eighth, for many."""
    average_decay: Annotated[float, Field(gt=0, lt=1)] | None = 0.99
    """The result is a moving average of the weights, which keeps this share of itself at each step."""
    accumulation: PositiveInt = 1
    """Batches to one step."""
    max_gradient_norm: Positive | None = None
    """Longer gradients are clipped to it."""
    patience: PositiveInt | None = None
    """Epochs without a better evaluation after which training stops."""


class Quantization(Table):
    """Static INT8: what the integers mean, and where they are not used."""

    enabled: bool = False
    """Make the network INT8."""
    scheme: Literal["fbgemm", "qnnpack"] = "qnnpack"
    """What the integers mean: ``fbgemm`` (7-bit activations) for x86, ``qnnpack`` (8-bit) for Arm; both are INT8."""
    granularity: Literal["per_channel", "per_tensor"] = "per_channel"
    """One weight scale for each output channel, or one for the whole tensor."""
    weight_bits: dict[str, WeightBits] = Field(default_factory=dict)
    """Bits of the weights of integer layers, 2 to 8, by names of ONNX nodes (``*``, ``?`` are wildcards); 8 for others.
    They are stored as INT8, so that only a compressed download gets smaller, and nothing faster."""
    observer: ObserverName = "histogram"
    """How the range of an activation is chosen from what calibration saw."""
    percentile: Annotated[float, Field(gt=50, le=100)] = 99.99
    """Percent of the values that each end of the range stays above or below, for observer ``percentile``."""
    narrow: Literal["activations", "weights", "auto"] = "activations"
    """What ``fbgemm`` stores in 7 bits: activations, the weights that could saturate, or what loses less."""
    equalization: bool = False
    """Scale channels so that one scale fits all of a layer (cross-layer equalization), before calibration."""
    adaround: bool = False
    """Round weights up or down by what it does to the layer's output (AdaRound)."""
    bias_correction: bool = False
    """Take the mean error of each layer back through its bias."""
    training: Literal["never", "if_missed", "always"] = "never"
    """Train with the integers in place (quantization-aware): ``if_missed`` where the accuracy budget does not hold."""
    training_epochs: PositiveInt = 2
    """Passes over the training data for that."""
    training_rate: Positive = 0.01
    """Its highest learning rate: steps of a weight's grid that a weight moves in one step of the optimizer."""
    fallback_evaluations: Annotated[int, Field(ge=0)] = 0
    """How often accuracy is measured while layers turn float (``enclose``: uint16) until its budget holds; 0: never."""
    exact_layers: Annotated[int, Field(ge=0)] = 0
    """How many layers turn float (``enclose``: uint16) in any case: those that win most accuracy for their time."""
    keep_float: tuple[str, ...] = ()
    """Names of ONNX nodes that stay float; ``*`` and ``?`` are wildcards."""
    placement: Literal["table", "measured"] = "table"
    """What of it becomes integer: all that the ``table`` allows, or what makes it faster here, as ``measured``."""
    prefer: Literal["size", "speed"] = "speed"
    """What decides on weights of layers that compute in floats: ``speed`` leaves them as they are, where no integer
    kernel was an alternative; with ``size`` they are INT8 in the file, embeddings included."""
    integer_entry: bool = False
    """Make the first convolutions INT8 even over few channels, where floats run faster, for chips without floats."""
    enclose: bool = False
    """Put integers around every operator and output, the first convolutions included, for NPUs: a step of its own."""
    uint16_activations: tuple[str, ...] = ()
    """With ``enclose``: names of ONNX nodes that read and write uint16, as Softmax does; ``*``, ``?`` are wildcards."""

    @model_validator(mode="after")
    def _encloses_all(self) -> Self:
        if self.enclose:
            check_enclosure(self.keep_float, self.placement)
        return self


class Export(Table):
    """Capture and the ONNX file."""

    opset: Annotated[int, Field(ge=18, le=23)] = 20
    """Version of ONNX's operators."""
    batch_size: PositiveInt | None = None
    """A fixed batch dimension; without it the dimension is dynamic and named ``batch``."""
    dynamic_axes: dict[str, dict[AxisNumber, AxisName]] = Field(default_factory=dict)
    """Further dynamic dimensions: input name -> axis number -> name of the dimension."""
    batch_axes: dict[str, BatchAxis] = Field(default_factory=dict)
    """Where the samples of a batch lie: input name -> axis; -1 for what all samples share. Others are found."""
    simplify: bool = True
    """Run onnxsim, in a child process."""
    min_sqnr_db: Annotated[float, Field(gt=0, le=200)] = 60.0
    """Least agreement, in dB, of every float step with the PyTorch model; 200 stands for identical outputs."""
    formats: tuple[Literal["onnx", "ort"], ...] = ("onnx",)
    """What is written: ``model.onnx`` always, listed or not, and for ``ort`` what ONNX Runtime's small builds take."""
    image_input: Literal["float", "uint8"] = "float"
    """What the artifact takes for a picture; with ``uint8`` a second file, ``model.uint8.onnx``, takes the bytes of a
    camera, and ``images.mean`` and ``images.std`` are in it."""
    image_layout: Literal["nchw", "nhwc"] = "nchw"
    """Where the channels lie in these bytes; ``nhwc`` as cameras and image libraries give them."""
    license: Annotated[str, Field(pattern=r"^[^\x00-\x1f\x7f-\x9f\u2028\u2029]+$")] | None = None
    """Of the network, in the file's metadata: an identifier of SPDX, or a line of text."""
    browser: bool = False
    """Run the artifact in onnxruntime-web in a headless Chromium, on the inputs of the self-test."""


class Evaluation(Table):
    """What a network is measured by, and how its scores are read."""

    metric: MetricName = "top1"
    """What decides how good a network is: a name, or ``file.py:callable`` for a metric of your own."""
    postprocess: str | None = None
    """``file.py:callable``: what the outputs become before the metric sees them, such as boxes; by default nothing."""
    higher_is_better: bool | None = None
    """Whether more of it is better; by default what the metric says of itself, and true where it says nothing."""
    unit: str | None = None
    """Of its value, ``%`` for percent; by default what the metric says of itself."""
    class_axis: Annotated[int, Field(ge=-1)] | None = None
    """Axis of the scores that holds the classes: 1, or -1 for the last; by default the labels decide, then it is 1."""


class Report(Table):
    """What the report shows of the user's own data."""

    examples: Annotated[int, Field(ge=0, le=200)] = 24
    """Samples whose answer changed, the worst first, with a thumbnail where the input is an image; 0 for none."""


class Cpu(Table):
    """What the device computes with, how latency is measured, and on which other CPUs the artifact is tried."""

    isa: Isa | None = None
    """The instructions that the device's CPU has; the plan warns of a scheme that gives other answers there."""
    threads: Annotated[int, Field(gt=0, le=MAX_THREADS)] = 1
    """Intra-op threads of the timed sessions."""
    runs: Annotated[int, Field(ge=FEWEST_RUNS)] = 100
    """Timed runs of each model, interleaved, in ten pairs of sessions."""
    emulate: tuple[str, ...] = ()
    """Names of CPUs on which the artifact is run, under emulation, and compared with this machine."""


class Recipe(Table):
    """All that decides what comes out: the same recipe, model and data give the same bytes."""

    seed: Annotated[int, Field(ge=0)] = 0
    """For what is drawn at random."""
    order: tuple[Technique, ...] = tuple(STAGES)
    """The order in which the enabled techniques run: what makes the network smaller, then distillation, then
    quantization. A technique of another package runs where it stands here."""
    options: Mapping[str, Mapping[str, Option]] = Field(default_factory=dict)
    """What techniques of other packages are told, by their name: ``options.NAME.KEY``."""
    pruning: Pruning = Pruning()
    low_rank: LowRank = LowRank()
    distillation: Distillation = Distillation()
    training: Training = Training()
    evaluation: Evaluation = Evaluation()
    quantization: Quantization = Quantization()
    export: Export = Export()
    data: Samples = Samples()
    images: Images = Images()
    cpu: Cpu = Cpu()
    validation: Validation = Validation()
    device: Device = Device()
    budgets: Budgets = Budgets()
    report: Report = Report()

    @model_validator(mode="after")
    def _holds_together(self) -> Self:
        check_order(self.order, [name for name in STAGES if getattr(self, name).enabled], self.options, STAGES)
        check_steps(
            self.techniques,
            steps=self.pruning.steps,
            epochs=self.training.epochs,
            cache=self.distillation.cache,
            reads_layers=self.distillation.reads_layers,
        )
        return self

    @property
    def trains(self) -> bool:
        """Whether a technique of the recipe reads training data, if only to estimate batch norms on."""
        return any(name != "quantization" or self.quantization.training != "never" for name in self.techniques)

    @property
    def goals_in_time(self) -> tuple[str, ...]:
        """The settings, as ``KEY=VALUE``, of enabled techniques that time candidates.

        >>> Recipe(low_rank=LowRank(enabled=True, goal="latency")).goals_in_time
        ('low_rank.goal=latency',)
        """
        named = (("pruning", "goal"), ("pruning", "spread"), ("low_rank", "goal"))
        asked = {f"{name}.{key}": getattr(getattr(self, name), key) for name, key in named if name in self.techniques}
        return tuple(f"{key}=latency" for key, value in asked.items() if value == "latency")

    @property
    def techniques(self) -> tuple[Technique, ...]:
        """The enabled techniques in the order in which they run: what is not among them is not done."""
        return tuple(name for name in self.order if name not in STAGES or getattr(self, name).enabled)


def parse_recipe(tables: Mapping[str, Any]) -> Recipe:
    """Validate nested tables, as read from TOML, into a recipe.

    Raises:
        RecipeError: a key is unknown or a value has the wrong type; the message holds the key's path.

    >>> parse_recipe({"quantization": {"scheme": "fbgemm"}}).quantization.scheme
    'fbgemm'
    >>> parse_recipe({"pruning": {"amount": "much"}})
    Traceback (most recent call last):
    edgecompress.errors.RecipeError: expected number, got 'much' in 'pruning.amount'
    """
    return Recipe(**tables)


def key_paths() -> list[str]:
    """The dotted path of every key of a recipe.

    >>> "quantization.scheme" in key_paths()
    True
    """
    return paths_of(Recipe)
