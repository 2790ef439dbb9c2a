"""Sources of evidence in words."""

from collections.abc import Mapping
from typing import Any


def tell_source(found: Mapping[str, Any]) -> str:
    """Return a source in words: which result, by what, since when it was known; or why there is none."""
    if found.get("result"):
        return f"{found['kind']} {found['result']}, {found['version']}, known {str(found['known_at'])[:16]}"
    return f"none: {found['missing']}" if found.get("missing") else str(found.get("source") or "")
