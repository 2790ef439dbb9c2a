"""A small file in the request that begins its upload: taken whole, verified, and stored in one transaction.

Nothing is staged and no state between is written: the object first, then the rows. Whatever keeps a file from being
taken so (a cut, a wrong checksum, an upload begun before) leaves the request to the ordinary way, with what has been
read of its body, so that it is answered as ever.
"""

import errno
import hashlib
import hmac
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass

import structlog
from starlette.requests import ClientDisconnect, Request

from db.blobs import raw_key
from db.repositories import audit, quota, uploads
from db.repositories.access import Caller
from db.repositories.uploads import NewOriginal, NewUpload, Upload
from db.unit_of_work import begin
from services.api.state import ApiState
from services.api.uploads import protocol
from services.api.uploads.completion import Received, Requester, place_original
from services.problems import Problem

log = structlog.get_logger(__name__)

AT_ONCE_BYTES = 1 << 18
"""Larger files are staged, so that a cut costs no more than this and memory per request stays small."""


@dataclass(frozen=True)
class Body:
    """What has been read of a request's body.

    Attributes:
        data: the bytes so far.
        whole: whether they are all, and as many as the upload has.
        cut: whether the client went away after them.
    """

    data: bytes
    whole: bool
    cut: bool

    async def replay(self, request: Request) -> AsyncIterator[bytes]:
        """Yield the body as if nothing of it had been read."""
        if self.data:
            yield self.data
        if self.cut:
            raise ClientDisconnect
        if not self.whole:
            async for piece in request.stream():
                yield piece


NOTHING_READ = Body(b"", whole=False, cut=False)


async def read_body(request: Request) -> Body:
    """Read the body when the request may hold a small file whole and verified; else none of it."""
    length = _length_at_once(request.headers)
    if length is None:
        return NOTHING_READ
    pieces: list[bytes] = []
    try:
        async for piece in request.stream():
            pieces.append(piece)
    except ClientDisconnect:
        return Body(b"".join(pieces), whole=False, cut=True)
    data = b"".join(pieces)
    return Body(data, whole=len(data) == length, cut=False)


def _length_at_once(headers: Mapping[str, str]) -> int | None:
    """Return how long the file is, if the request says that it brings all of it, small and with a checksum."""
    sizes = (headers.get("upload-length", ""), headers.get("content-length", ""))
    carries = headers.get("content-type", "").startswith(protocol.CONTENT_TYPE) and "upload-checksum" in headers
    if not carries or len(set(sizes)) != 1 or not sizes[0].isdecimal() or len(sizes[0]) > 8:
        return None
    length = int(sizes[0])
    return length if 0 < length <= AT_ONCE_BYTES else None


@dataclass(frozen=True)
class WholeFile:
    """The verified bytes of a file."""

    data: bytes
    sha256: str


def verify(headers: Mapping[str, str], body: Body, declared_sha256: str | None) -> WholeFile | None:
    """Return the file when its bytes are what the request says of them, else ``None``."""
    checksum = protocol.parse_checksum(headers) if body.whole else None
    if checksum is None:
        return None
    digest = hashlib.sha256(body.data)
    found = checksum.start()
    found.update(body.data)
    if not hmac.compare_digest(found.digest(), checksum.digest) or declared_sha256 not in {None, digest.hexdigest()}:
        return None
    return WholeFile(body.data, digest.hexdigest())


def store(
    state: ApiState, caller: Caller, request_id: str, new: NewUpload, file: WholeFile
) -> tuple[Upload, Received | None]:
    """Store the file and return its complete upload; or an unfinished one that was begun with the same creation key.

    Raises the problems ``quota-exceeded`` and ``insufficient-storage``.
    """
    key = raw_key(new.program_id, file.sha256)
    try:
        state.blobs.put_bytes(key, file.data)
    except OSError as error:
        if error.errno not in {errno.ENOSPC, errno.EDQUOT}:
            raise
        raise Problem("insufficient-storage", "the disk is full", headers={"Retry-After": "60"}) from error
    with begin(state.engine) as unit:
        quota.lock_program(unit.connection, new.program_id)
        begun = uploads.find_begun(unit.connection, caller, new)
        if begun is not None:
            return begun, None
        require_quota(state, quota.claims(unit.connection, new.program_id), new.length_bytes)
        values = NewOriginal(new.program_id, caller.instrument_id, new.filename, new.length_bytes, file.sha256)
        original, created = uploads.store_original(unit.connection, values, key)
        upload = uploads.declare(unit.connection, caller, new, complete_as=original.id)
        job_id = place_original(state, unit, Requester(caller.actor, request_id), original, new.bundle_id)
        after = {"sha256": file.sha256, "size_bytes": new.length_bytes, "filename": new.filename, "new": created}
        entry = audit.AuditEntry("file.received", "raw_file", original.id, new.program_id, after=after)
        audit.record(unit.connection, caller.actor, request_id, entry)
    log.info("file_received", upload_id=str(upload.id), raw_file_id=str(original.id), size=new.length_bytes)
    return upload, Received(original.id, job_id)


def require_quota(state: ApiState, claims: quota.Claims, length_bytes: int) -> None:
    """Raise the problem ``quota-exceeded`` when the program has no room for so many bytes more."""
    allowed = state.settings.program_quota_bytes
    if claims.program_bytes + length_bytes > allowed:
        detail = f"{claims.program_bytes} of {allowed} bytes of the program's quota are taken"
        raise Problem("quota-exceeded", detail)
