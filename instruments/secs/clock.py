"""Times as equipment writes them (SEMI E5, TIME)."""

import re
from datetime import datetime

_TWELVE = re.compile(r"(\d{2})\d{10}")
_SIXTEEN = re.compile(r"\d{14}(\d{2})?")
_EXTENDED = re.compile(r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(?:[.,]\d{1,6})?(?:Z|[+-]\d{2}:\d{2})?")


def read_clock(text: str) -> str:
    """Return the time in ``text`` as ISO 8601, or ``""`` when it is none.

    ``YYMMDDhhmmss`` (years 70 to 99 are of the twentieth century), ``YYYYMMDDhhmmss`` with or without hundredths, and
    the extended form. A zone is told only where the text has one.
    """
    text = text.strip()
    try:
        if match := _TWELVE.fullmatch(text):
            century = "19" if int(match[1]) >= 70 else "20"
            return datetime.strptime(century + text, "%Y%m%d%H%M%S").isoformat()
        if match := _SIXTEEN.fullmatch(text):
            moment = datetime.strptime(text[:14], "%Y%m%d%H%M%S").replace(microsecond=int(match[1] or 0) * 10_000)
            return moment.isoformat(timespec="milliseconds" if match[1] else "seconds")
        if _EXTENDED.fullmatch(text):
            return datetime.fromisoformat(text.replace(",", ".")).isoformat()
    except ValueError:
        return ""
    return ""
