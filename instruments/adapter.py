"""The contract that every format keeps."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path
from typing import Protocol, runtime_checkable

from instruments.description import Reach, RecordDescription
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
        reach: how much of a file it needs to describe it. With ``Reach.HEADER`` it is a :class:`HeaderAdapter`; with
            ``Reach.WALK`` it has no ``describe``, and a file is described by reading it.
    """

    name: str
    formats: tuple[str, ...]
    reach: Reach

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


@runtime_checkable
class HeaderAdapter(Adapter, Protocol):
    """An adapter of a format whose header says what the file holds; its ``reach`` is ``Reach.HEADER``."""

    def describe(self, source: Source) -> tuple[str, Iterable[RecordDescription]]:
        """Return the format's name and what ``read`` would return, without looking at the samples.

        Memory and bytes read do not grow with the number of samples. A file that is refused here is refused by
        ``read`` too; one that is described may still be refused by ``read``, whose checks look at the samples.

        Raises:
            instruments.errors.InstrumentError: the header, or the file's length, is not right.
        """
        ...
