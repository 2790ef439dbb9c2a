"""The blob store: immutable objects by key, on a local disk or an S3-compatible service, through obstore.

Order of writing: the blob first, then the rows that refer to it; an object without a row is an orphan and is
swept by age. Keys: ``raw/<program id>/<sha256>`` for originals, ``records/<program id>/<uuid7>`` for packed samples,
``reports/<program id>/<sha256>`` for reports, ``models/<program id>/<sha256>`` for learned models.
"""

import os
import shutil
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import obstore
from obstore.exceptions import GenericError
from obstore.store import LocalStore, S3Store

PART_BYTES = 8 << 20


class BlobMissing(Exception):  # noqa: N818
    """A row refers to an object that the store does not have."""

    def __init__(self, key: str) -> None:
        super().__init__(f"the blob store has no object {key}")
        self.key = key


@dataclass(frozen=True)
class BlobInfo:
    """An object in the store: its key, its size in bytes, when it was last written (UTC)."""

    key: str
    size_bytes: int
    modified_at: datetime


def raw_key(program_id: object, sha256: str) -> str:
    """Return the key of an original file."""
    return f"raw/{program_id}/{sha256}"


def record_key(program_id: object, name: object) -> str:
    """Return the key of a packed blob of records."""
    return f"records/{program_id}/{name}"


def report_key(program_id: object, sha256: str) -> str:
    """Return the key of a report's file."""
    return f"reports/{program_id}/{sha256}"


def model_key(program_id: object, sha256: str) -> str:
    """Return the key of the weights of a learned model."""
    return f"models/{program_id}/{sha256}"


class BlobStore:
    """Objects by key. Every write is durable (fsync or multipart complete) when the call returns."""

    def __init__(self, store: LocalStore | S3Store, root: Path | None) -> None:
        self._store = store
        self._root = root

    @staticmethod
    def local(root: Path) -> "BlobStore":
        """Return a store in the folder ``root``, which is created."""
        root = root.resolve()
        root.mkdir(parents=True, exist_ok=True)
        return BlobStore(LocalStore(root), root)

    @staticmethod
    def s3(bucket: str, prefix: str, options: dict[str, Any]) -> "BlobStore":
        """Return a store in an S3 bucket; ``options`` are obstore's (endpoint, region, keys)."""
        return BlobStore(S3Store(bucket, prefix=prefix or None, **options), None)

    def put_file(self, key: str, path: Path, *, move: bool = False) -> None:
        """Store the file's bytes under ``key``, streaming; ``move`` allows the file itself to be taken."""
        if self._root is None:
            with path.open("rb") as source:
                obstore.put(self._store, key, source, use_multipart=True, chunk_size=PART_BYTES)
            if move:
                path.unlink()
            return
        target = self._root / key
        target.parent.mkdir(parents=True, exist_ok=True)
        if move and path.stat().st_dev == target.parent.stat().st_dev:
            _sync_file(path)
            path.replace(target)
        else:
            partial = _partial(target)
            shutil.copyfile(path, partial)
            _sync_file(partial)
            partial.replace(target)
            if move:
                path.unlink()
        _sync_directory(target.parent)

    def put_bytes(self, key: str, data: bytes) -> None:
        """Store ``data`` under ``key``."""
        if self._root is None:
            obstore.put(self._store, key, data)
            return
        target = self._root / key
        target.parent.mkdir(parents=True, exist_ok=True)
        partial = _partial(target)
        partial.write_bytes(data)
        _sync_file(partial)
        partial.replace(target)
        _sync_directory(target.parent)

    def read_range(self, key: str, offset: int, length: int) -> bytes:
        """Return ``length`` bytes from byte ``offset``, fewer at the object's end; raises :class:`BlobMissing`."""
        if length == 0:
            return b""
        if self._root is not None:
            try:
                source = os.open(f"{self._root}/{key}", os.O_RDONLY)  # joining by Path costs more than the read
            except FileNotFoundError as error:
                raise BlobMissing(key) from error
            try:
                return os.pread(source, length, offset)
            finally:
                os.close(source)
        try:
            return bytes(obstore.get_range(self._store, key, start=offset, length=length))
        except FileNotFoundError as error:
            raise BlobMissing(key) from error
        except GenericError:
            # S3 refuses a range that begins behind the end; a disk gives nothing.
            info = self.describe(key)
            if info is not None and offset >= info.size_bytes:
                return b""
            raise

    def stream(self, key: str, *, chunk_bytes: int = 1 << 20) -> Iterator[bytes]:
        """Yield the object's bytes in chunks; raises :class:`BlobMissing` before the first."""
        try:
            response = obstore.get(self._store, key)
        except FileNotFoundError as error:
            raise BlobMissing(key) from error
        for chunk in response.stream(min_chunk_size=chunk_bytes):
            yield bytes(chunk)

    def local_path(self, key: str) -> Path | None:
        """Return the object's path when it lies on this machine's disk (read-only!), else ``None``."""
        if self._root is None:
            return None
        path = self._root / key
        return path if path.is_file() else None

    def fetch(self, key: str, target: Path) -> None:
        """Write the object's bytes to the file ``target``; raises :class:`BlobMissing`."""
        with target.open("wb") as sink:
            for chunk in self.stream(key):
                sink.write(chunk)

    def exists(self, key: str) -> bool:
        """Return whether the store has ``key``."""
        try:
            obstore.head(self._store, key)
        except FileNotFoundError:
            return False
        return True

    def describe(self, key: str) -> BlobInfo | None:
        """Return size and time of ``key``, ``None`` when the store does not have it."""
        try:
            item = obstore.head(self._store, key)
        except FileNotFoundError:
            return None
        return BlobInfo(str(item["path"]), int(item["size"]), item["last_modified"])

    def delete(self, key: str) -> None:
        """Remove ``key``; a missing object is no error."""
        try:
            obstore.delete(self._store, key)
        except FileNotFoundError:
            return

    def list(self, prefix: str = "") -> Iterator[BlobInfo]:
        """Yield every object whose key starts with the path ``prefix``."""
        for page in obstore.list(self._store, prefix=prefix or None):
            for item in page:
                yield BlobInfo(str(item["path"]), int(item["size"]), item["last_modified"])


def _partial(target: Path) -> Path:
    """Return a name beside ``target`` that no other writer of the same key uses."""
    return target.with_name(f"{target.name}.{uuid.uuid4().hex}.partial")


def _sync_file(path: Path) -> None:
    descriptor = os.open(path, os.O_RDWR)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _sync_directory(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
