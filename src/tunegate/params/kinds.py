"""Kinds of value that several sections of params.yaml share."""

from typing import Annotated, Literal

from pydantic import Field

Share = Annotated[float, Field(ge=0, lt=1)]
Split = Annotated[float, Field(gt=0, lt=1)]
Count = Annotated[int, Field(ge=1)]
Device = Literal["cpu", "cuda"]
Precision = Literal["fp32", "bf16"]
