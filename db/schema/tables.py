"""Every table of the schema, in one import for migrations and tests."""

from db.schema import data, events, files, monitoring, parts, people, work
from db.schema.base import metadata

__all__ = ["data", "events", "files", "metadata", "monitoring", "parts", "people", "work"]
