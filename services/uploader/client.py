"""The uploader's client: a file or a bundle, sent through whatever cuts there are."""

import hashlib
import json
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, TypeVar

import httpx

from services.uploader.errors import Blocked, Refused, ServiceUnreachable
from services.uploader.exchange import Exchange, Gone, Transient, read_object
from services.uploader.folder import Ignoring
from services.uploader.observer import Observer
from services.uploader.prepared import Member, Prepared, prepare_bundle, prepare_file
from services.uploader.transfer import (
    UPLOADS,
    Announcement,
    Patience,
    Received,
    Timing,
    Transfer,
    Unfinished,
    UnfinishedHere,
)

BUNDLES = "/api/v1/bundles"
HEALTH = "/api/v1/instruments/self/health"
MAX_ROUNDS = 3
MAX_NAME_CHARACTERS = 200

T = TypeVar("T")


@dataclass(frozen=True)
class Outcome:
    """What a file or bundle has become.

    ``known``: the service had every byte, none were taken. ``job_id``: its ingest job; ``raw_file_id`` of a bundle is
    ``None``, ``bundle_id`` of a file is ``None``. ``sent_bytes`` counts what the service took of this call.
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
        self._timing = timing or Timing()
        self._exchange = Exchange(url, key, transport, self._timing.bucket)
        self._unfinished: Unfinished = unfinished or UnfinishedHere()
        self._observer = observer or Observer()
        self._last_was_known = False

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
        return self.send(prepare_file(Path(path), self._observer.hashing), program)

    def upload_bundle(self, folder: Path, program: str | None = None, ignoring: Ignoring | None = None) -> Outcome:
        """Send the files of a folder as one bundle and return what it has become.

        ``ignoring`` says which files do not belong to it. Raises as :meth:`upload_file`.
        """
        return self.send(prepare_bundle(Path(folder), ignoring or Ignoring(), self._observer.hashing), program)

    def send(self, prepared: Prepared, program: str | None = None) -> Outcome:
        """Send what is hashed already; returns and raises as :meth:`upload_file`."""
        if prepared.is_bundle:
            return self._send_bundle(prepared, program)
        member = prepared.members[0]
        received, sent_bytes = self._transfer(member, {"filename": member.path}, program)
        return Outcome(
            name=prepared.name,
            sha256=prepared.sha256,
            size_bytes=prepared.size_bytes,
            known=received.known,
            sent_bytes=sent_bytes,
            raw_file_id=received.raw_file_id,
            bundle_id=None,
            job_id=received.job_id,
        )

    def _send_bundle(self, prepared: Prepared, program: str | None) -> Outcome:
        members = {member.path: member for member in prepared.members}
        sent_bytes = 0
        known = True
        for _ in range(MAX_ROUNDS):
            bundle = self._patiently(prepared.name, lambda: self._declare(prepared, program))
            missing = [str(path) for path in bundle["missing"]]
            if not missing:
                self._forget_all(prepared, str(bundle["id"]), program)
                return Outcome(
                    name=prepared.name,
                    sha256=str(bundle["content_sha256"]),
                    size_bytes=prepared.size_bytes,
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
                pairs = _pairs_of_member(str(bundle["id"]), path)
                sent_bytes += self._transfer(members[path], pairs, program)[1]
        raise ServiceUnreachable(f"the service still misses {missing[0]!r} after {MAX_ROUNDS} rounds")

    def _declare(self, prepared: Prepared, program: str | None) -> dict[str, Any]:
        """Declare the bundle, or ask how it stands when it is known."""
        declaration: dict[str, Any] = {
            "name": prepared.name[:MAX_NAME_CHARACTERS],
            "members": [
                {"path": each.path, "sha256": each.sha256, "size_bytes": each.content.size} for each in prepared.members
            ],
        }
        if program is not None:
            declaration["program"] = program
        answer = self._exchange.ask("POST", BUNDLES, json=declaration)
        document = read_object(answer, "id", "missing", "content_sha256")
        if not isinstance(document["missing"], list):
            raise Transient("something that is not Faultlight answered")
        return dict(document)

    def _transfer(self, member: Member, pairs: dict[str, str], program: str | None) -> tuple[Received, int]:
        if program is not None:
            pairs = {**pairs, "program": program}
        key = self._key(member, pairs)
        creation_key = hashlib.sha256(f"{self._unfinished.agent_id} {key}".encode()).hexdigest()
        # What is known comes in runs (a folder that was copied, a journal that was lost): ask first then.
        announcement = Announcement(member.sha256, pairs, creation_key, with_bytes=not self._last_was_known)
        unfinished = (self._unfinished, key)
        transfer = Transfer(self._exchange, member.content, announcement, unfinished, self._timing, self._observer)
        received = transfer.run()
        self._last_was_known = received.known
        return received, transfer.sent_bytes

    def _key(self, member: Member, pairs: dict[str, str]) -> str:
        """Return what the upload of ``member`` is remembered by."""
        return json.dumps([self._exchange.url, member.sha256, dict(sorted(pairs.items()))])

    def _forget_all(self, prepared: Prepared, bundle_id: str, program: str | None) -> None:
        """Forget uploads of a complete bundle: a process that died may have finished one without noting it."""
        for member in prepared.members:
            pairs = _pairs_of_member(bundle_id, member.path) | ({"program": program} if program is not None else {})
            key = self._key(member, pairs)
            if self._unfinished.recall(key) is not None:
                self._unfinished.forget(key)

    def check_ready(self) -> None:
        """Return when the service says that it can serve.

        Raises:
            ServiceUnreachable: it does not.
        """
        try:
            read_object(self._exchange.ask("GET", "/readyz"), "status")
        except (Transient, Blocked, Refused) as error:
            raise ServiceUnreachable(str(error)) from error

    def report_health(self, report: Mapping[str, Any]) -> None:
        """Tell the service how this agent is doing; tried once.

        Raises:
            Blocked, Refused: it does not want to know, or not with this key.
            ServiceUnreachable: it cannot be told.
        """
        try:
            self._exchange.ask("PUT", HEALTH, json=dict(report))
        except Transient as error:
            raise ServiceUnreachable(str(error), error.retry_after_s) from error

    def check_key(self) -> None:
        """Return when the service accepts the key for uploads.

        Raises:
            Blocked: it does not.
            ServiceUnreachable: it cannot be asked.
        """
        try:
            self._exchange.ask("GET", f"{UPLOADS}/{uuid.UUID(int=0)}", gone=True)
        except Gone:
            return
        except (Transient, Refused) as error:
            raise ServiceUnreachable(str(error)) from error

    def _patiently(self, name: str, step: Callable[[], T]) -> T:
        patience = Patience(self._timing, self._observer, name)
        while True:
            try:
                return step()
            except Transient as failure:
                patience.wait(failure)


def _pairs_of_member(bundle_id: str, path: str) -> dict[str, str]:
    return {"filename": path.rsplit("/", 1)[-1], "bundle": bundle_id, "path": path}
