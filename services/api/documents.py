"""The documents that requests carry and answers hold, as OpenAPI tells them.

Answers are made as JSON from rows; these models document them and are checked against real answers by the tests.
"""

import uuid
from datetime import datetime
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from db.schema.files import FileState


def _refuse_control(text: str) -> str:
    if any(ord(character) < 0x20 or ord(character) == 0x7F for character in text):
        raise ValueError("control characters are not allowed")
    return text


Name = Annotated[
    str, Field(min_length=1, max_length=200, pattern=r"^[^\x00-\x1f\x7f]+$"), AfterValidator(_refuse_control)
]
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
ByteCount = Annotated[int, Field(ge=0, le=2**53)]


class Document(BaseModel):
    """What every request body has in common: members that are not known are refused."""

    model_config = ConfigDict(extra="forbid")


class MemberDeclaration(Document):
    """One file of a bundle."""

    path: Annotated[str, Field(min_length=1, max_length=1024)]
    sha256: Sha256
    size_bytes: ByteCount


class BundleDeclaration(Document):
    """Files that belong together."""

    program: Name | None = None
    name: Name
    members: Annotated[list[MemberDeclaration], Field(min_length=1)]


class MemberDocument(BaseModel):
    """A member of a bundle, with the file it has become."""

    path: str
    sha256: str
    size_bytes: int
    raw_file_id: uuid.UUID | None


class BundleDocument(BaseModel):
    """A bundle and what it still misses."""

    id: uuid.UUID
    program_id: uuid.UUID
    name: str
    state: Literal["open", "received", "stored", "quarantined"]
    content_sha256: str
    missing: list[str]
    job_id: uuid.UUID | None
    members: list[MemberDocument]


class KnownFileAnswer(BaseModel):
    """The program has these bytes: nothing needs to be sent."""

    raw_file_id: uuid.UUID
    state: FileState
    known: Literal[True]
    job_id: uuid.UUID | None


class UploadDocument(BaseModel):
    """An upload on its way, or what it has become."""

    id: uuid.UUID
    program_id: uuid.UUID
    filename: str
    length_bytes: int
    offset_bytes: int
    bundle_id: uuid.UUID | None
    path: str | None
    expires_at: datetime
    completed_at: datetime | None
    raw_file_id: uuid.UUID | None
    job_id: uuid.UUID | None
