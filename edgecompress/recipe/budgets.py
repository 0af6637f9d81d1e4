"""The budgets of a recipe: what the artifact must reach. :mod:`edgecompress.validation.budgets` judges by them."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from edgecompress.recipe.table import Table
from edgecompress.recipe.values import Positive


class Budgets(Table):
    """What the artifact must reach; a key that is left out is not checked."""

    max_accuracy_drop: float | None = None
    """Percentage points of top-1 accuracy; of another metric in percent where no budget speaks of it."""
    max_metric_drop: float | None = None
    """How much worse than the float model the artifact may be, in the unit of ``evaluation.metric``."""
    min_metric_kept: Annotated[float, Field(ge=0, le=1)] | None = None
    """Least share of the float model's metric that is kept, 0 to 1; of an error, the float model's over its own."""
    min_metric: float | None = None
    """Least value of the metric, where more is better."""
    max_metric: float | None = None
    """Largest value of the metric, where less is better."""
    min_compression_ratio: Positive | None = None
    """Bytes of the float ONNX file over bytes of the artifact."""
    min_speedup: Positive | None = None
    """Float latency over the artifact's, medians."""
    max_latency_ms: Positive | None = None
    """Median latency of one sample, in milliseconds."""
    max_latency_p95_ms: Positive | None = None
    """Latency that 95 % of the calls stay under, in milliseconds."""
    max_latency_p99_ms: Positive | None = None
    """Latency that 99 % of the calls stay under, in milliseconds."""
    max_size_mb: Positive | None = None
    """Size of the artifact in megabytes (10^6 bytes)."""
    min_sqnr_db: float | None = None
    """Least agreement of the artifact's outputs with the original's, in dB."""
    min_cpu_agreement: Annotated[float, Field(ge=0, le=1)] | None = None
    """Least share of samples, 0 to 1, with the same top class on every emulated CPU as on this machine; of outputs that
    are not known to hold classes, of samples that agree to 25 dB."""
    min_browser_agreement: Annotated[float, Field(ge=0, le=1)] | None = None
    """The same in the browser."""
    min_runtime_agreement: Annotated[float, Field(ge=0, le=1)] | None = None
    """The same on every other runtime of ``validation.on`` and ``validation.device``."""
    max_cpu_nodes: Annotated[float, Field(ge=0)] | None = None
    """Most nodes that an NPU may leave to the CPU."""
    min_npu_share: Annotated[float, Field(ge=0, le=1)] | None = None
    """Least share of the multiply-accumulates, 0 to 1, that an NPU does."""

    @property
    def latency_limits_ms(self) -> tuple[float, ...]:
        """Those of the latency that are set, in milliseconds."""
        limits = (self.max_latency_ms, self.max_latency_p95_ms, self.max_latency_p99_ms)
        return tuple(limit for limit in limits if limit is not None)

    @property
    def bound_latency(self) -> bool:
        """Whether one of them says how fast the artifact has to be."""
        return self.min_speedup is not None or bool(self.latency_limits_ms)
