"""What is put off after failures, and how often a trouble is told."""

import re
from collections.abc import Callable
from dataclasses import dataclass

REPEAT_S = 3600.0
MOST_KINDS = 20
_NUMBERS = re.compile(r"[0-9]+")


@dataclass
class Delay:
    """How often something has failed in a row, and when it is tried again."""

    failures: int = 0
    until: float = float("-inf")


class Troubles:
    """Decides what is told of a trouble that goes on for days: each kind once in ``REPEAT_S`` seconds of ``clock``.

    Texts that differ in numbers only are of one kind; of more than ``MOST_KINDS`` kinds the others are not told, so
    that the lines an agent writes in an hour are bounded, whatever happens.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._told_at: dict[str, float] = {}

    def is_news(self, text: str) -> bool:
        """Return whether to tell it, and count it as told."""
        now = self._clock()
        self._told_at = {kind: at for kind, at in self._told_at.items() if now - at < REPEAT_S}
        kind = _NUMBERS.sub("#", text)
        if kind in self._told_at or len(self._told_at) >= MOST_KINDS:
            return False
        self._told_at[kind] = now
        return True

    def settle(self) -> None:
        """Forget what was told: it is over."""
        self._told_at.clear()
