"""Opening what arrived: a file, one in a gzip stream, a folder of files, or a .zip archive of such a folder."""

import gzip
import os
import stat
import unicodedata
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from instruments.adapter import HEAD_BYTES, Source
from instruments.errors import CorruptField, ReadingLimit, Truncated, UnsafePath, is_machine_trouble

GZIP_MARK = b"\x1f\x8b"
_BLOCK_BYTES = 1 << 20
_RATIO_FLOOR_BYTES = 1 << 20
_TOTAL_RATIO_FLOOR_BYTES = 64 << 20


@dataclass(frozen=True)
class ArchiveLimits:
    """What an archive may hold: members, bytes of one and of all members, and how far one and all may expand."""

    members: int = 10_000
    member_bytes: int = 8 << 30
    total_bytes: int = 16 << 30
    ratio: float = 200.0


def open_source(path: Path, name: str | None = None, *, scratch: Path, limits: ArchiveLimits | None = None) -> Source:
    """Return the :class:`Source` of a file, a folder, or an archive, whose members are extracted below ``scratch``.

    A single top folder of an archive is left out of the members' paths. A gzip stream is its content, without ``.gz``.

    Raises:
        UnsafePath: a member's path leaves the archive, or is a link.
        ReadingLimit: the archive or the stream holds more than ``limits`` allow.
        CorruptField, Truncated: the archive or the stream is damaged.
    """
    name = name or path.name
    if path.is_dir():
        return _bundle(path, name, _list_folder(path, name))
    with path.open("rb") as file:
        head = file.read(HEAD_BYTES)
    if head[:4] == b"PK\x03\x04" or head[:4] == b"PK\x05\x06":
        return _bundle(scratch, name, _extract(path, name, scratch, limits or ArchiveLimits()))
    if head.startswith(GZIP_MARK):
        path = _unpack(path, name, scratch, limits or ArchiveLimits())
        name = name[: -len(".gz")] if name.lower().endswith(".gz") else name
        with path.open("rb") as file:
            head = file.read(HEAD_BYTES)
    return Source(path, name, path.stat().st_size, head, {})


def _bundle(root: Path, name: str, members: Mapping[str, Path]) -> Source:
    size = sum(member.stat().st_size for member in members.values())
    return Source(root, name, size, b"", members)


def _list_folder(folder: Path, name: str) -> dict[str, Path]:
    members: dict[str, Path] = {}
    for root, folders, files in os.walk(folder):
        folders.sort()
        for entry in sorted(files):
            path = Path(root) / entry
            if path.is_symlink():
                raise UnsafePath(f"{path.relative_to(folder).as_posix()} is a link", file=name)
            members[path.relative_to(folder).as_posix()] = path
    return members


def check_member_path(member: str, name: str) -> str:
    """Return the member's path in canonical form; ``name`` is the archive's, for the error.

    Raises:
        UnsafePath: it is absolute, climbs out, or has characters that no system agrees on.
    """
    canonical = unicodedata.normalize("NFC", member)
    parts = PurePosixPath(canonical).parts
    unsafe = (
        not parts
        or canonical.startswith("/")
        or "\\" in canonical
        or any(part in ("..", ".") or (part.endswith((" ", ".")) and part.strip(" .") == "") for part in parts)
        or any(ord(character) < 32 or ord(character) == 127 for character in canonical)
        or (len(parts[0]) == 2 and parts[0][1] == ":")
    )
    if unsafe:
        raise UnsafePath(f"the member path {member!r} is not a plain relative path", file=name)
    return "/".join(parts)


def _extract(path: Path, name: str, scratch: Path, limits: ArchiveLimits) -> dict[str, Path]:
    try:
        with zipfile.ZipFile(path) as archive:
            entries = _check_entries(archive, name, limits)
            _check_expansion(entries, path.stat().st_size, name, limits)
            scratch.mkdir(parents=True, exist_ok=True)
            total = 0
            members: dict[str, Path] = {}
            for index, (member, entry) in enumerate(entries.items()):
                target = scratch / f"member-{index:06d}"
                total += _extract_one(archive, entry, target, name)
                if total > limits.total_bytes:
                    raise ReadingLimit(
                        "the archive expands too far", file=name, expected=limits.total_bytes, found=total
                    )
                members[member] = target
    except zipfile.BadZipFile as error:
        raise CorruptField(f"the archive is damaged: {error}", file=name) from error
    except EOFError as error:
        raise Truncated("the archive ends inside a member", file=name) from error
    except (NotImplementedError, RuntimeError, OSError) as error:
        if is_machine_trouble(error):
            raise
        raise CorruptField(f"the archive cannot be unpacked: {error}", file=name) from error
    return _strip_top_folder(members)


def _unpack(path: Path, name: str, scratch: Path, limits: ArchiveLimits) -> Path:
    """Write what a gzip stream holds; its own length and checksum are compared at the end of each of its members."""
    packed_bytes = path.stat().st_size
    most = min(limits.member_bytes, max(_TOTAL_RATIO_FLOOR_BYTES, int(limits.ratio * packed_bytes)))
    scratch.mkdir(parents=True, exist_ok=True)
    target = scratch / "unpacked"
    written = 0
    try:
        with gzip.open(path, "rb") as stream, target.open("wb") as sink:
            while block := stream.read(_BLOCK_BYTES):
                written += len(block)
                if written > most:
                    raise ReadingLimit("the gzip stream expands too far", file=name, expected=most, found=written)
                sink.write(block)
    except EOFError:
        raise Truncated("the gzip stream ends before its end mark", file=name, offset=packed_bytes) from None
    except (gzip.BadGzipFile, zlib.error) as error:
        raise CorruptField(f"the gzip stream is damaged: {error}", file=name) from None
    return target


def _check_entries(archive: zipfile.ZipFile, name: str, limits: ArchiveLimits) -> dict[str, zipfile.ZipInfo]:
    entries: dict[str, zipfile.ZipInfo] = {}
    infos = archive.infolist()
    if len(infos) > limits.members:
        raise ReadingLimit("the archive has too many members", file=name, expected=limits.members, found=len(infos))
    for info in infos:
        member = check_member_path(info.filename, name)
        if info.is_dir():
            continue
        if stat.S_ISLNK(info.external_attr >> 16):
            raise UnsafePath(f"the member {member} is a link", file=name)
        if info.flag_bits & 0x1:
            raise CorruptField(f"the member {member} is encrypted", file=name)
        if member in entries:
            raise CorruptField(f"the archive has two members {member}", file=name)
        if info.file_size > limits.member_bytes:
            raise ReadingLimit(f"{member} is too large", file=name, expected=limits.member_bytes, found=info.file_size)
        if info.file_size > _RATIO_FLOOR_BYTES and info.file_size > limits.ratio * max(1, info.compress_size):
            ratio = info.file_size // max(1, info.compress_size)
            raise ReadingLimit(f"{member} expands too far", file=name, expected=int(limits.ratio), found=ratio)
        entries[member] = info
    return entries


def _check_expansion(
    entries: Mapping[str, zipfile.ZipInfo], archive_bytes: int, name: str, limits: ArchiveLimits
) -> None:
    """Refuse many small members, or overlapping ones, that together become far more than the archive itself."""
    total = sum(info.file_size for info in entries.values())
    if total > limits.total_bytes:
        raise ReadingLimit("the archive expands too far", file=name, expected=limits.total_bytes, found=total)
    if total > _TOTAL_RATIO_FLOOR_BYTES and total > limits.ratio * archive_bytes:
        ratio = total // max(1, archive_bytes)
        raise ReadingLimit("the archive expands too far", file=name, expected=int(limits.ratio), found=ratio)


def _extract_one(archive: zipfile.ZipFile, entry: zipfile.ZipInfo, target: Path, name: str) -> int:
    """Write one member to ``target``; never more bytes than its entry declares. Return how many."""
    written = 0
    with archive.open(entry) as source, target.open("wb") as sink:
        while block := source.read(_BLOCK_BYTES):
            written += len(block)
            if written > entry.file_size:
                break
            sink.write(block)
    if written != entry.file_size:
        raise CorruptField(
            f"the member {entry.filename} has another size than declared",
            file=name,
            expected=entry.file_size,
            found=written,
        )
    return written


def _strip_top_folder(members: dict[str, Path]) -> dict[str, Path]:
    tops = {member.partition("/")[0] for member in members}
    if len(tops) == 1 and all("/" in member for member in members):
        return {member.partition("/")[2]: path for member, path in members.items()}
    return members
