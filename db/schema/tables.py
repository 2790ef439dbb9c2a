"""Every table of the schema, in one import for migrations and tests."""

from db.schema import (
    cases,
    data,
    events,
    files,
    installation,
    layers,
    models,
    monitoring,
    parts,
    people,
    probes,
    reports,
    sign_in,
    work,
    workers,
)
from db.schema.base import metadata

__all__ = [
    "cases",
    "data",
    "events",
    "files",
    "installation",
    "layers",
    "metadata",
    "models",
    "monitoring",
    "parts",
    "people",
    "probes",
    "reports",
    "sign_in",
    "work",
    "workers",
]
