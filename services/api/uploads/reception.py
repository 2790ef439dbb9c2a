"""Receiving the bytes of an upload: one request at a time, streaming, and true about the offset after any cut."""

import asyncio
import errno
import hmac
import uuid
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any, TypeVar

import anyio
from starlette.requests import ClientDisconnect

from db.blobs import raw_key
from db.repositories import uploads
from db.repositories.access import RowNotFound
from db.repositories.uploads import Upload
from db.unit_of_work import begin
from services.api.state import ApiState
from services.api.uploads.completion import Received, complete, describe_completed
from services.api.uploads.protocol import Checksum
from services.api.uploads.staging import StagingFile
from services.problems import Problem

LOCK_WAIT_S = 10.0
_BUFFER_BYTES = 1 << 20
_INTERRUPT_POLL_S = 0.2

T = TypeVar("T")


@dataclass(frozen=True)
class Chunk:
    """What a PATCH request says about its body."""

    offset: int
    checksum: Checksum | None
    content_length: int | None


@dataclass(frozen=True)
class Progress:
    """Where an upload stands; ``received`` when it is complete."""

    upload: Upload
    offset: int
    received: Received | None


async def run_file_work(state: ApiState, work: Callable[..., T], *arguments: Any) -> T:
    """Run blocking work on files in a thread of its own kind, so that it cannot starve the other requests."""
    return await anyio.to_thread.run_sync(partial(work, *arguments), limiter=state.file_threads)


def settle(state: ApiState, upload_id: uuid.UUID, held: StagingFile) -> Progress:
    """Return where the upload stands, after discarding a chunk whose checksum was never verified.

    Needs the lock. Raises :class:`RowNotFound`, or the problem ``upload-gone`` when it has expired.
    """
    with begin(state.engine) as unit:
        upload = uploads.reread(unit.connection, upload_id)
        if upload is None or upload.completed_at is not None:
            held.drop()
            if upload is None:
                raise RowNotFound("upload", upload_id)
            return Progress(upload, upload.length_bytes, describe_completed(unit.connection, upload))
        if upload.expires_at <= datetime.now(UTC):
            raise Problem("upload-gone", "the upload has expired; begin a new one")
        if upload.checksum_pending:
            held.truncate(min(held.size(), upload.verified_offset_bytes))
            uploads.end_chunk(unit.connection, upload_id, held.size(), upload.expires_at)
    if upload.length_bytes and held.size() == 0 and upload.digest is not None:
        moved = state.blobs.exists(raw_key(upload.program_id, upload.digest))
        return Progress(upload, upload.length_bytes if moved else 0, None)
    return Progress(upload, held.size(), None)


def _begin_verified(state: ApiState, upload_id: uuid.UUID, offset: int) -> None:
    with begin(state.engine) as unit:
        uploads.begin_verified_chunk(unit.connection, upload_id, offset)


def _end_chunk(state: ApiState, upload_id: uuid.UUID, offset: int) -> datetime:
    expires_at = datetime.now(UTC) + timedelta(seconds=state.settings.upload_expires_s)
    with begin(state.engine) as unit:
        uploads.end_chunk(unit.connection, upload_id, offset, expires_at)
    return expires_at


class ChunkWriter:
    """Writes the body of one request to the staging file, hashing as it goes."""

    def __init__(self, held: StagingFile, running: Any | None, checksum: Checksum | None) -> None:
        self._held = held
        self._running = running
        self._checksum = checksum
        self._chunk_hash = checksum.start() if checksum is not None else None
        self._pending: list[bytes] = []
        self._pending_bytes = 0
        self.start = held.size()
        self.received = 0

    @property
    def due(self) -> bool:
        """Whether enough has gathered for a write."""
        return self._pending_bytes >= _BUFFER_BYTES

    @property
    def running(self) -> Any | None:
        """The sha256 of the file up to here, ``None`` when this process has not seen its beginning."""
        return self._running

    def take(self, data: bytes) -> None:
        """Gather a piece of the body."""
        self._pending.append(data)
        self._pending_bytes += len(data)
        self.received += len(data)

    def flush(self) -> None:
        """Write and hash what has gathered."""
        data = b"".join(self._pending)
        self._pending, self._pending_bytes = [], 0
        if not data:
            return
        self._held.append(data)
        if self._running is not None:
            self._running.update(data)
        if self._chunk_hash is not None:
            self._chunk_hash.update(data)

    def verified(self) -> bool:
        """Return whether the chunk is what its checksum says; ``True`` without a checksum."""
        if self._checksum is None or self._chunk_hash is None:
            return True
        return hmac.compare_digest(self._chunk_hash.digest(), self._checksum.digest)

    def discard(self) -> None:
        """Drop this request's bytes."""
        self._pending, self._pending_bytes = [], 0
        self._held.truncate(self.start)


async def receive_chunk(
    state: ApiState, upload_id: uuid.UUID, chunk: Chunk, body: AsyncIterator[bytes], request_id: str
) -> Progress:
    """Append a request's body to an upload and finish the upload with its last byte.

    Whatever cuts the request, the bytes that arrived count, unless they were to be verified as a whole.
    """
    async with state.staging.lock(upload_id, interrupt=False, wait_s=LOCK_WAIT_S / 5) as held:
        before = await run_file_work(state, settle, state, upload_id, held)
        _check_offset(before, chunk)
        if before.received is not None:
            return before
        if before.offset == before.upload.length_bytes:
            return await _finish(state, before, held, request_id)
        running = state.digests.resume(upload_id, before.offset)
        if chunk.checksum is not None:
            await run_file_work(state, _begin_verified, state, upload_id, before.offset)
        writer = ChunkWriter(held, running, chunk.checksum)
        problem = await _drain(state, before, writer, body)
        return await _conclude(state, before, writer, (held, problem, request_id))


def _check_offset(before: Progress, chunk: Chunk) -> None:
    if chunk.offset != before.offset:
        raise Problem(
            "offset-conflict",
            f"the upload stands at {before.offset}, not at {chunk.offset}",
            headers={"Upload-Offset": str(before.offset)},
        )
    if chunk.content_length is not None and chunk.offset + chunk.content_length > before.upload.length_bytes:
        raise Problem("length-exceeded", f"the upload has {before.upload.length_bytes} bytes in all")


async def _drain(state: ApiState, before: Progress, writer: ChunkWriter, body: AsyncIterator[bytes]) -> Problem | None:
    """Write the body as it comes; returns what went wrong. A cancelled request keeps what has arrived."""
    room = before.upload.length_bytes - before.offset
    problem: Problem | None = None
    try:
        async for data in _pieces(state, before.upload.id, body):
            if writer.received + len(data) > room:
                return Problem("length-exceeded", f"the upload has {before.upload.length_bytes} bytes in all")
            writer.take(data)
            if writer.due or not data:
                await run_file_work(state, writer.flush)
        await run_file_work(state, writer.flush)
    except (ClientDisconnect, _Interrupted):
        problem = Problem("upload-interrupted", "the request was cut; ask for the offset and continue")
        await run_file_work(state, writer.flush)
    except asyncio.CancelledError:
        with suppress(OSError):
            writer.flush()
        raise
    except OSError as error:
        if error.errno not in {errno.ENOSPC, errno.EDQUOT}:
            raise
        problem = Problem("insufficient-storage", "the staging disk is full", headers={"Retry-After": "60"})
    return problem


class _Interrupted(Exception):  # noqa: N818
    """Another request wants the lock."""


async def _pieces(state: ApiState, upload_id: uuid.UUID, body: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """Yield the body, an empty piece whenever it pauses; raises :class:`_Interrupted` when the lock is wanted."""
    loop = asyncio.get_running_loop()
    checked_at = loop.time()
    pending: asyncio.Future[bytes] | None = None
    try:
        while True:
            pending = pending or asyncio.ensure_future(anext(body))
            done, _ = await asyncio.wait({pending}, timeout=_INTERRUPT_POLL_S)
            if not done or loop.time() - checked_at > _INTERRUPT_POLL_S:
                checked_at = loop.time()
                if state.staging.interrupted(upload_id):
                    raise _Interrupted
            if not done:
                yield b""
                continue
            try:
                data = pending.result()
            except StopAsyncIteration:
                return
            pending = None
            if data:
                yield data
    finally:
        if pending is not None and not pending.done():
            pending.cancel()


async def _conclude(
    state: ApiState, before: Progress, writer: ChunkWriter, rest: tuple[StagingFile, Problem | None, str]
) -> Progress:
    held, problem, request_id = rest
    upload_id = before.upload.id
    if problem is not None and problem.kind.name == "length-exceeded":
        await run_file_work(state, writer.discard)
    elif not writer.verified():
        await run_file_work(state, writer.discard)
        problem = problem or Problem("checksum-mismatch", "the chunk does not have this checksum; it was discarded")
    offset = held.size()
    if offset == writer.start + writer.received:
        state.digests.keep(upload_id, offset, writer.running)
    elif offset != writer.start:
        state.digests.forget(upload_id)
    if offset < before.upload.length_bytes:
        await run_file_work(state, held.sync)
    expires_at = await run_file_work(state, _end_chunk, state, upload_id, offset)
    if problem is not None:
        raise problem
    after = Progress(replace(before.upload, expires_at=expires_at), offset, None)
    return await _finish(state, after, held, request_id) if offset == before.upload.length_bytes else after


async def _finish(state: ApiState, at_end: Progress, held: StagingFile, request_id: str) -> Progress:
    received = await run_file_work(state, complete, state, at_end.upload, held, request_id)
    return Progress(at_end.upload, at_end.offset, received)


async def ask_progress(state: ApiState, upload: Upload, request_id: str) -> Progress:
    """Return where an upload stands, taking the lock from a request that may be dead, and finish it if it is due."""
    async with state.staging.lock(upload.id, interrupt=True, wait_s=LOCK_WAIT_S) as held:
        progress = await run_file_work(state, settle, state, upload.id, held)
        if progress.received is None and progress.offset == upload.length_bytes:
            return await _finish(state, progress, held, request_id)
        return progress


async def terminate(state: ApiState, upload: Upload) -> None:
    """Drop an unfinished upload and its bytes; raises the problem ``upload-completed``."""
    async with state.staging.lock(upload.id, interrupt=True, wait_s=LOCK_WAIT_S) as held:
        await run_file_work(state, drop_locked, state, upload.id, held)


def drop_locked(state: ApiState, upload_id: uuid.UUID, held: StagingFile) -> None:
    """Remove the row and the bytes of an upload that this request holds the lock of."""
    with begin(state.engine) as unit:
        removed = uploads.remove(unit.connection, upload_id)
        current = None if removed else uploads.reread(unit.connection, upload_id)
    held.drop()
    state.digests.forget(upload_id)
    if current is not None:
        raise Problem("upload-completed", f"the upload has become the file {current.raw_file_id}")


def sweep_expired(state: ApiState) -> int:
    """Drop uploads that have expired, unless a request holds them; returns how many."""
    with begin(state.engine) as unit:
        expired = uploads.list_expired(unit.connection)
    dropped = 0
    for upload_id in expired:
        held = state.staging.try_lock(upload_id)
        if held is None:
            continue
        try:
            with suppress(Problem):
                drop_locked(state, upload_id, held)
                dropped += 1
        finally:
            held.release()
    return dropped
