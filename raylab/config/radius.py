"""Sizes of perturbations in a config: numbers that may be written as fractions, the way the papers write them."""

from __future__ import annotations

import re
from typing import Annotated, Any

from pydantic import BeforeValidator, Field

FRACTION = re.compile(r"\s*(-?\d{1,15}(?:\.\d{1,15})?)\s*/\s*(\d{1,15}(?:\.\d{1,15})?)\s*")


def fraction(value: Any) -> Any:
    """8/255 as the float that Python's 8 / 255 is, so that both have one identity; all else as it is."""
    found = FRACTION.fullmatch(value) if isinstance(value, str) else None
    if found is None or float(found[2]) == 0:
        return value
    over, under = (float(part) if "." in part else int(part) for part in found.groups())
    return over / under


Size = Annotated[float, BeforeValidator(fraction)]  # of a perturbation, in pixel units of [0, 1]: 0.5 or 8/255
Radius = Annotated[Size, Field(gt=0, le=1000)]
