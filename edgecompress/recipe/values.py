"""Values of a recipe: numbers within bounds, and names that something has."""

from __future__ import annotations

from functools import partial
from typing import Annotated, Any

from pydantic import AfterValidator, Field

from edgecompress.recipe.device import SCHEMES, checked_url
from edgecompress.registry import CRITERIA, LOSSES, METRICS, OBSERVERS, RUNTIMES, built_in, require_known

Share = Annotated[float, Field(ge=0, lt=1)]
Positive = Annotated[float, Field(gt=0)]
PositiveInt = Annotated[int, Field(gt=0)]
ObserverName = Annotated[str, AfterValidator(partial(require_known, OBSERVERS)), Field(examples=[*built_in(OBSERVERS)])]
CriterionName = Annotated[str, AfterValidator(partial(require_known, CRITERIA)), Field(examples=[*built_in(CRITERIA)])]
MetricName = Annotated[str, AfterValidator(partial(require_known, METRICS)), Field(examples=[*built_in(METRICS)])]
LossName = Annotated[str, AfterValidator(partial(require_known, LOSSES)), Field(examples=[*built_in(LOSSES)])]
URLS = tuple(f"{scheme}://" for scheme in SCHEMES)
"""How the names of devices of one's own begin."""


def _require_place(name: str, key: str) -> str:
    """The name of a place as it is; a URL among them has no password, and nothing that a program takes for an option.

    Raises:
        ValueError: no runtime has it, or it is a URL that cannot be used.
    """
    require_known(RUNTIMES, name, key)
    return checked_url(name, key) if name.startswith(URLS) else name


def _place_name(key: str) -> tuple[AfterValidator, Any]:
    return AfterValidator(partial(_require_place, key=key)), Field(examples=[*built_in(RUNTIMES)])


PlaceName = Annotated[str, *_place_name("validation.on")]
DeviceName = Annotated[str, *_place_name("validation.device")]
AxisNumber = Annotated[str, Field(pattern=r"^[0-9]+$")]
WeightBits = Annotated[int, Field(ge=2, le=8)]
BatchAxis = Annotated[int, Field(ge=-1)]
AxisName = Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")]
