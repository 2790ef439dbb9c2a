"""Which waveforms are of an instrument's reference nodes: those of golden sessions, and those that are configured."""

from collections.abc import Iterable, Mapping
from fnmatch import fnmatchcase
from typing import Any


def read_patterns(text: str) -> tuple[str, ...]:
    """Return the patterns of ``FAULTLIGHT_REFERENCE_NETS``: comma-separated, ``*``, ``?`` and ``[…]`` as in a shell."""
    return tuple(part.strip() for part in text.split(",") if part.strip())


def matches(name: str, patterns: Iterable[str]) -> bool:
    """Return whether a net, or a channel outside sessions, is configured as a reference node."""
    return any(fnmatchcase(name, pattern) for pattern in patterns)


def session_nets(document: Mapping[str, Any], patterns: Iterable[str]) -> list[str]:
    """Return the nets of a session's waveforms that are reference nodes: of a golden session all of them."""
    nets = [str(probe["net"]) for probe in document["waveforms"]]
    if document["role"] == "golden":
        return nets
    wanted = tuple(patterns)
    return [net for net in nets if matches(net, wanted)]
