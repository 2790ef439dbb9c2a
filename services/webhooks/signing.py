"""Signatures of webhooks, by the Standard Webhooks scheme: HMAC-SHA256 over id, time and body.

``Webhook-Signature`` is ``v1,<base64>`` of ``HMAC-SHA256(secret, id + "." + timestamp + "." + body)``; several,
separated by blanks, while a secret is being replaced. The id is the same for every try of a delivery, so that a
receiver can tell a repeat; the time is that of the try, so that an old request cannot be played back.
"""

import base64
import binascii
import hashlib
import hmac
import secrets
from collections.abc import Mapping, Sequence

ID_HEADER = "Webhook-Id"
TIMESTAMP_HEADER = "Webhook-Timestamp"
SIGNATURE_HEADER = "Webhook-Signature"
PREFIX = "whsec_"
SECRET_BYTES = 32
TOLERANCE_S = 300


class BadSignature(Exception):  # noqa: N818
    """A request is not signed, not with this secret, or not now; ``str`` says which."""


def new_secret() -> str:
    """Return a new secret as text, to be shown to its owner once."""
    return PREFIX + base64.b64encode(secrets.token_bytes(SECRET_BYTES)).decode("ascii")


def read_secret(text: str) -> bytes:
    """Return the key in a secret's text; raises ``ValueError`` when it is none of 24 to 64 bytes."""
    try:
        key = base64.b64decode(text.removeprefix(PREFIX), validate=True)
    except (ValueError, binascii.Error) as error:
        raise ValueError("the secret is no base64") from error
    if not 24 <= len(key) <= 64:
        raise ValueError(f"a secret has 24 to 64 bytes, this one {len(key)}")
    return key


def sign(secrets_: Sequence[str], message_id: str, timestamp_s: int, body: bytes) -> dict[str, str]:
    """Return the three headers for ``body``, signed with each of the secrets (one, or the new and the old one).

    Raises:
        ValueError: there is no secret, one is none, or the id has characters that do not belong into a header.
    """
    if not secrets_:
        raise ValueError("there is no secret to sign with")
    if not message_id or not message_id.isascii() or not message_id.isprintable() or "." in message_id:
        raise ValueError("the id of a message is printable ASCII without a full stop")
    signatures = " ".join(f"v1,{_signature(read_secret(each), message_id, timestamp_s, body)}" for each in secrets_)
    return {ID_HEADER: message_id, TIMESTAMP_HEADER: str(timestamp_s), SIGNATURE_HEADER: signatures}


def verify(secret: str, headers: Mapping[str, str], body: bytes, now_s: float) -> str:
    """Return the id of a request that is signed with ``secret`` and not older or newer than five minutes.

    For receivers, and for our own tests. ``headers`` by name in any case.

    Raises:
        BadSignature: it is not, and why.
    """
    by_name = {name.lower(): value for name, value in headers.items()}
    missing = [name for name in (ID_HEADER, TIMESTAMP_HEADER, SIGNATURE_HEADER) if not by_name.get(name.lower())]
    if missing:
        raise BadSignature(f"the header {missing[0]} is missing")
    message_id, time_text = by_name[ID_HEADER.lower()], by_name[TIMESTAMP_HEADER.lower()]
    if not (time_text.isascii() and time_text.isdigit() and len(time_text) <= 12):
        raise BadSignature("the time is no number of seconds")
    if abs(now_s - int(time_text)) > TOLERANCE_S:
        raise BadSignature(f"the time is more than {TOLERANCE_S} s from now")
    wanted = "v1," + _signature(read_secret(secret), message_id, int(time_text), body)
    found = [each.encode() for each in by_name[SIGNATURE_HEADER.lower()].split()]
    if not any(hmac.compare_digest(wanted.encode(), each) for each in found):
        raise BadSignature("no signature is made with this secret")
    return message_id


def _signature(key: bytes, message_id: str, timestamp_s: int, body: bytes) -> str:
    signed = f"{message_id}.{timestamp_s}.".encode() + body
    return base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode("ascii")
