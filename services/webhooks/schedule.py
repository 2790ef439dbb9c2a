"""When a delivery is tried again: at growing distances over three days, then never."""

import random
from collections.abc import Callable
from dataclasses import dataclass

DELAYS_S = (5.0, 300.0, 1800.0, 7200.0, 18000.0, 36000.0, 50400.0, 72000.0, 86400.0)


@dataclass(frozen=True)
class Schedule:
    """The pauses after the first, second, … failed try; each up to a tenth longer, so that receivers are not flooded.

    Args:
        delays_s: one for each try that may follow the first.
        draw: gives a number in [0, 1).
    """

    delays_s: tuple[float, ...] = DELAYS_S
    draw: Callable[[], float] = random.random

    @property
    def tries(self) -> int:
        """How often a delivery is tried in all."""
        return len(self.delays_s) + 1

    def wait_s(self, failed_tries: int, asked_s: float | None = None) -> float | None:
        """Return the pause after so many failed tries (>= 1), at least what was asked for; ``None``: give up."""
        if failed_tries < 1:
            raise ValueError("a pause comes after a try")
        if failed_tries > len(self.delays_s):
            return None
        pause = self.delays_s[failed_tries - 1] * (1.0 + 0.1 * self.draw())
        return pause if asked_s is None else max(pause, asked_s)
