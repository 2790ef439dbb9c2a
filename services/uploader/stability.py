"""When a file is finished: its size, modification time and inode have not changed for a while.

"A while" is measured on the monotonic clock. The file's own times are compared, never subtracted from a clock, so
that a clock that jumps, or an instrument whose clock is wrong, changes nothing.
"""

import time
from collections.abc import Callable, Collection

from services.uploader.journal import Sighting


class Stability:
    """Tells which sightings have been the same for ``settle_s`` seconds of ``clock``, a monotonic one."""

    def __init__(self, settle_s: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._settle_s = settle_s
        self._clock = clock
        self._since: dict[str, tuple[str, float]] = {}

    def is_stable(self, sighting: Sighting) -> bool:
        """Return whether it is; to be asked at every look."""
        now = self._clock()
        signature, since = self._since.get(sighting.path, ("", now))
        if signature != sighting.signature:
            since = now
            self._since[sighting.path] = (sighting.signature, since)
        return now - since >= self._settle_s

    def restart(self, path: str) -> None:
        """Begin to wait for ``path`` anew."""
        self._since.pop(path, None)

    def keep(self, paths: Collection[str]) -> None:
        """Forget every path but these."""
        for path in self._since.keys() - set(paths):
            del self._since[path]
