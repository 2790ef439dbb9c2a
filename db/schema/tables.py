"""Every table of the schema, in one import for migrations and tests."""

from db.schema import data, files, parts, people, work
from db.schema.base import metadata

__all__ = ["data", "files", "metadata", "parts", "people", "work"]
