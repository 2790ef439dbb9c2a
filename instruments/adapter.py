"""The contract that every format keeps."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path
from typing import Protocol

from instruments.records import Record


class Confidence(IntEnum):
    """How sure an adapter is that a file is its own."""

    NO = 0
    POSSIBLE = 1
    LIKELY = 2
    CERTAIN = 3


@dataclass(frozen=True)
class Sniff:
    """An adapter's answer about a file, with the reason in words."""

    confidence: Confidence
    reason: str


@dataclass(frozen=True)
class Source:
    """A file to read, or a bundle of them.

    Attributes:
        path: the file; for a bundle, the folder that holds its members.
        name: the file's original name (``path`` may be a staged copy with another name).
        size_bytes: of the file; of all members for a bundle.
        head: the first bytes of the file, at most ``HEAD_BYTES``; empty for a bundle.
        members: for a bundle, each member's path inside it (``/``-separated) to its file on disk; else empty.
    """

    path: Path
    name: str
    size_bytes: int
    head: bytes
    members: Mapping[str, Path]

    @property
    def is_bundle(self) -> bool:
        """True for several files that belong together."""
        return bool(self.members)


HEAD_BYTES = 65536


class Adapter(Protocol):
    """Reads one format. An instance has no state; registered in the entry-point group ``faultlight.instruments``.

    Attributes:
        name: unique, lower case, for example ``lecroy_trc``.
        version: changes whenever the records read from some file would change; files are read again then.
        formats: the names it may report as ``ReadResult.format``.
    """

    name: str
    formats: tuple[str, ...]

    @property
    def version(self) -> str:
        """A plain class attribute will do."""
        ...

    def sniff(self, source: Source) -> Sniff:
        """Say how sure it is, from the name, the size and the head alone; never raises."""
        ...

    def read(self, source: Source) -> tuple[str, Iterable[Record]]:
        """Return the format's name and the records.

        Raises:
            instruments.errors.InstrumentError: the file is not read right, and why.
        """
        ...
