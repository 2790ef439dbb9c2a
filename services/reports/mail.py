"""One try to mail a report: an SMTP conversation in which the caller is asked just before the message's end is sent.

RFC 5321 (4.1.1.4, 6.1): a server that has not received the end of the data must not deliver the message, and one that
has may, whether or not its reply arrives. So a conversation that breaks before the end can be repeated, one that breaks
after it cannot be judged from here.
"""

import re
import smtplib
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from email.message import EmailMessage
from email.policy import SMTP as SMTP_POLICY
from pathlib import Path

from db.repositories.report_deliveries import MailOutcome
from services.settings import Settings
from services.stores import ConfigurationError

TIMEOUT_S = 60.0
REPLY_TIMEOUT_S = 600.0
"""For the reply to the end of the data (RFC 5321, 4.5.3.2.6)."""
ADDRESS_PATTERN = r"^[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@[A-Za-z0-9]([A-Za-z0-9.-]{0,251}[A-Za-z0-9])?$"
"""Addresses that reports are mailed to: ASCII, one, without a name."""
_END = b".\r\n"

MayEnd = Callable[[], bool]
"""Commits that the end is about to be sent; ``False``: somebody else has the delivery, nothing may be sent."""


class LeaseGone(Exception):  # noqa: N818
    """The delivery is another process's by now; the message was not ended."""


@dataclass(frozen=True)
class MailServer:
    """Where and how mail is handed over.

    Attributes:
        host, port: of the server.
        security: ``none``, ``starttls`` or ``tls``.
        sender: address that reports come from.
        user, password: ``None`` where the server asks for none.
        ca_file: certificates (PEM) that the server is believed by; ``None``: the public ones.
        timeout_s, reply_timeout_s: for each reply, and for the one to the end of the message.
    """

    host: str
    port: int
    security: str
    sender: str
    user: str | None = None
    password: str | None = None
    ca_file: Path | None = None
    timeout_s: float = TIMEOUT_S
    reply_timeout_s: float = REPLY_TIMEOUT_S

    def open(self) -> smtplib.SMTP:
        """Return a connection that is ready for a message.

        Raises:
            smtplib.SMTPException, OSError: the server is not there, or does not accept these credentials.
        """
        trust = ssl.create_default_context(cafile=str(self.ca_file) if self.ca_file is not None else None)
        if self.security == "tls":
            smtp: smtplib.SMTP = smtplib.SMTP_SSL(self.host, self.port, timeout=self.timeout_s, context=trust)
        else:
            smtp = smtplib.SMTP(self.host, self.port, timeout=self.timeout_s)
        try:
            if self.security == "starttls":
                smtp.starttls(context=trust)
            smtp.ehlo_or_helo_if_needed()
            if self.user is not None:
                smtp.login(self.user, self.password or "")
        except BaseException:
            smtp.close()
            raise
        return smtp

    def send(self, message: EmailMessage, recipient: str, may_end: MayEnd) -> MailOutcome:
        """Try once to hand ``message`` over for ``recipient``.

        What the server or the network does is an outcome; ``waiting`` asks for another try.

        Raises:
            LeaseGone: ``may_end`` said no.
            Exception: whatever ``may_end`` raised; the message was not ended.
        """
        try:
            smtp = self.open()
        except (smtplib.SMTPException, OSError) as error:
            return _try_again(error)
        try:
            refused = self._offer(smtp, message, recipient)
            if refused is not None:
                return refused
            if not may_end():
                raise LeaseGone
            return self._end(smtp)
        finally:
            smtp.close()  # nothing more is said: an unended message is dropped with the connection

    def _offer(self, smtp: smtplib.SMTP, message: EmailMessage, recipient: str) -> MailOutcome | None:
        """Send everything but the end of the data; return why that did not succeed, ``None`` when it did."""
        try:
            for code, reply in (smtp.mail(self.sender), smtp.rcpt(recipient)):
                if not 200 <= code < 300:
                    return _refused(code, reply)
            code, reply = smtp.docmd("DATA")
            if code != 354:
                return _refused(code, reply)
            smtp.send(quote_lines(message.as_bytes(policy=SMTP_POLICY)))
        except (smtplib.SMTPException, OSError) as error:
            return _try_again(error)
        return None

    def _end(self, smtp: smtplib.SMTP) -> MailOutcome:
        try:
            if smtp.sock is not None:
                smtp.sock.settimeout(self.reply_timeout_s)
            smtp.send(_END)
            code, reply = smtp.getreply()
        except (smtplib.SMTPException, OSError) as error:
            reason = f"the connection broke after the message was sent and before the server replied: {_words(error)}"
            return MailOutcome("unknown", None, reason)
        if 200 <= code < 300:
            return MailOutcome("delivered", _text(code, reply), None)
        return _refused(code, reply)


def open_mail_server(settings: Settings) -> MailServer | None:
    """Return the configured mail server, ``None`` when there is none.

    Raises:
        ConfigurationError: there is one, but no address to send from.
    """
    if settings.smtp_host is None:
        return None
    if settings.smtp_sender is None:
        raise ConfigurationError("set FAULTLIGHT_SMTP_SENDER, the address that reports come from")
    return MailServer(
        host=settings.smtp_host,
        port=settings.smtp_port,
        security=settings.smtp_security,
        sender=settings.smtp_sender,
        user=settings.smtp_user,
        password=settings.smtp_password.get_secret_value() if settings.smtp_password is not None else None,
        ca_file=settings.smtp_ca_file,
    )


def quote_lines(message: bytes) -> bytes:
    """Return the lines of ``message`` as data: CRLF at every end, and full stops at beginnings doubled."""
    lines = re.sub(rb"\r\n|\r|\n", b"\r\n", message)
    lines = re.sub(rb"(?m)^\.", b"..", lines)
    return lines if lines.endswith(b"\r\n") else lines + b"\r\n"


def _refused(code: int, reply: bytes) -> MailOutcome:
    """What a server says for certain: 5xx never, 4xx not now; anything else is no answer to count on, so not now."""
    text = _text(code, reply)
    return MailOutcome("failed" if 500 <= code < 600 else "waiting", text, f"the mail server refused it: {text}")


def _try_again(error: Exception) -> MailOutcome:
    reply = None
    if isinstance(error, smtplib.SMTPResponseException):
        found = error.smtp_error
        reply = _text(error.smtp_code, found if isinstance(found, bytes) else str(found).encode())
    return MailOutcome("waiting", reply, f"the mail server could not be used: {_words(error)}")


def _text(code: int, reply: bytes) -> str:
    text = reply.decode("utf-8", "replace").replace("\0", "\ufffd")
    return f"{code} {' '.join(text.split())}"[:1000]


def _words(error: Exception) -> str:
    text = f"{type(error).__name__}: {error}".encode("utf-8", "replace").decode()
    return text.replace("\0", "\ufffd")[:1000]
