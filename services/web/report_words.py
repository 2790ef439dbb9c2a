"""Reports and their deliveries in words: verdicts counted, what became of each mail."""

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

VERDICTS = ("missed", "not shown", "met", "no data", "no target")
"""Verdicts of a scorecard, what needs somebody first."""
MAIL_WORDS = {
    "waiting": "not sent yet, or to be tried again",
    "sending": "being sent",
    "delivered": "the mail server has said that it accepted it",
    "unknown": "marked and not repeated: the mail server may have accepted it",
    "failed": "refused for good, or the tries are used up",
}
"""What each state of a delivery means."""
MAY_COME_TWICE = frozenset({"unknown", "delivered"})
"""States of deliveries that, sent again, may reach somebody twice."""


def count_verdicts(scorecard: Iterable[Mapping[str, Any]] | None) -> list[tuple[str, int]]:
    """Return how many rows of a scorecard have which verdict; the latter two only where there is nothing else."""
    counts = Counter(str(row["verdict"]) for row in scorecard or ())
    judged = [(name, counts[name]) for name in VERDICTS[:3] if counts[name]]
    return judged or [(name, counts[name]) for name in VERDICTS[3:] if counts[name]]
