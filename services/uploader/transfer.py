"""One file on its way by tus 1.0: begun once, continued after every cut, begun anew when the service dropped it."""

import base64
import hashlib
import re
import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

import httpx

from services.uploader.backoff import Backoff
from services.uploader.bandwidth import TokenBucket
from services.uploader.content import Content
from services.uploader.errors import FileChanged, ServiceUnreachable, UploadFailed, show
from services.uploader.exchange import Exchange, Gone, Transient, read_object
from services.uploader.observer import Observer

UPLOADS = "/api/v1/uploads"
TUS = {"Tus-Resumable": "1.0.0"}
CHUNK_TYPE = "application/offset+octet-stream"
MAX_RESTARTS = 3
FINISH_S = 600.0  # the service hashes and stores a large file before it answers the last chunk
MEBIBYTE = 1 << 20
SMALL_BYTES = 1 << 16
"""A file of no more bytes goes in the request that begins its upload: one request where there were two."""
_UPLOAD_ID = re.compile(r"[0-9a-fA-F-]{32,36}")


class Unfinished(Protocol):
    """Remembers where unfinished uploads are, so that another process can continue them.

    ``agent_id`` is the same as long as it remembers. Creation keys are made of it, so that a creation whose answer was
    lost, or not remembered, is repeated and not another one.
    """

    @property
    def agent_id(self) -> str:
        """Who remembers."""

    def recall(self, key: str) -> str | None:
        """Return the id of the unfinished upload of ``key``."""

    def remember(self, key: str, upload_id: str) -> None:
        """Keep it."""

    def forget(self, key: str) -> None:
        """Drop it."""


class UnfinishedHere:
    """Remembers as long as the process lives."""

    def __init__(self) -> None:
        self.agent_id = str(uuid.uuid4())
        self._ids: dict[str, str] = {}

    def recall(self, key: str) -> str | None:
        """Return the id of the unfinished upload of ``key``."""
        return self._ids.get(key)

    def remember(self, key: str, upload_id: str) -> None:
        """Keep it."""
        self._ids[key] = upload_id

    def forget(self, key: str) -> None:
        """Drop it."""
        self._ids.pop(key, None)


@dataclass(frozen=True)
class Timing:
    """How often a step is tried without any progress, what time is, and what caps the bytes that are sent, if any."""

    tries: int = 8
    backoff: Backoff = field(default_factory=Backoff)
    sleep: Callable[[float], None] = time.sleep
    clock: Callable[[], float] = time.monotonic
    bucket: TokenBucket | None = None


class Patience:
    """Counts failures in a row; waits after each, gives up after ``timing.tries``."""

    def __init__(self, timing: Timing, observer: Observer, name: str) -> None:
        self._timing = timing
        self._observer = observer
        self._name = name
        self._failures = 0

    def progressed(self) -> None:
        """Start to count again."""
        self._failures = 0

    def wait(self, failure: Transient) -> None:
        """Wait before the next try.

        Raises:
            ServiceUnreachable: it was the last one.
        """
        self._failures += 1
        if self._failures >= self._timing.tries:
            tries = "once" if self._failures == 1 else f"{self._failures} times"
            raise ServiceUnreachable(f"{failure} (tried {tries})", failure.retry_after_s) from failure
        wait_s = self._timing.backoff.wait_s(self._failures, failure.retry_after_s)
        self._observer.waiting(self._name, wait_s, str(failure))
        self._timing.sleep(wait_s)


class ChunkSize:
    """Bytes per request: a cut costs at most one chunk, so a line that cuts often gets small ones.

    So does one whose ``rate_bytes_s`` is capped: a chunk takes half a minute at most.
    """

    smallest, first, largest = MEBIBYTE // 4, 4 * MEBIBYTE, 16 * MEBIBYTE
    quick_s, slow_s = 2.0, 20.0

    def __init__(self, rate_bytes_s: float | None = None) -> None:
        self.value = self.first
        if rate_bytes_s is not None:
            longest = max(1, int(rate_bytes_s * 1.5 * self.slow_s))
            self.smallest, self.largest = min(self.smallest, longest), min(self.largest, longest)
            self.value = min(self.first, max(self.smallest, longest // 3))

    def arrived(self, seconds: float) -> None:
        """Learn from a chunk that took ``seconds``."""
        if seconds < self.quick_s:
            self.value = min(self.largest, self.value * 2)
        elif seconds > self.slow_s:
            self.cut()

    def cut(self) -> None:
        """Learn from a chunk that was lost."""
        self.value = max(self.smallest, self.value // 2)


@dataclass(frozen=True)
class Received:
    """What the file has become; ``known`` when the service had the bytes and none were sent."""

    raw_file_id: str
    job_id: str | None
    known: bool = False


@dataclass(frozen=True)
class Announcement:
    """What the service is told about a file: its sha256, and the pairs of ``Upload-Metadata`` beside it.

    ``creation_key`` makes the request that begins the upload repeatable. ``with_bytes``: a small file goes in it.
    """

    sha256: str
    pairs: Mapping[str, str]
    creation_key: str
    with_bytes: bool = True

    @property
    def name(self) -> str:
        """How the file is called in messages."""
        return self.pairs.get("path") or self.pairs["filename"]

    def encode(self) -> str:
        """Return the value of ``Upload-Metadata``."""
        pairs = {**self.pairs, "sha256": self.sha256, "creation-key": self.creation_key}
        return ",".join(f"{key} {base64.b64encode(show(value).encode()).decode()}" for key, value in pairs.items())


class Transfer:
    """Sends ``content`` as announced; :meth:`run` goes on until it has arrived or will not.

    ``key`` is what ``unfinished`` remembers it by.
    """

    def __init__(
        self,
        exchange: Exchange,
        content: Content,
        announcement: Announcement,
        unfinished: tuple[Unfinished, str],
        timing: Timing,
        observer: Observer,
    ) -> None:
        self._exchange = exchange
        self._content = content
        self._announcement = announcement
        self._unfinished, self._key = unfinished
        self._timing = timing
        self._observer = observer
        self._patience = Patience(timing, observer, announcement.name)
        self._chunk = ChunkSize(timing.bucket.rate_bytes_s if timing.bucket is not None else None)
        self._upload_id: str | None = self._unfinished.recall(self._key)
        self._offset: int | None = None
        self._furthest = 0
        self._restarts = 0
        self._asked = False
        self.sent_bytes = 0

    def run(self) -> Received:
        """Return what the file has become.

        Raises:
            ServiceUnreachable, Refused, Blocked: the service cannot or will not; what has arrived is kept.
            FileChanged, BadInput: the file is not any more what was announced; what has arrived is dropped.
        """
        while True:
            try:
                received = self._step()
            except Gone as gone:
                self._restart(str(gone))
            except Transient as failure:
                if failure.name == "checksum-mismatch":
                    self._check_content()
                self._offset = None
                self._patience.wait(failure)
            except UploadFailed as failure:
                if isinstance(failure, FileChanged):
                    self._terminate()
                raise
            else:
                if received is not None:
                    self._unfinished.forget(self._key)
                    return received

    def _step(self) -> Received | None:
        if self._upload_id is None:
            return self._begin()
        if self._offset is None:
            return self._ask_offset(self._upload_id)
        return self._send_chunk(self._upload_id, self._offset)

    def _begin(self) -> Received | None:
        self._content.check()
        headers = {
            **TUS,
            "Upload-Length": str(self._content.size),
            "Upload-Metadata": self._announcement.encode(),
        }
        data = b""
        if self._announcement.with_bytes and 0 < self._content.size <= SMALL_BYTES:
            data = self._content.read(0, self._content.size)
            headers |= {"Content-Type": CHUNK_TYPE, "Upload-Checksum": _checksum(data)}
        self._asked = True
        answer = self._exchange.ask("POST", UPLOADS, headers=headers, content=data or None)
        if answer.status_code == httpx.codes.OK:
            document = read_object(answer, "raw_file_id", "known")
            job_id = document.get("job_id")
            return Received(str(document["raw_file_id"]), str(job_id) if job_id else None, known=True)
        upload_id = answer.headers.get("location", "").rstrip("/").rsplit("/", 1)[-1]
        if answer.status_code != httpx.codes.CREATED or not _UPLOAD_ID.fullmatch(upload_id):
            raise Transient(f"something that is not Faultlight answered {answer.status_code}")
        self._upload_id = upload_id
        if answer.headers.get("upload-offset") != str(self._content.size):
            self._unfinished.remember(self._key, upload_id)
        elif data:
            self.sent_bytes += len(data)
        return self._read_progress(answer)

    def _ask_offset(self, upload_id: str) -> Received | None:
        answer = self._exchange.ask("HEAD", f"{UPLOADS}/{upload_id}", gone=True, headers=TUS)
        if answer.headers.get("upload-length") != str(self._content.size):
            raise Gone("the service has another file under this upload")
        return self._read_progress(answer)

    def _send_chunk(self, upload_id: str, offset: int) -> Received | None:
        data = self._content.read(offset, min(self._chunk.value, self._content.size - offset))
        last = offset + len(data) == self._content.size
        headers = {
            **TUS,
            "Content-Type": CHUNK_TYPE,
            "Upload-Offset": str(offset),
            "Upload-Checksum": _checksum(data),
        }
        started = self._timing.clock()
        read_s = FINISH_S if last else None
        try:
            answer = self._exchange.ask(
                "PATCH", f"{UPLOADS}/{upload_id}", gone=True, read_s=read_s, content=data, headers=headers
            )
        except Transient:
            self._chunk.cut()
            raise
        self._chunk.arrived(self._timing.clock() - started)
        self.sent_bytes += len(data)
        return self._read_progress(answer)

    def _read_progress(self, answer: httpx.Response) -> Received | None:
        """Take the offset from an answer; returns what the file has become when it is complete."""
        text = answer.headers.get("upload-offset", "")
        if not text.isdecimal() or int(text) > self._content.size:
            raise Transient(f"something that is not Faultlight answered {answer.status_code} without a true offset")
        self._offset = int(text)
        self._observer.sending(self._announcement.name, self._offset, self._content.size)
        if self._offset > self._furthest:
            self._furthest = self._offset
            self._patience.progressed()
        raw_file_id = answer.headers.get("faultlight-raw-file")
        if raw_file_id is not None:
            return Received(raw_file_id, answer.headers.get("faultlight-job"))
        if self._offset == self._content.size:
            self._offset = None
            raise Transient("the service has every byte but has not stored the file yet")
        return None

    def _restart(self, reason: str) -> None:
        """Begin anew: the upload has expired, or was dropped."""
        self._unfinished.forget(self._key)
        self._upload_id = self._offset = None
        self._furthest = 0
        self._restarts += 1
        if self._restarts > MAX_RESTARTS:
            raise ServiceUnreachable(f"the service dropped the upload {self._restarts} times: {reason}")

    def _check_content(self) -> None:
        """Tell a file that changed under an unchanged modification time from bytes that were damaged on the way."""
        try:
            found = self._content.digest()
            if found != self._announcement.sha256:
                raise FileChanged(self._content.path, f"sha256 {self._announcement.sha256}", f"sha256 {found}")
        except FileChanged:
            self._terminate()
            raise

    def _terminate(self) -> None:
        """Drop what has arrived, so that it does not count against the quota; when that fails it expires."""
        self._unfinished.forget(self._key)
        try:
            if self._upload_id is None and self._asked:
                self._upload_id = self._ask_id()
            if self._upload_id is not None:
                self._exchange.ask("DELETE", f"{UPLOADS}/{self._upload_id}", gone=True, headers=TUS)
        except (Transient, Gone, UploadFailed):
            self._upload_id = None

    def _ask_id(self) -> str | None:
        """Return the id of the upload that a creation without an answer may have begun."""
        headers = {**TUS, "Upload-Length": str(self._content.size), "Upload-Metadata": self._announcement.encode()}
        answer = self._exchange.ask("POST", UPLOADS, headers=headers)
        upload_id = answer.headers.get("location", "").rstrip("/").rsplit("/", 1)[-1]
        return upload_id if _UPLOAD_ID.fullmatch(upload_id) else None


def _checksum(data: bytes) -> str:
    """Return the value of ``Upload-Checksum``."""
    return f"sha256 {base64.b64encode(hashlib.sha256(data).digest()).decode()}"
