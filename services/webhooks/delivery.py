"""One try to deliver an event to a subscriber's address."""

import json
import ssl
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

import httpx

from services.uploader.backoff import parse_retry_after
from services.webhooks.addresses import (
    Address,
    BadAddress,
    Destination,
    Networks,
    Resolve,
    find_destination,
    resolve_host,
)
from services.webhooks.signing import sign

TIMEOUT_S = 15.0
MAX_ANSWER_BYTES = 4096
MOST_ADDRESSES = 3


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


def make_event(event_id: str, kind: str, at: str, data: Any) -> Event:
    """Return the event ``kind`` (for example ``instrument.out_of_control``) that happened at ``at`` (ISO 8601)."""
    document = {"id": event_id, "type": kind, "timestamp": at, "data": data}
    return Event(event_id, kind, json.dumps(document, ensure_ascii=False, allow_nan=False, sort_keys=True).encode())


class Deliverer:
    """Sends events; to be used in a ``with`` block, by one thread at a time.

    Args:
        networks: where special addresses are allowed, :func:`services.webhooks.addresses.read_networks`.
        timeout_s: for connecting, and for each wait while sending and receiving.
        clock: seconds since the epoch.
        resolve: finds a host's addresses, once for each try.
        ca_file: certificates (PEM) that receivers are believed by; ``None``: the public ones.
    """

    def __init__(
        self,
        networks: Networks = (),
        *,
        timeout_s: float = TIMEOUT_S,
        clock: Callable[[], float] = time.time,
        resolve: Resolve = resolve_host,
        ca_file: Path | None = None,
    ) -> None:
        self._networks = networks
        self._clock = clock
        self._resolve = resolve
        trust = ssl.create_default_context(cafile=str(ca_file)) if ca_file is not None else True
        # A connection is kept under its address: a second host there must not get one that was opened for the first.
        limits = httpx.Limits(max_keepalive_connections=0)
        self._client = httpx.Client(
            timeout=timeout_s, follow_redirects=False, trust_env=False, verify=trust, limits=limits
        )
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
        headers |= {
            "Content-Type": "application/json",
            "User-Agent": "faultlight-webhooks",
            "Accept-Encoding": "identity",
        }
        try:
            destination = find_destination(url, self._networks, self._resolve)
            return self._post(destination, headers, event.body, start)
        except (BadAddress, httpx.HTTPError, httpx.InvalidURL, OSError) as error:
            reason = f"{type(error).__name__}: {error}" if not isinstance(error, BadAddress) else str(error)
            return Attempt(Verdict.FAILED, None, reason, None, time.monotonic() - start)

    def _post(self, destination: Destination, headers: dict[str, str], body: bytes, start: float) -> Attempt:
        """Send to the first of the addresses that takes a connection."""
        *others, last = destination.addresses[:MOST_ADDRESSES]
        for address in others:
            try:
                return self._post_to(address, destination, headers, body, start)
            except (httpx.ConnectError, httpx.ConnectTimeout):
                continue
        return self._post_to(last, destination, headers, body, start)

    def _post_to(
        self, address: Address, destination: Destination, headers: dict[str, str], body: bytes, start: float
    ) -> Attempt:
        """Send to an address that was checked, for the host that the URL names: in ``Host`` and in TLS."""
        url = destination.url
        with self._client.stream(
            "POST",
            url.copy_with(host=str(address)),
            content=body,
            headers=headers | {"Host": url.netloc.decode("ascii")},
            extensions={"sni_hostname": url.raw_host.decode("ascii").strip("[]")},
        ) as answer:
            text = self._read_some(answer, start)
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
        for piece in answer.iter_raw():
            data += piece
            if len(data) >= MAX_ANSWER_BYTES or time.monotonic() - start > self._limit_s:
                break
        return data[:MAX_ANSWER_BYTES].decode("utf-8", "replace").strip()
