"""Bundles: files that belong together, declared first, received when the last one is there."""

import hashlib
import json
import unicodedata
import uuid
from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, Row, func, insert, or_, select, update
from sqlalchemy.dialects.postgresql import insert as upsert

from db.identifiers import uuid7
from db.repositories.access import Action, Caller, RowNotFound
from db.schema.files import bundle, bundle_member, raw_file

MAX_PATH_CHARACTERS = 1024
MAX_PATH_BYTES = 2048
MAX_PART_BYTES = 255
"""What file systems take as the name of a file or folder, in UTF-8."""


class InvalidPath(ValueError):  # noqa: N818
    """A member's path that could leave the bundle, or that is not one path on every system."""


@dataclass(frozen=True)
class Member:
    """One file of a bundle: ``path`` is relative, with forward slashes, in Unicode normal form C."""

    path: str
    sha256: str
    size_bytes: int


@dataclass(frozen=True)
class Bundle:
    """A bundle as stored."""

    id: uuid.UUID
    program_id: uuid.UUID
    name: str
    state: str
    content_sha256: str


def normalise_path(path: str) -> str:
    """Return the path in normal form C; raises :class:`InvalidPath` when it is not a plain relative path."""
    text = unicodedata.normalize("NFC", path)
    parts = text.split("/")
    if not text or len(text) > MAX_PATH_CHARACTERS:
        raise InvalidPath(f"a path has 1 to {MAX_PATH_CHARACTERS} characters")
    if "\\" in text or any(unicodedata.category(character) in {"Cc", "Cs"} for character in text):
        raise InvalidPath(f"{text!r} contains a backslash or a control character")
    if text.startswith("/") or (len(parts[0]) == 2 and parts[0][1] == ":"):
        raise InvalidPath(f"{text!r} is absolute")
    if any(part in {"", ".", ".."} for part in parts):
        raise InvalidPath(f"{text!r} has an empty, '.' or '..' part")
    if any(len(part.encode("utf-8")) > MAX_PART_BYTES for part in parts) or len(text.encode("utf-8")) > MAX_PATH_BYTES:
        raise InvalidPath(
            f"a name in {text[:80]!r} has more than {MAX_PART_BYTES} bytes, or the path more than {MAX_PATH_BYTES}"
        )
    return text


def normalise_members(members: Sequence[Member]) -> list[Member]:
    """Return the members sorted, with normalised paths; raises :class:`InvalidPath` for duplicates and conflicts."""
    by_path: dict[str, Member] = {}
    for member in members:
        path = normalise_path(member.path)
        if path in by_path:
            raise InvalidPath(f"{path!r} occurs twice")
        by_path[path] = Member(path, member.sha256, member.size_bytes)
    for path in by_path:
        parents = path.split("/")[:-1]
        for depth in range(1, len(parents) + 1):
            if "/".join(parents[:depth]) in by_path:
                raise InvalidPath(f"{'/'.join(parents[:depth])!r} is both a file and a folder")
    return [by_path[path] for path in sorted(by_path)]


def digest_content(members: Sequence[Member]) -> str:
    """Return the sha256 of the sorted (path, sha256) list, as canonical JSON."""
    pairs = sorted([member.path, member.sha256] for member in members)
    return hashlib.sha256(json.dumps(pairs, ensure_ascii=False, separators=(",", ":")).encode("utf-8")).hexdigest()


def declare(
    connection: Connection, caller: Caller, program_id: uuid.UUID, name: str, members: Sequence[Member]
) -> tuple[Bundle, bool]:
    """Insert a bundle with normalised ``members``, or return the known one with the same content and ``False``.

    Members whose bytes are in the program already are joined at once.
    """
    caller.require_in(Action.UPLOAD, program_id)
    values = {
        "id": uuid7(),
        "program_id": program_id,
        "instrument_id": caller.instrument_id,
        "name": name,
        "content_sha256": digest_content(members),
    }
    inserted = connection.execute(
        upsert(bundle).values(values).on_conflict_do_nothing().returning(bundle.c.id)
    ).scalar()
    query = select(bundle.c.id).where(
        bundle.c.program_id == program_id, bundle.c.content_sha256 == values["content_sha256"]
    )
    bundle_id = inserted or connection.execute(query).scalar_one()
    if inserted is not None:
        rows = [
            {"id": uuid7(), "bundle_id": bundle_id, "path": m.path, "sha256": m.sha256, "size_bytes": m.size_bytes}
            for m in members
        ]
        connection.execute(insert(bundle_member), rows)
    return join(connection, bundle_id), inserted is not None


def join(connection: Connection, bundle_id: uuid.UUID) -> Bundle:
    """Give every member whose bytes are in the program its original; the last one makes the bundle ``received``."""
    locked = connection.execute(select(bundle).where(bundle.c.id == bundle_id).with_for_update()).one()
    connection.execute(
        update(bundle_member)
        .where(
            bundle_member.c.bundle_id == bundle_id,
            bundle_member.c.raw_file_id.is_(None),
            raw_file.c.program_id == locked.program_id,
            raw_file.c.sha256 == bundle_member.c.sha256,
            raw_file.c.size_bytes == bundle_member.c.size_bytes,
        )
        .values(raw_file_id=raw_file.c.id)
    )
    state = locked.state
    if state == "open" and count_missing(connection, bundle_id) == 0:
        state = "received"
        connection.execute(update(bundle).where(bundle.c.id == bundle_id).values(state=state))
    return _bundle_of(locked, state)


def _bundle_of(row: Row[tuple[object, ...]], state: str | None = None) -> Bundle:
    return Bundle(row.id, row.program_id, row.name, state or row.state, row.content_sha256)


def count_missing(connection: Connection, bundle_id: uuid.UUID) -> int:
    """Return how many members have not arrived."""
    query = select(func.count()).where(bundle_member.c.bundle_id == bundle_id, bundle_member.c.raw_file_id.is_(None))
    return int(connection.execute(query).scalar_one())


def find(connection: Connection, caller: Caller, bundle_id: uuid.UUID, *actions: Action) -> Bundle:
    """Return a bundle of a program in which one of ``actions`` is allowed; raises :class:`RowNotFound`."""
    allowed = or_(*(caller.restriction(action, bundle.c.program_id) for action in actions))
    row = connection.execute(select(bundle).where(bundle.c.id == bundle_id, allowed)).one_or_none()
    if row is None:
        raise RowNotFound("bundle", bundle_id)
    return _bundle_of(row)


def reread(connection: Connection, bundle_id: uuid.UUID) -> Bundle:
    """Return the bundle as it is now, for the request that has found an upload of it."""
    return _bundle_of(connection.execute(select(bundle).where(bundle.c.id == bundle_id)).one())


def list_missing(connection: Connection, bundle_id: uuid.UUID) -> list[str]:
    """Return the paths of the members that have not arrived, sorted."""
    query = select(bundle_member.c.path).where(
        bundle_member.c.bundle_id == bundle_id, bundle_member.c.raw_file_id.is_(None)
    )
    return sorted(connection.execute(query).scalars())


def list_members(connection: Connection, bundle_id: uuid.UUID) -> list[dict[str, object]]:
    """Return every member with the original it has become, sorted by path."""
    query = select(
        bundle_member.c.path, bundle_member.c.sha256, bundle_member.c.size_bytes, bundle_member.c.raw_file_id
    ).where(bundle_member.c.bundle_id == bundle_id)
    rows = connection.execute(query.order_by(bundle_member.c.path.collate("C"))).mappings()
    return [{str(name): value for name, value in row.items()} for row in rows]


def find_member(connection: Connection, bundle_id: uuid.UUID, path: str) -> Member:
    """Return the declared member at ``path``; raises :class:`RowNotFound`."""
    query = select(bundle_member.c.path, bundle_member.c.sha256, bundle_member.c.size_bytes)
    row = connection.execute(
        query.where(bundle_member.c.bundle_id == bundle_id, bundle_member.c.path == path)
    ).one_or_none()
    if row is None:
        raise RowNotFound("member", path)
    return Member(row.path, row.sha256, row.size_bytes)
