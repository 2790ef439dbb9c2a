"""What is hashed and ready to be sent; can be kept as text, so that a restart need not hash again."""

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from services.uploader.content import Content, Signature
from services.uploader.errors import show
from services.uploader.folder import Ignoring, list_members

Tell = Callable[[str, int, int], None]


@dataclass(frozen=True)
class Member:
    """A file with its sha256; ``path`` is its path in the bundle, or its name when it stands alone."""

    path: str
    content: Content
    sha256: str


@dataclass(frozen=True)
class Prepared:
    """A file (one member) or a bundle, with the sha256 of its content.

    The sha256 of a bundle is that of its sorted (path, sha256) list, as the service counts it.
    """

    name: str
    is_bundle: bool
    members: tuple[Member, ...]
    sha256: str

    @property
    def size_bytes(self) -> int:
        """Bytes of all members."""
        return sum(member.content.size for member in self.members)

    def signature(self) -> str:
        """Return what tells this state of the files from another, as :func:`sign` does."""
        signatures = {member.path: member.content.signature for member in self.members}
        return sign_bundle(signatures) if self.is_bundle else sign(self.members[0].content.signature)

    def to_text(self) -> str:
        """Return it as text, without the folder it lies in."""
        rows = [
            [each.path, each.sha256, each.content.size, each.content.signature.mtime_ns, each.content.signature.inode]
            for each in self.members
        ]
        return json.dumps({"name": self.name, "bundle": self.is_bundle, "sha256": self.sha256, "members": rows})

    @classmethod
    def from_text(cls, text: str, paths: Callable[[str], Path]) -> "Prepared":
        """Return what :meth:`to_text` told; ``paths`` gives the file of a member's path."""
        document: dict[str, Any] = json.loads(text)
        members = tuple(
            Member(path, Content(paths(path), Signature(size, mtime_ns, inode)), sha256)
            for path, sha256, size, mtime_ns, inode in document["members"]
        )
        return cls(document["name"], document["bundle"], members, document["sha256"])


def sign(signature: Signature) -> str:
    """Return a file's signature as text."""
    return f"{signature.size}:{signature.mtime_ns}:{signature.inode}"


def sign_bundle(signatures: Mapping[str, Signature]) -> str:
    """Return one signature for the files of a bundle, by their paths in it."""
    rows = [[path, sign(signature)] for path, signature in sorted(signatures.items())]
    return "bundle:" + hashlib.sha256(json.dumps(rows).encode()).hexdigest()


def digest_bundle(pairs: Iterable[tuple[str, str]]) -> str:
    """Return the sha256 of a bundle's (path, sha256) pairs."""
    rows = sorted([path, sha256] for path, sha256 in pairs)
    return hashlib.sha256(json.dumps(rows, ensure_ascii=False, separators=(",", ":")).encode()).hexdigest()


def prepare_file(path: Path, tell: Tell | None = None) -> Prepared:
    """Hash a file; ``tell`` hears name, bytes done and bytes in all.

    Raises:
        BadInput: there is no such file.
        FileChanged: it changed while it was read.
    """
    content = Content(path)
    name = show(path.name)
    sha256 = _hash(name, content, tell)
    return Prepared(name, False, (Member(name, content, sha256),), sha256)


def prepare_bundle(folder: Path, ignoring: Ignoring, tell: Tell | None = None) -> Prepared:
    """Hash the files of a bundle; raises as :func:`prepare_file`."""
    contents = {show(path): Content(file) for path, file in list_members(folder, ignoring).items()}
    members = tuple(Member(path, content, _hash(path, content, tell)) for path, content in contents.items())
    sha256 = digest_bundle((member.path, member.sha256) for member in members)
    return Prepared(show(folder.resolve().name) or "bundle", True, members, sha256)


def _hash(name: str, content: Content, tell: Tell | None) -> str:
    if tell is None:
        return content.digest()
    return content.digest(lambda done: tell(name, done, content.size))
