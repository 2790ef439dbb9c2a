"""How long to wait before the next try: exponential with full jitter, and never less than the service asks for."""

import random
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

LONGEST_REQUEST_S = 3600.0
_SECONDS = re.compile(r"[0-9]{1,9}")


@dataclass(frozen=True)
class Backoff:
    """The wait before try ``n`` is uniform between 0 and ``min(cap_s, base_s * 2**n)``.

    ``draw`` gives a number in [0, 1).
    """

    base_s: float = 0.25
    cap_s: float = 30.0
    draw: Callable[[], float] = random.random

    def wait_s(self, failures: int, asked_s: float | None = None) -> float:
        """Return the seconds to wait after ``failures`` (>= 1) failures in a row; at least ``asked_s``."""
        longest = min(self.cap_s, self.base_s * 2.0 ** min(failures - 1, 60))
        jitter = longest * self.draw()
        return jitter if asked_s is None else asked_s + jitter


def parse_retry_after(headers: Mapping[str, str], now: Callable[[], float] = time.time) -> float | None:
    """Return the seconds that ``Retry-After`` asks for (both forms), ``None`` when it asks for nothing readable.

    A date is measured from the answer's own ``Date``: the clock of an instrument PC may be wrong. At most
    ``LONGEST_REQUEST_S``, so that no mistaken answer silences an agent for ever.
    """
    text = headers.get("retry-after", "").strip()
    if _SECONDS.fullmatch(text):
        return min(float(text), LONGEST_REQUEST_S)
    until = _parse_date(text)
    if until is None:
        return None
    told = _parse_date(headers.get("date", ""))
    start = told if told is not None else datetime.fromtimestamp(now(), UTC)
    return min(max(0.0, (until - start).total_seconds()), LONGEST_REQUEST_S)


def _parse_date(text: str) -> datetime | None:
    try:
        moment = parsedate_to_datetime(text)
    except (TypeError, ValueError, IndexError, OverflowError):
        return None
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
