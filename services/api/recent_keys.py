"""Keys that were found good a moment ago, so that a burst of reads does not ask the database for each of them."""

import hashlib
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime

from db.repositories.access import Authenticated, Caller

_MOST_KEYS = 1024


class RecentKeys:
    """Callers by the digest of their key, each for ``keep_s`` seconds and never beyond the key's expiry.

    Only what reads may use it: a key that is revoked, or a role that is taken away by another process, still reads
    for ``keep_s`` seconds. Nothing is kept of keys that were refused. ``keep_s`` 0 keeps nothing.
    """

    def __init__(self, keep_s: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._keep_s = keep_s
        self._clock = clock
        self._callers: dict[bytes, tuple[float, Caller]] = {}

    def find(self, key: str) -> Caller | None:
        """Return who presents ``key``, of no request, if it was found good within the last ``keep_s`` seconds."""
        if self._keep_s <= 0:
            return None
        found = self._callers.get(_digest(key))
        if found is None or found[0] <= self._clock():
            return None
        return found[1]

    def keep(self, key: str, authenticated: Authenticated) -> None:
        """Remember a key that was just found good; one whose last use is still to be written is not kept."""
        if self._keep_s <= 0 or authenticated.last_use_is_stale:
            return
        keep_s = self._keep_s
        if authenticated.expires_at is not None:
            keep_s = min(keep_s, (authenticated.expires_at - datetime.now(UTC)).total_seconds())
        if len(self._callers) >= _MOST_KEYS:
            self._callers.clear()
        self._callers[_digest(key)] = (self._clock() + keep_s, replace(authenticated.caller, request_id=None))

    def forget_all(self) -> None:
        """Forget every key: something about keys, accounts or memberships has changed."""
        self._callers.clear()


def _digest(key: str) -> bytes:
    return hashlib.sha256(key.encode("utf-8")).digest()
