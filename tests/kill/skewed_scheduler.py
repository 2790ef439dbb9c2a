"""A scheduler process whose clock is wrong by so many seconds, with short leases: ``… SKEW_S``."""

import datetime
import sys
import time
from typing import Any

SKEW_S = float(sys.argv[1]) if __name__ == "__main__" else 0.0
_real, _time, _time_ns = datetime.datetime, time.time, time.time_ns


class _AnyDatetime(type):
    def __instancecheck__(cls, value: object) -> bool:
        return isinstance(value, _real)


class SkewedDatetime(_real, metaclass=_AnyDatetime):
    """The datetime of a machine whose clock is wrong."""

    @classmethod
    def now(cls, tz: Any = None) -> Any:
        return _real.now(tz) + datetime.timedelta(seconds=SKEW_S)

    @classmethod
    def utcnow(cls) -> Any:
        return _real.now(datetime.UTC).replace(tzinfo=None) + datetime.timedelta(seconds=SKEW_S)


def run() -> None:
    """Run the scheduler as `faultlight scheduler` does, with the wrong clock."""
    datetime.datetime = SkewedDatetime  # type: ignore[misc]
    time.time = lambda: _time() + SKEW_S
    time.time_ns = lambda: _time_ns() + int(SKEW_S * 1e9)
    from services.scheduler import mailing, main
    from services.settings import Settings
    from services.webhooks.schedule import Schedule

    main.REPORTS_INTERVAL_S = 0.3
    mailing.LEASE_S, mailing.SUBMITTED_LEASE_S = 6.0, 8.0
    mailing.Schedule = lambda: Schedule(delays_s=(0.3,) * 500)  # type: ignore[assignment, misc]
    every_duty = main.make_duties

    def quick_duties(*parts: Any) -> Any:
        """All but looking for files to read again, which takes longer to load than these processes live."""
        return [duty for duty in every_duty(*parts) if duty.name != "reread"]

    main.make_duties = quick_duties
    main.run_scheduler(Settings())


if __name__ == "__main__":
    run()
