"""A cap on what is sent: a token bucket over every byte of a request, its head and its body."""

import re
import time
from collections.abc import Callable, Iterable, Iterator

import httpx

SMALLEST_RATE = 1000.0
_RATE = re.compile(r"([0-9]{1,12}(?:\.[0-9]{1,6})?)([kMG]?)(?:B/s)?")
_UNITS = {"": 1.0, "k": 1e3, "M": 1e6, "G": 1e9}
_LINE_BYTES = 4  # of a header: colon, blank and the end of the line


def parse_rate(text: str) -> float:
    """Return bytes per second from ``500k``, ``2M`` or ``1.5MB/s`` (powers of 1000).

    Raises:
        ValueError: it is no rate, or below 1 kB/s, where one request would take longer than any server waits.
    """
    found = _RATE.fullmatch(text.strip())
    if found is None:
        raise ValueError(f"{text!r} is no rate: expected bytes per second such as 500k or 2M")
    rate = float(found[1]) * _UNITS[found[2]]
    if rate < SMALLEST_RATE:
        raise ValueError(f"{text!r} is too little: at least {SMALLEST_RATE:.0f} bytes per second")
    return rate


class TokenBucket:
    """Lets ``rate_bytes_s`` bytes pass per second of ``clock``, a monotonic one, and a quarter of a second at once.

    ``sleep`` may raise, to end a wait early.
    """

    def __init__(
        self,
        rate_bytes_s: float,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.rate_bytes_s = rate_bytes_s
        self.piece_bytes = max(1, min(1 << 16, int(rate_bytes_s / 4)))
        self._clock = clock
        self._sleep = sleep
        self._tokens = float(self.piece_bytes)
        self._at = clock()

    def take(self, count: int) -> None:
        """Return when ``count`` bytes may pass."""
        now = self._clock()
        gained = max(0.0, now - self._at) * self.rate_bytes_s
        self._tokens = min(float(self.piece_bytes), self._tokens + gained) - count
        self._at = now
        if self._tokens < 0:
            self._sleep(-self._tokens / self.rate_bytes_s)


class PacedBody(httpx.SyncByteStream):
    """A request's body that passes through a bucket, piece by piece."""

    def __init__(self, body: Iterable[bytes], bucket: TokenBucket) -> None:
        self._body = body
        self._bucket = bucket

    def __iter__(self) -> Iterator[bytes]:
        for data in self._body:
            for start in range(0, len(data), self._bucket.piece_bytes):
                piece = data[start : start + self._bucket.piece_bytes]
                self._bucket.take(len(piece))
                yield piece


def pace(request: httpx.Request, bucket: TokenBucket) -> None:
    """Let the request pass through the bucket: its head now, its body as it is sent."""
    head = len(request.method) + len(request.url.raw_path) + len(" HTTP/1.1\r\n\r\n")
    bucket.take(head + sum(len(name) + len(value) + _LINE_BYTES for name, value in request.headers.raw))
    if isinstance(request.stream, httpx.SyncByteStream):
        request.stream = PacedBody(request.stream, bucket)
