"""The headers of tus 1.0 (https://tus.io/protocols/resumable-upload), parsed strictly."""

import base64
import binascii
import hashlib
import re
import unicodedata
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import format_datetime
from typing import Any

from db.repositories.bundles import InvalidPath, normalise_path
from services.problems import Problem

VERSION = "1.0.0"
EXTENSIONS = "creation,creation-with-upload,checksum,expiration,termination"
ALGORITHMS = ("sha256", "sha1")
CONTENT_TYPE = "application/offset+octet-stream"
MAX_METADATA_CHARACTERS = 16_384
MAX_FILENAME_CHARACTERS = 255
_NUMBER = re.compile(r"[0-9]{1,32}")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_CREATION_KEY = re.compile(r"[!-~]{16,128}")


@dataclass(frozen=True)
class Checksum:
    """What the client says about one chunk."""

    algorithm: str
    digest: bytes

    def start(self) -> Any:
        """Return an empty hash of the algorithm."""
        return hashlib.new(self.algorithm, usedforsecurity=False)


@dataclass(frozen=True)
class Announcement:
    """A creation request: how long the file is, and what the client says about it."""

    length_bytes: int
    filename: str
    program: str | None
    sha256: str | None
    bundle_id: uuid.UUID | None
    path: str | None
    creation_key: str | None
    other: Mapping[str, str]


def check_version(headers: Mapping[str, str]) -> None:
    """Raise the problem ``tus-version`` unless the client speaks the server's version."""
    if headers.get("tus-resumable") != VERSION:
        raise Problem("tus-version", f"send Tus-Resumable: {VERSION}", headers={"Tus-Version": VERSION})


def parse_number(headers: Mapping[str, str], name: str) -> int:
    """Return the number in a header; raises the problem ``invalid-upload-header``."""
    text = headers.get(name.lower())
    if text is None or not _NUMBER.fullmatch(text):
        raise Problem("invalid-upload-header", f"{name} is missing or not a decimal number")
    return int(text)


def parse_checksum(headers: Mapping[str, str]) -> Checksum | None:
    """Return the checksum of a chunk, if the client sent one."""
    text = headers.get("upload-checksum")
    if text is None:
        return None
    algorithm, _, encoded = text.partition(" ")
    if algorithm not in ALGORITHMS:
        raise Problem("checksum-unsupported", f"the algorithms are {', '.join(ALGORITHMS)}")
    digest = _decode_base64(encoded)
    if digest is None or len(digest) != hashlib.new(algorithm, usedforsecurity=False).digest_size:
        raise Problem("invalid-upload-header", f"Upload-Checksum holds no {algorithm} in base64")
    return Checksum(algorithm, digest)


def require_body_type(headers: Mapping[str, str]) -> None:
    """Raise the problem ``wrong-content-type`` unless the body is a piece of an upload."""
    if headers.get("content-type", "").split(";")[0].strip().lower() != CONTENT_TYPE:
        raise Problem(
            "wrong-content-type", f"send Content-Type: {CONTENT_TYPE}", headers={"Accept-Patch": CONTENT_TYPE}
        )


def _decode_base64(text: str) -> bytes | None:
    try:
        return base64.b64decode(text.encode("ascii"), validate=True)
    except (ValueError, binascii.Error):
        return None


def parse_metadata(text: str) -> dict[str, str]:
    """Return the pairs of ``Upload-Metadata``; raises the problem ``invalid-upload-metadata``."""
    if len(text) > MAX_METADATA_CHARACTERS:
        raise Problem("invalid-upload-metadata", f"Upload-Metadata is longer than {MAX_METADATA_CHARACTERS} characters")
    pairs: dict[str, str] = {}
    for piece in text.split(",") if text.strip() else ():
        key, _, encoded = piece.strip().partition(" ")
        if not re.fullmatch(r"[!-+\--~]{1,64}", key) or key in pairs:
            raise Problem("invalid-upload-metadata", "a key is empty, repeated, or not plain ASCII")
        raw = _decode_base64(encoded)
        try:
            value = raw.decode("utf-8") if raw is not None else None
        except UnicodeDecodeError:
            value = None
        if value is None or "\x00" in value:
            raise Problem("invalid-upload-metadata", f"the value of {key!r} is not base64 of UTF-8 text without NUL")
        pairs[key] = value
    return pairs


def check_filename(name: str) -> str:
    """Return the file's name in Unicode normal form C; raises the problem ``invalid-upload-metadata``."""
    text = unicodedata.normalize("NFC", name)
    hostile = any(unicodedata.category(character) in {"Cc", "Cs"} for character in text)
    if hostile or "/" in text or "\\" in text or text in {"", ".", ".."} or len(text) > MAX_FILENAME_CHARACTERS:
        raise Problem(
            "invalid-upload-metadata",
            f"a filename has 1 to {MAX_FILENAME_CHARACTERS} characters, no path separator and no control character",
        )
    return text


def parse_announcement(headers: Mapping[str, str]) -> Announcement:
    """Return what a creation request announces; raises a problem for anything that is not well-formed."""
    if "upload-defer-length" in headers:
        raise Problem("deferred-length", "say how long the file is with Upload-Length")
    length = parse_number(headers, "Upload-Length")
    pairs = parse_metadata(headers.get("upload-metadata", ""))
    sha256 = pairs.pop("sha256", None)
    if sha256 is not None:
        sha256 = sha256.lower()
        if not _SHA256.fullmatch(sha256):
            raise Problem("invalid-upload-metadata", "sha256 is not 64 hexadecimal digits")
    bundle_id, path = _parse_bundle(pairs)
    filename = pairs.pop("filename", None)
    if filename is None:
        if path is None:
            raise Problem("invalid-upload-metadata", "filename is missing")
        filename = path.rsplit("/", 1)[-1]
    creation_key = pairs.pop("creation-key", None)
    if creation_key is not None and not _CREATION_KEY.fullmatch(creation_key):
        raise Problem("invalid-upload-metadata", "creation-key is not 16 to 128 printable ASCII characters")
    program = pairs.pop("program", None)
    return Announcement(length, check_filename(filename), program, sha256, bundle_id, path, creation_key, pairs)


def _parse_bundle(pairs: dict[str, str]) -> tuple[uuid.UUID | None, str | None]:
    bundle, path = pairs.pop("bundle", None), pairs.pop("path", None)
    if (bundle is None) != (path is None):
        raise Problem("invalid-upload-metadata", "bundle and path come together")
    if bundle is None or path is None:
        return None, None
    try:
        return uuid.UUID(bundle), normalise_path(path)
    except InvalidPath as error:
        raise Problem("invalid-upload-metadata", str(error)) from error
    except ValueError as error:
        raise Problem("invalid-upload-metadata", "bundle is not a UUID") from error


def format_expiry(moment: datetime) -> str:
    """Return the value of ``Upload-Expires`` (RFC 9110 date)."""
    return format_datetime(moment.astimezone(UTC), usegmt=True)
