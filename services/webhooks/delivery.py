"""One try to deliver an event to a subscriber's address."""

import ipaddress
import json
import socket
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any
from urllib.parse import urlsplit

import httpx

from services.uploader.backoff import parse_retry_after
from services.webhooks.signing import sign

TIMEOUT_S = 15.0
MAX_ANSWER_BYTES = 4096


class Verdict(StrEnum):
    """What a try has come to."""

    DELIVERED = "delivered"
    FAILED = "failed"
    GONE = "gone"


@dataclass(frozen=True)
class Event:
    """Something that happened; ``body`` is what is signed and sent, the same bytes at every try."""

    id: str
    type: str
    body: bytes


@dataclass(frozen=True)
class Attempt:
    """How one try went.

    Attributes:
        verdict: ``gone``: the receiver wants no more events (410); the subscription is to be disabled.
        status: the HTTP status, if there was an answer.
        reason: in words, for people; empty when delivered.
        retry_after_s: what the receiver asked for.
        seconds: how long the try took.
    """

    verdict: Verdict
    status: int | None
    reason: str
    retry_after_s: float | None
    seconds: float


class BadAddress(ValueError):  # noqa: N818
    """An address to which nothing is sent."""


def make_event(event_id: str, kind: str, at: str, data: Any) -> Event:
    """Return the event ``kind`` (for example ``instrument.out_of_control``) that happened at ``at`` (ISO 8601)."""
    document = {"id": event_id, "type": kind, "timestamp": at, "data": data}
    return Event(event_id, kind, json.dumps(document, ensure_ascii=False, allow_nan=False, sort_keys=True).encode())


def check_address(url: str, *, allow_this_machine: bool = False) -> str:
    """Return ``url`` when events may be sent there.

    Addresses inside the fab's network are the rule. This machine itself and link-local ones (where clouds keep their
    keys) are not, whatever name they go by; a name that changes its address between this check and the request is not
    caught, so give the service no route to what it must not reach.

    Raises:
        BadAddress: it is no http or https address with a host, carries a password, or leads to such a machine.
    """
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise BadAddress(f"the address cannot be read: {error}") from error
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise BadAddress("the address is no http or https address with a host")
    if parts.username is not None or parts.fragment:
        raise BadAddress("the address carries a user or a fragment")
    try:
        found = socket.getaddrinfo(parts.hostname, port or 443, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise BadAddress(f"the host {parts.hostname} is not known") from error
    for entry in found:
        address = ipaddress.ip_address(str(entry[4][0]).partition("%")[0])
        mapped = getattr(address, "ipv4_mapped", None) or address
        if mapped.is_link_local or mapped.is_multicast or mapped.is_unspecified:
            raise BadAddress(f"nothing is sent to {mapped}")
        if mapped.is_loopback and not allow_this_machine:
            raise BadAddress("nothing is sent to this machine itself")
    return url


class Deliverer:
    """Sends events; to be used in a ``with`` block, by one thread at a time.

    Args:
        allow_this_machine: for tests and for a receiver beside the service.
        timeout_s: for connecting, and for each wait while sending and receiving.
        clock: seconds since the epoch.
    """

    def __init__(
        self,
        *,
        allow_this_machine: bool = False,
        timeout_s: float = TIMEOUT_S,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._allow_this_machine = allow_this_machine
        self._clock = clock
        self._client = httpx.Client(timeout=timeout_s, follow_redirects=False, trust_env=False)
        self._limit_s = 2.0 * timeout_s

    def __enter__(self) -> "Deliverer":
        return self

    def __exit__(self, *_: object) -> None:
        self._client.close()

    def deliver(self, url: str, secrets: Sequence[str], event: Event) -> Attempt:
        """Try once to deliver ``event``; every failure of the receiver is an answer, not an exception.

        Raises:
            ValueError: a secret is none.
        """
        start = time.monotonic()
        headers = sign(secrets, event.id, int(self._clock()), event.body)
        headers |= {"Content-Type": "application/json", "User-Agent": "faultlight-webhooks"}
        try:
            check_address(url, allow_this_machine=self._allow_this_machine)
            with self._client.stream("POST", url, content=event.body, headers=headers) as answer:
                text = self._read_some(answer, start)
        except (BadAddress, httpx.HTTPError, httpx.InvalidURL, OSError) as error:
            reason = f"{type(error).__name__}: {error}" if not isinstance(error, BadAddress) else str(error)
            return Attempt(Verdict.FAILED, None, reason, None, time.monotonic() - start)
        seconds = time.monotonic() - start
        if answer.is_success:
            return Attempt(Verdict.DELIVERED, answer.status_code, "", None, seconds)
        asked = parse_retry_after(answer.headers, self._clock)
        verdict = Verdict.GONE if answer.status_code == 410 else Verdict.FAILED
        what = "redirects are not followed" if answer.is_redirect else text or answer.reason_phrase
        return Attempt(verdict, answer.status_code, f"{answer.status_code}: {what}", asked, seconds)

    def _read_some(self, answer: httpx.Response, start: float) -> str:
        """Return the beginning of an answer's body; a receiver that sends on for ever, or drop by drop, is left."""
        data = b""
        for piece in answer.iter_bytes():
            data += piece
            if len(data) >= MAX_ANSWER_BYTES or time.monotonic() - start > self._limit_s:
                break
        return data[:MAX_ANSWER_BYTES].decode("utf-8", "replace").strip()
