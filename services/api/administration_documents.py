"""Programs, accounts, memberships, instruments, keys and the audit trail, as requests and answers."""

import uuid
from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import AwareDatetime, BaseModel, Field

from services.api.documents import Document, Name
from services.api.record_documents import ProgramRow, Row

Role = Literal["viewer", "engineer", "reliability", "operator", "admin"]
Scope = Literal["read", "write", "upload", "admin"]


class ProgramRequest(Document):
    """A program to be made."""

    name: Name


class ProgramItem(Row):
    """A product's confidentiality boundary."""

    name: str


class AccountRequest(Document):
    """An account to be made."""

    name: Name
    email: Name | None = None


class AccountChange(Document):
    """Whether the account is disabled, together with all its keys."""

    disabled: bool


class AccountItem(Row):
    """A person or a program that has keys."""

    name: str
    email: str | None
    disabled_at: datetime | None


class MembershipRequest(Document):
    """A role of an account in a program, each by name or id."""

    program: Name
    account: Name
    role: Role


class MembershipItem(ProgramRow):
    """A role of an account in a program."""

    account_id: uuid.UUID
    role: Role


class InstrumentRequest(Document):
    """An instrument of a program, by name or id."""

    program: Name
    name: Name
    kind: Name


class InstrumentItem(ProgramRow):
    """An instrument."""

    name: str
    kind: str


class KeyRequestDocument(Document):
    """A key to be issued: for the caller's own account, for another account, or for an instrument."""

    label: Name
    scopes: Annotated[list[Scope], Field(min_length=1, max_length=4)]
    expires_at: AwareDatetime | None = None
    account_id: uuid.UUID | None = None
    instrument_id: uuid.UUID | None = None


class IssuedKeyDocument(BaseModel):
    """A new key. ``key`` is shown this once."""

    id: uuid.UUID
    prefix: str
    key: str


class KeyItem(Row):
    """A key without its secret."""

    prefix: str
    label: str
    account_id: uuid.UUID | None
    instrument_id: uuid.UUID | None
    scopes: list[Scope]
    expires_at: datetime | None
    last_used_at: datetime | None
    revoked_at: datetime | None


class AuditItem(Row):
    """What somebody did."""

    program_id: uuid.UUID | None
    actor: str
    action: str
    subject_type: str
    subject_id: uuid.UUID | None
    before: Any
    after: Any
    request_id: str | None
