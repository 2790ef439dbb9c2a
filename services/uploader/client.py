"""The uploader's client: a file or a bundle, sent through whatever cuts there are."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, TypeVar

import httpx

from services.uploader.content import Content
from services.uploader.errors import ServiceUnreachable, show
from services.uploader.exchange import Exchange, Transient, read_object
from services.uploader.folder import Ignoring, list_members
from services.uploader.observer import Observer
from services.uploader.transfer import Announcement, Patience, Received, Timing, Transfer, Unfinished, UnfinishedHere

BUNDLES = "/api/v1/bundles"
MAX_ROUNDS = 3
MAX_NAME_CHARACTERS = 200

T = TypeVar("T")


@dataclass(frozen=True)
class Outcome:
    """What a file or bundle has become.

    ``known``: the service had every byte, none were sent. ``job_id``: its ingest job; ``raw_file_id`` of a bundle is
    ``None``, ``bundle_id`` of a file is ``None``. ``sent_bytes`` counts what this call sent.
    """

    name: str
    sha256: str
    size_bytes: int
    known: bool
    sent_bytes: int
    raw_file_id: str | None
    bundle_id: str | None
    job_id: str | None

    def to_document(self) -> dict[str, Any]:
        """Return it as JSON tells it."""
        return dict(vars(self))


@dataclass(frozen=True)
class _Member:
    """A file of a bundle, hashed."""

    path: str
    content: Content
    sha256: str


class UploadClient:
    """Sends files to the service at ``url`` with ``key``; to be used in a ``with`` block.

    Args:
        url: the service's address, without ``/api/v1``.
        key: an API key that may upload.
        timing: how often a step is tried without progress, how long between tries, and what sleeps.
        unfinished: where unfinished uploads are remembered; as long as the client lives when left out.
        observer: hears how it goes.
        transport: stands in for the network, in tests.

    Raises:
        ValueError: ``url`` or ``key`` cannot be one.
    """

    def __init__(
        self,
        url: str,
        key: str,
        *,
        timing: Timing | None = None,
        unfinished: Unfinished | None = None,
        observer: Observer | None = None,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        self._exchange = Exchange(url, key, transport)
        self._timing = timing or Timing()
        self._unfinished: Unfinished = unfinished or UnfinishedHere()
        self._observer = observer or Observer()

    def __enter__(self) -> "UploadClient":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._exchange.close()

    def upload_file(self, path: Path, program: str | None = None) -> Outcome:
        """Send one file and return what it has become.

        ``program`` may be left out with an instrument's key.

        Raises:
            BadInput, FileChanged: there is no such file, or it changed meanwhile.
            Refused, Blocked: the service will not have it, or not with this key.
            ServiceUnreachable: the service did not answer as often as it was tried.
        """
        content = Content(Path(path))
        return self.send_file(content, self.hash(content), program)

    def hash(self, content: Content) -> str:
        """Return the sha256 of ``content``; raises as :meth:`upload_file`."""
        name = show(content.path.name)
        return content.digest(lambda done: self._observer.hashing(name, done, content.size))

    def send_file(self, content: Content, sha256: str, program: str | None = None) -> Outcome:
        """Send a file that is hashed already; returns and raises as :meth:`upload_file`."""
        pairs = {"filename": show(content.path.name)}
        if program is not None:
            pairs["program"] = program
        received, sent_bytes = self._transfer(content, Announcement(sha256, pairs))
        return Outcome(
            name=pairs["filename"],
            sha256=sha256,
            size_bytes=content.size,
            known=received.known,
            sent_bytes=sent_bytes,
            raw_file_id=received.raw_file_id,
            bundle_id=None,
            job_id=received.job_id,
        )

    def upload_bundle(self, folder: Path, program: str | None = None, ignoring: Ignoring | None = None) -> Outcome:
        """Send the files of a folder as one bundle and return what it has become.

        ``ignoring`` says which files do not belong to it. Raises as :meth:`upload_file`.
        """
        folder = Path(folder)
        contents = {path: Content(file) for path, file in list_members(folder, ignoring or Ignoring()).items()}
        members = [_Member(show(path), content, self.hash(content)) for path, content in contents.items()]
        declaration: dict[str, Any] = {
            "name": show(folder.resolve().name)[:MAX_NAME_CHARACTERS] or "bundle",
            "members": [{"path": m.path, "sha256": m.sha256, "size_bytes": m.content.size} for m in members],
        }
        if program is not None:
            declaration["program"] = program
        return self._send_bundle(declaration, {member.path: member for member in members}, program)

    def _send_bundle(self, declaration: dict[str, Any], members: dict[str, _Member], program: str | None) -> Outcome:
        name = str(declaration["name"])
        sent_bytes = 0
        known = True
        for _ in range(MAX_ROUNDS):
            bundle = self._patiently(name, lambda: self._declare(declaration))
            missing = [str(path) for path in bundle["missing"]]
            if not missing:
                return Outcome(
                    name=name,
                    sha256=str(bundle["content_sha256"]),
                    size_bytes=sum(member.content.size for member in members.values()),
                    known=known,
                    sent_bytes=sent_bytes,
                    raw_file_id=None,
                    bundle_id=str(bundle["id"]),
                    job_id=str(bundle["job_id"]) if bundle.get("job_id") else None,
                )
            known = False
            for path in missing:
                if path not in members:
                    raise ServiceUnreachable(f"the service asks for {path!r}, which was not declared")
                sent_bytes += self._send_member(str(bundle["id"]), members[path], program)
        raise ServiceUnreachable(f"the service still misses {missing[0]!r} after {MAX_ROUNDS} rounds")

    def _send_member(self, bundle_id: str, member: _Member, program: str | None) -> int:
        pairs = {"filename": member.path.rsplit("/", 1)[-1], "bundle": bundle_id, "path": member.path}
        if program is not None:
            pairs["program"] = program
        return self._transfer(member.content, Announcement(member.sha256, pairs))[1]

    def _declare(self, declaration: dict[str, Any]) -> dict[str, Any]:
        document = read_object(self._exchange.ask("POST", BUNDLES, json=declaration), "id", "missing", "content_sha256")
        if not isinstance(document["missing"], list):
            raise Transient("something that is not Faultlight answered")
        return dict(document)

    def _transfer(self, content: Content, announcement: Announcement) -> tuple[Received, int]:
        key = json.dumps([self._exchange.url, announcement.sha256, dict(sorted(announcement.pairs.items()))])
        unfinished = (self._unfinished, key)
        transfer = Transfer(self._exchange, content, announcement, unfinished, self._timing, self._observer)
        return transfer.run(), transfer.sent_bytes

    def _patiently(self, name: str, step: Callable[[], T]) -> T:
        patience = Patience(self._timing, self._observer, name)
        while True:
            try:
                return step()
            except Transient as failure:
                patience.wait(failure)
