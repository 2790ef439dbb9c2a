"""Cells of a line of a table: those that are empty at its end, and the time axis that may stand beside the titles."""

import re
from collections.abc import Sequence

STAMP = re.compile(r"(?P<key>t0|tInc)\s*=\s*(?P<number>\S+?)\s*s?", re.IGNORECASE)
"""First time and interval beside the titles, as newer Rigol oscilloscopes write them."""


def trimmed(cells: Sequence[str]) -> list[str]:
    """Return ``cells`` without the empty ones at their end."""
    kept = list(cells)
    while kept and not kept[-1]:
        kept.pop()
    return kept
