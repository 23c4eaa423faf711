"""Uploads in parts, and what can be said of an uploaded model without running it."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from api_schemas.jobs import Wire

Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]


class UploadRequest(Wire):
    """What is going to be sent."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"filename": "model.pt2", "bytes": 141783, "sha256": "ab" * 32}]}
    )

    filename: str = Field(min_length=1, max_length=255, pattern=r"^[^\x00-\x1f]*$")
    bytes: int = Field(gt=0, le=2**40)
    sha256: Sha256


class Upload(BaseModel):
    """How an upload stands: parts are numbered from 0 and all but the last have `part_bytes` bytes."""

    id: str
    filename: str
    bytes: int
    sha256: str
    part_bytes: int
    missing_parts: tuple[int, ...]
    complete: bool


class _Found(BaseModel):
    """Read off whatever has attributes of these names, such as what intake finds: there is no mapping to keep."""

    model_config = ConfigDict(from_attributes=True)


class InspectionInput(_Found):
    """One input of the network; None stands for a size that may change."""

    name: str
    dtype: str
    shape: tuple[int | None, ...]


class InspectionLayer(_Found):
    """One tensor that layers use as a weight, and whether it can be made ternary."""

    name: str
    kind: str
    shape: tuple[int, ...]
    weights: int
    ternarisable: bool
    why_not: str = ""


class Inspection(_Found):
    """What preflight knows of a model without running it."""

    format: str
    parameters: int
    ternarisable_weights: int
    inputs: tuple[InspectionInput, ...]
    layers: tuple[InspectionLayer, ...]
