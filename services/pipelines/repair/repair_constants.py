"""A laboratory's own constants of repair models, as a file or in a question; read by the API too, without numerics.

A file is TOML or JSON of the schema ``faultlight.repair-constants/1``: a list ``constants`` whose entries have ``key``,
``value``, ``source``, and may have ``spread``, ``kind`` and ``label``. The unit is the end of the key.
"""

import json
import tomllib
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

SCHEMA = "faultlight.repair-constants/1"
MOST_CONSTANTS = 500
SIMULATED = " (SIMULATED)"
"""At the end of the source of a constant that was learned from simulated runs."""


class GivenConstant(BaseModel):
    """A constant that stands instead of the table's, or beside it."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)

    key: str = Field(min_length=1, max_length=120, pattern=r"^[a-z0-9]+([._-][a-z0-9]+)*$")
    value: float
    spread: float = Field(default=0.0, ge=0)
    kind: str = "exact"
    label: str = "laboratory"
    source: str = Field(min_length=1, max_length=500)


class ConstantFile(BaseModel):
    """A file of constants."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False, populate_by_name=True)

    schema_name: str = Field(default=SCHEMA, alias="schema", pattern=r"^faultlight\.repair-constants/1$")
    constants: list[GivenConstant] = Field(max_length=MOST_CONSTANTS)


class DocumentRefused(ValueError):  # noqa: N818
    """A document that people write is not as it must be; the message says where."""


def read_document(path: Path) -> dict[str, Any]:
    """Return the TOML or JSON object in ``path``, by the ending of its name.

    Raises:
        DocumentRefused: it is neither, or cannot be read as such.
        FileNotFoundError: there is no such file.
    """
    if not path.is_file():
        raise FileNotFoundError(f"there is no file {path}")
    try:
        text = path.read_text("utf-8")
        found = tomllib.loads(text) if path.suffix.lower() == ".toml" else json.loads(text)
    except (UnicodeDecodeError, tomllib.TOMLDecodeError, json.JSONDecodeError, RecursionError) as error:
        raise DocumentRefused(f"{path.name} is no TOML (.toml) or JSON document: {error}") from error
    if not isinstance(found, dict):
        raise DocumentRefused(f"{path.name} holds no object")
    return found


def read_constants(path: Path) -> list[GivenConstant]:
    """Return the constants of the file ``path``; raises :class:`DocumentRefused` when it is not one."""
    try:
        return ConstantFile.model_validate(read_document(path)).constants
    except ValidationError as error:
        raise DocumentRefused(f"{path.name}: {explain(error)}") from error


def explain(error: ValidationError) -> str:
    """Return the first complaints in one sentence, each with its place."""
    complaints = []
    for each in error.errors()[:3]:
        place = ".".join(str(part) for part in each["loc"])
        complaints.append(f"{place}: {each['msg']}" if place else each["msg"])
    return "; ".join(complaints)
