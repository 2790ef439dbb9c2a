"""Requests per key and minute, counted in Redis. Fails open: without Redis nobody is limited."""

import time
import uuid
from collections.abc import Callable

import redis
import structlog

from services.problems import Problem

log = structlog.get_logger(__name__)

_WINDOW_S = 60
_TIMEOUT_S = 0.2
_PAUSE_AFTER_FAILURE_S = 5.0


class RateLimiter:
    """A fixed window of one minute per key; ``limit`` 0 or no ``broker_url`` means no limit."""

    def __init__(self, broker_url: str | None, limit: int, clock: Callable[[], float] = time.time) -> None:
        self._limit = limit
        self._clock = clock
        self._paused_until = 0.0
        self._client: redis.Redis | None = None
        if broker_url is not None and limit > 0:
            self._client = redis.Redis.from_url(
                broker_url, socket_timeout=_TIMEOUT_S, socket_connect_timeout=_TIMEOUT_S, retry=None
            )

    def check(self, key_id: uuid.UUID) -> None:
        """Count a request of the key; raises the problem ``too-many-requests`` beyond the limit."""
        now = self._clock()
        if self._client is None or now < self._paused_until:
            return
        window = int(now // _WINDOW_S)
        name = f"faultlight:rate:{key_id}:{window}"
        try:
            pipeline = self._client.pipeline(transaction=False)
            pipeline.incr(name)
            pipeline.expire(name, 2 * _WINDOW_S)
            count = int(pipeline.execute()[0])
        except (redis.RedisError, OSError) as error:
            self._paused_until = now + _PAUSE_AFTER_FAILURE_S
            log.warning("rate_limit_not_counted", error=str(error))
            return
        if count > self._limit:
            wait_s = max(1, round((window + 1) * _WINDOW_S - now))
            detail = f"this key may make {self._limit} requests per minute"
            raise Problem("too-many-requests", detail, headers={"Retry-After": str(wait_s)})

    def close(self) -> None:
        """Close the connections to Redis."""
        if self._client is not None:
            self._client.close()
