"""Every table of the schema, in one import for migrations and tests."""

from db.schema import cases, data, events, files, installation, monitoring, parts, people, reports, sign_in, work
from db.schema.base import metadata

__all__ = [
    "cases",
    "data",
    "events",
    "files",
    "installation",
    "metadata",
    "monitoring",
    "parts",
    "people",
    "reports",
    "sign_in",
    "work",
]
