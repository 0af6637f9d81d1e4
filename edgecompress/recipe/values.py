"""Values of a recipe: numbers within bounds, and names that something has."""

from __future__ import annotations

from functools import partial
from typing import Annotated

from pydantic import AfterValidator, Field

from edgecompress.registry import CRITERIA, LOSSES, METRICS, OBSERVERS, RUNTIMES, built_in, require_known

Share = Annotated[float, Field(ge=0, lt=1)]
Positive = Annotated[float, Field(gt=0)]
PositiveInt = Annotated[int, Field(gt=0)]
ObserverName = Annotated[str, AfterValidator(partial(require_known, OBSERVERS)), Field(examples=[*built_in(OBSERVERS)])]
CriterionName = Annotated[str, AfterValidator(partial(require_known, CRITERIA)), Field(examples=[*built_in(CRITERIA)])]
MetricName = Annotated[str, AfterValidator(partial(require_known, METRICS)), Field(examples=[*built_in(METRICS)])]
LossName = Annotated[str, AfterValidator(partial(require_known, LOSSES)), Field(examples=[*built_in(LOSSES)])]
PlaceName = Annotated[str, AfterValidator(partial(require_known, RUNTIMES)), Field(examples=[*built_in(RUNTIMES)])]
AxisNumber = Annotated[str, Field(pattern=r"^[0-9]+$")]
BatchAxis = Annotated[int, Field(ge=-1)]
AxisName = Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")]
