"""What every table of `patrol.toml` shares: its base, and the kinds of numbers and names."""

from __future__ import annotations

import re
import typing
from typing import Annotated, Any

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationInfo,
    field_validator,
)

Fraction = Annotated[float, Field(ge=0.0, le=1.0)]
Positive = Annotated[float, Field(gt=0.0)]
NotNegative = Annotated[float, Field(ge=0.0)]
NAME_PATTERN = r"^[A-Za-z0-9_-]{1,32}$"


def _in_words(name: Any) -> Any:
    """Refuse what is no name before the library does, which would show the pattern."""
    if isinstance(name, str) and re.fullmatch(NAME_PATTERN, name) is None:
        raise ValueError("a name has letters, digits, _ and - only, 1 to 32 of them")
    return name


Name = Annotated[str, Field(pattern=NAME_PATTERN), BeforeValidator(_in_words)]


def _plain_type(annotation: Any) -> Any:
    """Return the type beside None of an optional field's annotation; any other as it is."""
    inner = [one for one in typing.get_args(annotation) if one is not type(None)]
    if type(None) not in typing.get_args(annotation) or len(inner) != 1:
        return annotation
    return typing.get_args(inner[0])[0] if typing.get_origin(inner[0]) is Annotated else inner[0]


class Table(BaseModel):
    """A TOML table: unknown keys refused, values fixed once read, text no number and no switch."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    @field_validator("*", mode="before")
    @classmethod
    def _is_of_its_own_kind(cls, value: Any, info: ValidationInfo) -> Any:
        """Refuse what pydantic would convert: `tls = "no"` is a mistake that would fly.

        Not its strict mode: that refuses a TOML list for a tuple and text for a path, too.
        """
        plain = _plain_type(cls.model_fields[str(info.field_name)].annotation)
        if plain is bool and not isinstance(value, bool):
            raise ValueError("write true or false, without quotes")
        if plain in {int, float} and isinstance(value, (str, bool)):
            raise ValueError("write a number, without quotes")
        return value
