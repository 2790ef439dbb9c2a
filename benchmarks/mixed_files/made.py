"""What a writer makes: the files, and the records that reading them must give."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

Counts = Mapping[str, tuple[int, int]]
"""Kind of record to (rows of the database, samples or rows or other things counted in them)."""


@dataclass(frozen=True)
class Made:
    """A file, or a bundle, of one format.

    Attributes:
        name: of the file, or of the bundle's folder.
        files: path inside the bundle to content; ``""`` for a single file.
        counts: what it holds, known from the writing of it.
        says_its_length: a part of it cannot be taken for a smaller whole.
    """

    name: str
    files: Mapping[str, bytes]
    counts: Counts
    says_its_length: bool = False


Maker = Callable[[int], Made]
"""Makes the file of a number; no two numbers give the same bytes."""


def single(name: str, data: bytes | str, counts: Counts, *, says_its_length: bool = False) -> Made:
    """Return a file of its own."""
    content = data.encode() if isinstance(data, str) else data
    return Made(name, {"": content}, counts, says_its_length)
