"""Every table of the schema, in one import for migrations and tests."""

from db.schema import data, events, files, installation, monitoring, parts, people, sign_in, work
from db.schema.base import metadata

__all__ = ["data", "events", "files", "installation", "metadata", "monitoring", "parts", "people", "sign_in", "work"]
