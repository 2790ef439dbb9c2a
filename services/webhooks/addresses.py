"""Where events may be sent: a host is resolved once, every address is checked, and only those are connected to.

A name that changes its address between check and request (DNS rebinding) changes nothing: the request goes to the
address that was checked. Addresses of the public internet are allowed; private and other special ones only inside the
networks that the installation lists; link-local ones, where clouds keep their keys, never.
"""

import ipaddress
import re
import socket
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import httpx

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Networks = tuple[ipaddress.IPv4Network | ipaddress.IPv6Network, ...]
Resolve = Callable[[str, int], Sequence[str]]
"""Gives the addresses of a host and port, as text; raises ``OSError`` when the host is not known."""

MAX_URL_CHARACTERS = 2000
_NAME = re.compile(rb"[A-Za-z0-9_]([A-Za-z0-9_.-]*[A-Za-z0-9_.])?")
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")


class BadAddress(ValueError):  # noqa: N818
    """An address to which nothing is sent; the message says why."""


@dataclass(frozen=True)
class Destination:
    """A receiver: its URL, and the addresses that the host was found at and that may be connected to, in order."""

    url: httpx.URL
    addresses: tuple[Address, ...]


def read_networks(text: str) -> Networks:
    """Return the networks in a comma-separated list such as ``10.0.0.0/8, fd00::/8``.

    Raises:
        ValueError: one of them is no network.
    """
    return tuple(ipaddress.ip_network(part.strip()) for part in text.split(",") if part.strip())


def resolve_host(host: str, port: int) -> list[str]:
    """Return the addresses of a host, as the system finds them."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(entry[4][0]).partition("%")[0] for entry in found))


def check_url(text: str, networks: Networks) -> httpx.URL:
    """Return the URL when it can be one of a receiver; a host's name is resolved only when something is sent.

    Raises:
        BadAddress: it is no http or https address with a host, carries a password, or is an address that is not
            allowed.
    """
    if len(text) > MAX_URL_CHARACTERS:
        raise BadAddress(f"the address is longer than {MAX_URL_CHARACTERS} characters")
    try:
        url = httpx.URL(text)
    except (httpx.InvalidURL, ValueError) as error:
        raise BadAddress(f"the address cannot be read: {error}") from error
    if url.scheme not in ("http", "https") or not url.host:
        raise BadAddress("the address is no http or https address with a host")
    if url.port is not None and not 0 < url.port < 65536:
        raise BadAddress(f"there is no port {url.port}")
    if url.userinfo or url.fragment:
        raise BadAddress("the address carries a user or a fragment")
    try:
        literal = ipaddress.ip_address(url.host)
    except ValueError:
        if not _NAME.fullmatch(url.raw_host):
            raise BadAddress("the address is no http or https address with a host") from None
        return url
    _check_address(literal, networks)
    return url


def find_destination(text: str, networks: Networks, resolve: Resolve = resolve_host) -> Destination:
    """Return where a URL leads now: its host is resolved once, and each of its addresses is allowed.

    Raises:
        BadAddress: what :func:`check_url` says, the host is not known, or one of its addresses is not allowed.
    """
    url = check_url(text, networks)
    port = url.port or (443 if url.scheme == "https" else 80)
    try:
        found = [ipaddress.ip_address(each) for each in resolve(url.raw_host.decode("ascii").strip("[]"), port)]
    except (OSError, UnicodeError) as error:
        raise BadAddress(f"the host {url.host} is not known") from error
    if not found:
        raise BadAddress(f"the host {url.host} has no address")
    for address in found:
        _check_address(address, networks)
    return Destination(url, tuple(found))


def _check_address(address: Address, networks: Networks) -> None:
    for each in (address, *_embedded(address)):
        if each.is_link_local or each.is_multicast or each.is_unspecified:
            raise BadAddress(f"nothing is sent to {each}")
        listed = any(each.version == network.version and each in network for network in networks)
        if not (each.is_global or listed):
            raise BadAddress(f"nothing is sent to {each}: it is in none of the networks of FAULTLIGHT_WEBHOOK_NETWORKS")


def _embedded(address: Address) -> tuple[Address, ...]:
    """Return the IPv4 addresses that an IPv6 address stands for, by which it may reach another machine than it says."""
    if address.version == 4:
        return ()
    if address.ipv4_mapped is not None:
        return (address.ipv4_mapped,)
    inside = [address.sixtofour, *(address.teredo or ())]
    if address in _NAT64:
        inside.append(ipaddress.IPv4Address(int(address) & 0xFFFFFFFF))
    return tuple(each for each in inside if each is not None)
