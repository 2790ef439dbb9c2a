"""The message that brings a report: what it says in short, and the report itself as PDF."""

import hashlib
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from email.message import EmailMessage
from email.utils import format_datetime
from typing import Any


@dataclass(frozen=True)
class ReportMail:
    """What a message needs to know of a report; ``link`` is where it can be read."""

    report_id: uuid.UUID
    program: str
    title: str
    freeze_at: datetime
    made_at: datetime
    scorecard: Sequence[Mapping[str, Any]]
    simulated: bool
    link: str | None
    pdf: bytes


def write_message(mail: ReportMail, sender: str, recipient: str, delivery_id: uuid.UUID) -> EmailMessage:
    """Return the message for ``recipient``: the same bytes, under the same Message-ID, at every try of a delivery."""
    frozen = mail.freeze_at.astimezone(UTC)
    label = "SIMULATED: " if mail.simulated else ""
    message = EmailMessage()
    message["From"] = sender
    message["To"] = recipient
    message["Subject"] = f"{label}{mail.title} ({mail.program}), data to {frozen:%Y-%m-%d %H:%M} UTC"
    message["Date"] = format_datetime(mail.made_at.astimezone(UTC))
    message["Message-ID"] = f"<{delivery_id}@{sender.rpartition('@')[2]}>"
    message["Auto-Submitted"] = "auto-generated"
    message["X-Faultlight-Report"] = str(mail.report_id)
    message["X-Faultlight-Delivery"] = str(delivery_id)
    message.set_content("\n".join(_lines(mail, label)), cte="quoted-printable")
    message.add_attachment(
        mail.pdf, maintype="application", subtype="pdf", filename=file_name(mail.title, frozen, "pdf")
    )
    message.set_boundary(hashlib.sha256(delivery_id.bytes).hexdigest()[:40])
    return message


def file_name(title: str, freeze_at: datetime, suffix: str) -> str:
    """Return a name for a report's file that every system takes."""
    plain = "".join(character if character.isascii() and character.isalnum() else "-" for character in title.lower())
    words = "-".join(part for part in plain.split("-") if part) or "report"
    return f"{words[:80]}-{freeze_at.astimezone(UTC):%Y%m%dT%H%MZ}.{suffix}"


def _lines(mail: ReportMail, label: str) -> list[str]:
    lines = [
        f"{label}{mail.title}",
        f"Program {mail.program}; data frozen {mail.freeze_at.astimezone(UTC):%Y-%m-%d %H:%M} UTC",
        "",
    ]
    lines += [f"{row['label']}: {row['text']}  [{row['verdict']}]" for row in mail.scorecard]
    lines += ["", "The whole report is attached."]
    if mail.link is not None:
        lines.append(mail.link)
    return lines
