"""A population of files as instruments send them: good ones of every format, broken ones, repeated ones, bundles."""

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.mixed_files import electrical, others, probing
from benchmarks.mixed_files.made import Counts, Made, Maker

MAKERS: dict[str, Maker] = {**probing.MAKERS, **electrical.MAKERS, **others.MAKERS}
"""A writer for each adapter."""
REPEATED, AT_ONCE, CUT, JUNK, EMPTY = 0.06, 0.02, 0.06, 0.03, 0.0005
"""Shares of files sent before, of files sent by two at the same time, of cut files, of noise, of empty files."""
FOLDER_FILES = 1000


@dataclass(frozen=True)
class Sent:
    """One thing to send, and what must become of it.

    Attributes:
        path: the file, or the folder of the bundle.
        is_bundle: whether it is sent as one.
        files: path inside the bundle (``""`` for a single file) to the sha256 of the content.
        sizes: the same to its size in bytes.
        adapter: that must read it; ``None`` when it must be quarantined.
        counts: the records that it holds.
        repeats: whether the same content was in the population before.
    """

    path: Path
    is_bundle: bool
    files: Mapping[str, str]
    sizes: Mapping[str, int]
    adapter: str | None
    counts: Counts
    repeats: bool

    @property
    def content(self) -> str:
        """The sha256 of the file, or of the bundle's sorted (path, sha256) list."""
        if not self.is_bundle:
            return self.files[""]
        pairs = sorted([path, sha256] for path, sha256 in self.files.items())
        text = json.dumps(pairs, ensure_ascii=False, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()


def write_population(folder: Path, count: int, seed: int = 7) -> list[Sent]:
    """Write ``count`` files and bundles below ``folder`` and return them in the order of sending."""
    rng = np.random.default_rng(seed)
    names = list(MAKERS)
    sent: list[Sent] = []
    seen: set[str] = set()
    rolls = rng.random(count)
    for number in range(count):
        home = folder / f"{number // FOLDER_FILES:04d}"
        home.mkdir(parents=True, exist_ok=True)
        roll = rolls[number]
        if sent and roll < REPEATED + AT_ONCE:
            which = sent[-1] if roll < AT_ONCE else sent[int(rng.integers(len(sent)))]
            sent.append(_repeat(which, home, number))
            continue
        name = names[number % len(names)]
        made = MAKERS[name](number)
        adapter: str | None = name
        roll -= REPEATED + AT_ONCE
        if roll < EMPTY:
            made, adapter = Made(f"empty_{number:06d}.csv", {"": b""}, {}), None
        elif roll < EMPTY + JUNK:
            made, adapter = Made(f"noise_{number:06d}.dat", {"": rng.bytes(200 + number % 2000)}, {}), None
        elif roll < EMPTY + JUNK + CUT and made.says_its_length:
            made, adapter = _cut(made), None
        one = _write(made, home, adapter, seen)
        sent.append(one)
        seen.add(one.content)
    return sent


def _cut(made: Made) -> Made:
    """Return it without the last third of its largest file."""
    largest = max(made.files, key=lambda path: len(made.files[path]))
    data = made.files[largest]
    return Made(made.name, {**made.files, largest: data[: 2 * len(data) // 3]}, {})


def _write(made: Made, home: Path, adapter: str | None, seen: set[str]) -> Sent:
    path = home / made.name
    is_bundle = set(made.files) != {""}
    if is_bundle:
        path.mkdir()
    for member, data in made.files.items():
        (path / member if is_bundle else path).write_bytes(data)
    files = {member: hashlib.sha256(data).hexdigest() for member, data in made.files.items()}
    sizes = {member: len(data) for member, data in made.files.items()}
    one = Sent(path, is_bundle, files, sizes, adapter, made.counts, False)
    return one if one.content not in seen else Sent(path, is_bundle, files, sizes, adapter, made.counts, True)


def _repeat(one: Sent, home: Path, number: int) -> Sent:
    """Write the same content under another name."""
    path = home / f"again_{number:06d}{one.path.suffix}"
    if one.is_bundle:
        path.mkdir()
    for member in one.files:
        source, target = (one.path / member, path / member) if one.is_bundle else (one.path, path)
        target.write_bytes(source.read_bytes())
    return Sent(path, one.is_bundle, one.files, one.sizes, one.adapter, one.counts, True)


def firsts(sent: list[Sent]) -> Iterator[Sent]:
    """Yield each content once."""
    return (one for one in sent if not one.repeats)
