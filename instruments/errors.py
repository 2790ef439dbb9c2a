"""Why a file was refused: one type per cause, each with the facts in it."""

import errno
from typing import Any

MACHINE_TROUBLE = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EIO})
"""What the system says of a disk that is full or broken: it says nothing of the file that is being read."""


class InstrumentError(Exception):
    """A file could not be read right. ``str(error)`` is one clear sentence with those facts that are known.

    Args:
        message: what is wrong, in one sentence.
        file: the file's name, as the caller gave it.
        offset: byte offset (binary) or 1-based line number (text, see ``offset_unit``) of the trouble.
        expected: what the format demands there.
        found: what is there.
        offset_unit: ``"byte"`` or ``"line"``.
    """

    def __init__(
        self,
        message: str,
        *,
        file: str = "",
        offset: int | None = None,
        expected: str | int | float | None = None,
        found: str | int | float | None = None,
        offset_unit: str = "byte",
    ) -> None:
        super().__init__(message)
        self.message = message
        self.file = file
        self.offset = offset
        self.expected = expected
        self.found = found
        self.offset_unit = offset_unit
        self.reasons: list[dict[str, str]] = []
        """Every adapter's word about the file: ``{"adapter", "version", "reason"}`` each."""

    def __str__(self) -> str:
        place = f" at {self.offset_unit} {self.offset}" if self.offset is not None else ""
        named = {"expected": self.expected, "found": self.found}
        known = ", ".join(f"{name} {fact}" for name, fact in named.items() if fact is not None)
        prefix = f"{self.file}: " if self.file else ""
        return f"{prefix}{self.message}{place}" + (f" ({known})" if known else "")

    def to_document(self) -> dict[str, Any]:
        """Return ``{"type", "message", "offset", "expected", "found"}`` for JSON."""
        return {
            "type": type(self).__name__,
            "message": str(self),
            "offset": self.offset,
            "expected": self.expected,
            "found": self.found,
        } | ({"reasons": self.reasons} if self.reasons else {})


class NotThisFormat(InstrumentError):  # noqa: N818
    """The bytes are not of the adapter's format."""


class UnknownFormat(InstrumentError):  # noqa: N818
    """No adapter recognises the file; ``reasons`` has each adapter's word."""

    def __init__(self, message: str, *, reasons: list[dict[str, str]], file: str = "") -> None:
        super().__init__(message, file=file)
        self.reasons = reasons


class AmbiguousFormat(InstrumentError):  # noqa: N818
    """Two adapters are both certain that the file is theirs."""


class Truncated(InstrumentError):  # noqa: N818
    """The file ends before its own header says it does."""


class CorruptField(InstrumentError):  # noqa: N818
    """A structural field holds a value that cannot be right."""


class UnsupportedVersion(InstrumentError):  # noqa: N818
    """The format is known, this version or variant of it is not."""


class CountMismatch(InstrumentError):  # noqa: N818
    """The reader and the independent second count disagree about how much the file holds."""


class ReadingLimit(InstrumentError):  # noqa: N818
    """Reading took more time or memory than a sandboxed reader may have, or more bytes than allowed."""


class ReaderCrashed(InstrumentError):  # noqa: N818
    """The reading process died; the file is kept and nothing else is affected."""


class UnsafePath(InstrumentError):  # noqa: N818
    """An archive member's path leaves the archive."""


def is_machine_trouble(error: BaseException) -> bool:
    """Return whether ``error`` is of this machine's disk, so that the file may be read right another time."""
    return isinstance(error, OSError) and error.errno in MACHINE_TROUBLE


def quote_value(value: Any, most: int = 100) -> str | None:
    """Return ``value`` as a refusal shows it: text in quotes, ``most`` characters; ``None`` where there is no value."""
    return None if value is None else repr(value)[:most]


def cut_value(value: Any, most: int = 100) -> str | None:
    """Return ``value`` as a refusal shows it: ``most`` characters of it; ``None`` where there is no value."""
    return None if value is None else str(value)[:most]
