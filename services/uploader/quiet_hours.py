"""Hours in which nothing is sent, by the PC's local time.

The wall clock is asked again before each file and each chunk, and nothing is computed from an earlier answer: so a
clock that jumps, a change to or from summer time, or another time zone count as soon as the PC shows them. A window
that summer time skips does not come; one that it repeats comes twice.
"""

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime

DAY_MINUTES = 1440
_WINDOW = re.compile(r"([0-9]{1,2}):([0-9]{2})-([0-9]{1,2}):([0-9]{2})")


class QuietBegins(Exception):  # noqa: N818
    """The quiet hours have begun; raised between two chunks, when nothing is half done."""


@dataclass(frozen=True)
class QuietHours:
    """Windows of the day, each ``(first minute, minute after the last)``; one may reach across midnight."""

    windows: tuple[tuple[int, int], ...] = ()

    @classmethod
    def parse(cls, texts: Iterable[str]) -> "QuietHours":
        """Return the windows in texts such as ``22:00-06:00`` or ``12:00-13:00,22:00-06:00``.

        Raises:
            ValueError: one is no window, is empty, or nothing would ever be sent.
        """
        hours = cls(tuple(_parse_window(part) for text in texts for part in text.split(",") if part.strip()))
        if hours.windows and all(map(hours._covers, range(DAY_MINUTES))):
            raise ValueError("the quiet hours leave no minute of the day to send in")
        return hours

    def is_quiet(self, moment: datetime) -> bool:
        """Return whether the local time ``moment`` lies in a window."""
        return self._covers(moment.hour * 60 + moment.minute)

    def ends(self, moment: datetime) -> str:
        """Return the local time at which the windows around ``moment`` end, as ``06:00``."""
        minute = moment.hour * 60 + moment.minute
        while self._covers(minute):
            minute = (minute + 1) % DAY_MINUTES
        return f"{minute // 60:02d}:{minute % 60:02d}"

    def _covers(self, minute: int) -> bool:
        return any(
            first <= minute < end if first < end else minute >= first or minute < end for first, end in self.windows
        )


def _parse_window(text: str) -> tuple[int, int]:
    found = _WINDOW.fullmatch(text.strip())
    if found is not None:
        first, end = int(found[1]) * 60 + int(found[2]), int(found[3]) * 60 + int(found[4])
        in_day = first < DAY_MINUTES and end <= DAY_MINUTES and int(found[2]) < 60 and int(found[4]) < 60
        if in_day and first != end:
            return first, end
    raise ValueError(f"{text.strip()!r} is no window of the day: expected two different times such as 22:00-06:00")


@dataclass(frozen=True)
class QuietCheck:
    """Quiet hours with the clock that they are told by: ``local`` gives the PC's local time."""

    hours: QuietHours
    local: Callable[[], datetime] = datetime.now

    def is_quiet(self) -> bool:
        """Return whether nothing may be sent now."""
        return bool(self.hours.windows) and self.hours.is_quiet(self.local())

    def ends(self) -> str:
        """Return when it ends, as local time."""
        return self.hours.ends(self.local())

    def check(self) -> None:
        """Raise :class:`QuietBegins` when nothing may be sent now."""
        if self.is_quiet():
            raise QuietBegins
