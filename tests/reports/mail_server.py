"""A real mail server on this machine that keeps what it accepts, and misbehaves when it is told to."""

import asyncio
import datetime
import ssl
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from email import message_from_bytes
from email.message import Message
from pathlib import Path
from typing import Any

from aiosmtpd.smtp import SMTP, AuthResult, Envelope, Session
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from services.reports.mail import MailServer

Behaviour = Callable[[bytes], str | None]
"""What the server says to the end of a message's data; ``None``: it hangs up without a word."""


@dataclass
class MailSink:
    """Accepts mail; ``behaviours`` are used up one by one, then everything is accepted."""

    behaviours: list[Behaviour] = field(default_factory=list)
    refused_recipients: dict[str, str] = field(default_factory=dict)
    accepted: list[tuple[str, bytes]] = field(default_factory=list)
    begun: int = 0
    tls: ssl.SSLContext | None = None
    users: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        serving = self._loop.create_server(self._speak, "127.0.0.1", 0)
        self._server = self._loop.run_until_complete(serving)
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()

    def _speak(self) -> SMTP:
        asked = {"authenticator": self._knows, "auth_required": True} if self.users else {}
        return SMTP(self, hostname="fab.example", loop=self._loop, tls_context=self.tls, **asked)

    def _knows(self, *parts: Any) -> AuthResult:
        data = parts[-1]
        good = self.users.get(data.login.decode()) == data.password.decode()
        return AuthResult(success=good, handled=False, message=None if good else "535 5.7.8 wrong password")

    async def handle_RCPT(  # noqa: N802
        self, _server: SMTP, _session: Session, envelope: Envelope, address: str, _options: list[str]
    ) -> str:
        if address in self.refused_recipients:
            return self.refused_recipients[address]
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: SMTP, _session: Session, envelope: Envelope) -> str:  # noqa: N802
        content: Any = envelope.original_content
        self.begun += 1
        if self.behaviours:
            said = self.behaviours.pop(0)(content)
            if said is None:
                server.transport.close()
                await asyncio.sleep(0)
                return "250 never heard"
            if not said.startswith("2"):
                return said
        self.accepted.append((envelope.rcpt_tos[0], content))
        return f"250 2.0.0 queued as {len(self.accepted)}"

    @property
    def port(self) -> int:
        return int(self._server.sockets[0].getsockname()[1])

    @property
    def server(self) -> MailServer:
        """How to reach it."""
        return MailServer("127.0.0.1", self.port, "none", "reports@fab.example", timeout_s=5.0, reply_timeout_s=5.0)

    def messages(self) -> list[Message]:
        return [message_from_bytes(content) for _, content in self.accepted]

    def close(self) -> None:
        async def stop() -> None:
            self._server.close()
            for task in asyncio.all_tasks() - {asyncio.current_task()}:
                task.cancel()
            self._loop.stop()

        if self._thread.is_alive():
            asyncio.run_coroutine_threadsafe(stop(), self._loop)
            self._thread.join(5)
            self._loop.close()


def make_certificate(folder: Path) -> tuple[Path, ssl.SSLContext]:
    """A certificate of this machine that vouches for itself, and a context that shows it."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    now = datetime.datetime.now(datetime.UTC)
    built = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
    )
    certificate, private = folder / "certificate.pem", folder / "key.pem"
    certificate.write_bytes(built.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM))
    private.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, private)
    return certificate, context
