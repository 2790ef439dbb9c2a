"""How values are written on a page: units everywhere, probabilities that do not pretend, times in UTC."""

import math
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from markupsafe import Markup, escape

from services.presentation.slow_path import shorten_fault
from services.web.fault_words import tell_fault

UNKNOWN = "\u2013"
_PREFIXES = ((1e9, "G"), (1e6, "M"), (1e3, "k"), (1.0, ""), (1e-3, "m"), (1e-6, "µ"), (1e-9, "n"), (1e-12, "p"))
_KIBI = ("B", "KiB", "MiB", "GiB", "TiB")


def parse_moment(value: Any) -> datetime | None:
    """Return a time from what PostgreSQL's JSON or the driver gives, ``None`` for nothing."""
    if value is None or value == "":
        return None
    moment = value if isinstance(value, datetime) else datetime.fromisoformat(str(value))
    return moment.astimezone(UTC)


def write_commands(text: str) -> Markup:
    """Return ``text`` with what stands between backticks as code, as one would type it."""
    parts = text.split("`")
    if len(parts) % 2 == 0:
        return escape(text)
    return Markup("").join(
        Markup("<code>{}</code>").format(part) if place % 2 else escape(part) for place, part in enumerate(parts)
    )


def write_moment(value: Any) -> Markup:
    """Return a ``<time>`` of minute precision in UTC; seconds are in its title."""
    moment = parse_moment(value)
    if moment is None:
        return Markup(UNKNOWN)  # noqa: S704
    exact = moment.isoformat(timespec="seconds")
    return Markup('<time datetime="{}" title="{}">{}</time>').format(exact, exact, f"{moment:%Y-%m-%d %H:%M}")


def write_age(value: Any, now: datetime | None = None) -> str:
    """Return how long ago a time was, or how far ahead, in its two largest units at most."""
    moment = parse_moment(value)
    if moment is None:
        return UNKNOWN
    seconds = ((now or datetime.now(UTC)) - moment).total_seconds()
    return f"in {write_duration(-seconds)}" if seconds < 0 else f"{write_duration(seconds)} ago"


def write_duration(seconds: float | None) -> str:
    """Return a duration of ``seconds`` in its one or two largest units."""
    if seconds is None or not math.isfinite(seconds):
        return UNKNOWN
    whole = round(abs(seconds))
    if whole < 60:
        return f"{whole} s"
    minutes, rest = divmod(whole, 60)
    if minutes < 60:
        return f"{minutes} min {rest} s" if minutes < 10 and rest else f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    if hours < 48:
        return f"{hours} h {minutes} min" if minutes else f"{hours} h"
    days, hours = divmod(hours, 24)
    return f"{days} d {hours} h" if hours else f"{days} d"


def write_seconds(seconds: float | None) -> str:
    """Return how long something took: two digits with the unit that suits below a minute, a duration above."""
    if seconds is None or not math.isfinite(seconds) or seconds >= 59.5:
        return write_duration(seconds)
    return f"{seconds * 1e3:.0f} ms" if seconds < 0.995 else f"{seconds:.2g} s"


def write_bytes(count: int | None) -> str:
    """Return a number of bytes with a binary prefix."""
    if count is None:
        return UNKNOWN
    amount, step = float(count), 0
    while amount >= 1024 and step < len(_KIBI) - 1:
        amount, step = amount / 1024, step + 1
    return f"{count:,} B".replace(",", "\u202f") if step == 0 else f"{amount:.3g} {_KIBI[step]}"


def write_probability(value: float | None) -> str:
    """Return a probability with three decimals; what rounds to 0 or 1 without being it says so."""
    if value is None:
        return UNKNOWN
    if 0 < value < 0.0005:
        return "< 0.001"
    if 0.9995 <= value < 1:
        return "> 0.999"
    return f"{value:.3f}"


def write_posterior(value: float | None) -> str:
    """Return a posterior: one that is 0 or 1 in double precision is only closer to it than the computer can tell."""
    return write_probability(value if value is None else min(max(value, math.ulp(0.0)), math.nextafter(1.0, 0.0)))


def write_number(value: float | None, digits: int = 3) -> str:
    """Return a number with ``digits`` significant digits."""
    if value is None:
        return UNKNOWN
    if isinstance(value, int):
        return f"{value:,}".replace(",", "\u202f")
    return f"{value:#.{digits}g}".removesuffix(".") if math.isfinite(value) else UNKNOWN


def write_amount(value: float | None, digits: int = 4) -> str:
    """Return a number with ``digits`` significant digits, large ones written out: ppm and FIT are compared by eye."""
    if value is None or not math.isfinite(value):
        return UNKNOWN
    if not 1e-3 <= abs(value) < 1e9:
        return f"{value:.{digits}g}"
    decimals = digits - 1 - math.floor(math.log10(abs(value)))
    return f"{round(value, decimals):,.{max(decimals, 0)}f}".replace(",", "\u202f")


def write_fixed(value: float | None, decimals: int = 2) -> str:
    """Return a number with ``decimals`` decimals; what rounds to nothing has no sign."""
    return UNKNOWN if value is None or not math.isfinite(value) else f"{value:z.{decimals}f}"


def write_resolving(value: float | None, span: float | None) -> str:
    """Return a number with the digits that tell apart what lies ``span`` apart, to three of it."""
    if value is None or not math.isfinite(value):
        return UNKNOWN
    if not span or not math.isfinite(span):
        return write_number(float(value), 4)
    decimals = 2 - math.floor(math.log10(abs(span)))
    if decimals <= 9 and abs(value) < 1e9:
        return f"{value:.{max(decimals, 0)}f}"
    more = math.floor(math.log10(abs(value))) - math.floor(math.log10(abs(span))) if value else 0
    return f"{value:.{min(max(more + 2, 2), 16)}e}"


def write_si(value: float | None, unit: str, digits: int = 4) -> str:
    """Return ``value`` in ``unit`` with the prefix that suits it."""
    if value is None or not math.isfinite(value):
        return UNKNOWN
    if value == 0:
        return f"0 {unit}"
    factor, prefix = next(((f, p) for f, p in _PREFIXES if abs(value) >= f), _PREFIXES[-1])
    return f"{value / factor:.{digits}g} {prefix}{unit}"


def write_person(actor: str | None) -> str:
    """Return who did something: ``account:ada`` is ada, ``service:scheduler`` the service scheduler."""
    if actor is None:
        return UNKNOWN
    kind, _, name = actor.partition(":")
    return f"{kind} {name}" if kind in ("service", "instrument") else actor.removeprefix("account:")


def write_json(value: Any) -> Markup:
    """Return a document as nested definition lists, with every leaf as text."""
    if isinstance(value, dict):
        if not value:
            return Markup(UNKNOWN)  # noqa: S704
        rows = (Markup("<dt>{}</dt><dd>{}</dd>").format(name, write_json(item)) for name, item in value.items())
        return Markup("<dl class='document'>{}</dl>").format(Markup("").join(rows))
    if isinstance(value, list):
        if any(isinstance(item, dict | list) for item in value):
            return Markup("<ol>{}</ol>").format(
                Markup("").join(Markup("<li>{}</li>").format(write_json(item)) for item in value)
            )
        return escape(", ".join(str(item) for item in value) or UNKNOWN)
    if isinstance(value, bool):
        return escape("yes" if value else "no")
    return escape(UNKNOWN if value is None else str(value))


def write_plainly(text: str) -> str:
    """Return text in which what cannot be printed, such as bytes of a torn file, is written as its number."""
    return "".join(each if each.isprintable() else f"\\x{ord(each):02x}" for each in text)


def _unbroken(write: Callable[[Any], str]) -> Callable[[Any], str]:
    """Return the filter with its words kept on one line."""
    return lambda value: write(value).replace(" ", "\u00a0")


FILTERS = {
    "moment": write_moment,
    "age": _unbroken(write_age),
    "duration": _unbroken(write_duration),
    "seconds": _unbroken(write_seconds),
    "plain": write_plainly,
    "bytes": write_bytes,
    "probability": write_probability,
    "posterior": write_posterior,
    "number": write_number,
    "amount": write_amount,
    "fixed": write_fixed,
    "resolving": write_resolving,
    "si": write_si,
    "person": write_person,
    "document": write_json,
    "fault": tell_fault,
    "fault_code": shorten_fault,
    "commands": write_commands,
}
