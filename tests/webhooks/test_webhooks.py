"""Webhooks: the signature against a published example, tampering, the schedule, deliveries to a real server."""

import datetime
import json
import socket
import ssl
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from services.webhooks.addresses import BadAddress, check_url, find_destination, read_networks
from services.webhooks.delivery import Deliverer, Verdict, make_event
from services.webhooks.schedule import DELAYS_S, Schedule
from services.webhooks.signing import BadSignature, new_secret, read_secret, sign, verify
from tests.webhooks.receiver import THIS_MACHINE, Receiver

# The example of the Standard Webhooks specification.
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
EXAMPLE = {
    "Webhook-Id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
    "Webhook-Timestamp": "1614265330",
    "Webhook-Signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
}
BODY = b'{"test": 2432232314}'
NOW = 1614265330


def test_the_signature_is_that_of_the_specification():
    assert sign([SECRET], EXAMPLE["Webhook-Id"], NOW, BODY) == EXAMPLE
    assert verify(SECRET, EXAMPLE, BODY, NOW + 299) == EXAMPLE["Webhook-Id"]
    assert verify(SECRET, {name.lower(): value for name, value in EXAMPLE.items()}, BODY, NOW) == EXAMPLE["Webhook-Id"]


@pytest.mark.parametrize(
    ("changes", "body", "now", "reason"),
    [
        ({}, BODY + b" ", NOW, "no signature is made with this secret"),
        ({"Webhook-Id": "msg_other"}, BODY, NOW, "no signature is made with this secret"),
        ({"Webhook-Timestamp": "1614265331"}, BODY, NOW, "no signature is made with this secret"),
        ({"Webhook-Signature": "v1a,abc v1,"}, BODY, NOW, "no signature is made with this secret"),
        ({"Webhook-Signature": "v1,é"}, BODY, NOW, "no signature is made with this secret"),
        ({"Webhook-Signature": ""}, BODY, NOW, "the header Webhook-Signature is missing"),
        ({"Webhook-Timestamp": "now"}, BODY, NOW, "the time is no number of seconds"),
        ({}, BODY, NOW + 301, "the time is more than 300 s from now"),
        ({}, BODY, NOW - 301, "the time is more than 300 s from now"),
    ],
)
def test_what_is_changed_is_not_believed(changes, body, now, reason):
    with pytest.raises(BadSignature) as caught:
        verify(SECRET, EXAMPLE | changes, body, now)
    assert str(caught.value) == reason


def test_while_a_secret_is_replaced_both_verify():
    old, new = new_secret(), new_secret()
    assert old != new
    headers = sign([new, old], "evt-1", NOW, BODY)
    assert verify(old, headers, BODY, NOW) == verify(new, headers, BODY, NOW) == "evt-1"
    with pytest.raises(BadSignature):
        verify(new_secret(), headers, BODY, NOW)


@pytest.mark.parametrize("secret", ["", "whsec_", "whsec_c2hvcnQ=", "no base64!", "whsec_" + "A" * 120])
def test_weak_secrets_are_refused(secret):
    with pytest.raises(ValueError, match="secret"):
        read_secret(secret)


def test_an_id_cannot_forge_a_header_or_shift_the_time():
    for bad in ("", "a.b", "a\r\nX: y", "é"):
        with pytest.raises(ValueError, match="id of a message"):
            sign([SECRET], bad, NOW, BODY)
    with pytest.raises(ValueError, match="no secret"):
        sign([], "a", NOW, BODY)


def test_the_schedule_grows_and_ends():
    schedule = Schedule(draw=lambda: 0.0)
    assert [schedule.wait_s(tries) for tries in range(1, schedule.tries)] == list(DELAYS_S)
    assert schedule.wait_s(schedule.tries) is None
    assert Schedule(draw=lambda: 0.999).wait_s(2) == pytest.approx(330.0, rel=1e-3)
    assert schedule.wait_s(1, asked_s=60.0) == 60.0
    assert schedule.wait_s(3, asked_s=60.0) == 1800.0
    assert sum(DELAYS_S) > 3 * 86400 - 10
    with pytest.raises(ValueError, match="after a try"):
        schedule.wait_s(0)


@pytest.fixture
def receiver():
    made = Receiver()
    yield made
    made.close()


@pytest.fixture
def deliverer():
    with Deliverer(THIS_MACHINE, clock=lambda: float(NOW)) as made:
        yield made


EVENT = make_event("evt-1", "instrument.out_of_control", "2026-11-24T11:37:21Z", {"rule": "nelson-1", "tool": "LVP-ü2"})


def test_a_delivery_is_signed_and_the_same_at_every_try(receiver, deliverer):
    receiver.answers = [(500, {}, b"not now"), (204, {}, b"")]
    first, second = (deliverer.deliver(receiver.url, [SECRET], EVENT) for _ in range(2))
    assert (first.verdict, first.status, first.reason) == (Verdict.FAILED, 500, "500: not now")
    assert (second.verdict, second.status, second.reason) == (Verdict.DELIVERED, 204, "")
    assert [body for _, body in receiver.requests] == [EVENT.body] * 2
    for headers, body in receiver.requests:
        assert verify(SECRET, headers, body, NOW) == "evt-1"
        assert headers["Content-Type"] == "application/json"
    assert json.loads(EVENT.body)["data"] == {"rule": "nelson-1", "tool": "LVP-ü2"}


@pytest.mark.parametrize(
    ("answer", "verdict", "reason", "asked"),
    [
        ((410, {}, b""), Verdict.GONE, "410: Gone", None),
        ((429, {"Retry-After": "120"}, b""), Verdict.FAILED, "429: Too Many Requests", 120.0),
        ((302, {"Location": "http://169.254.169.254/"}, b""), Verdict.FAILED, "302: redirects are not followed", None),
        ((404, {}, b"no such hook"), Verdict.FAILED, "404: no such hook", None),
        ((400, {}, b"x" * 100_000), Verdict.FAILED, "400: " + "x" * 4096, None),
    ],
)
def test_answers(receiver, deliverer, answer, verdict, reason, asked):
    receiver.answers = [answer]
    attempt = deliverer.deliver(receiver.url, [SECRET], EVENT)
    assert (attempt.verdict, attempt.status, attempt.reason) == (verdict, answer[0], reason)
    assert attempt.retry_after_s == asked
    assert len(receiver.requests) == 1


def test_a_receiver_that_says_nothing_is_left(receiver):
    receiver.answers = [(0, {}, b"")]
    with Deliverer(THIS_MACHINE, timeout_s=0.1) as deliverer:
        attempt = deliverer.deliver(receiver.url, [SECRET], EVENT)
    assert (attempt.verdict, attempt.status) == (Verdict.FAILED, None)
    assert attempt.reason.startswith("ReadTimeout")


def test_nobody_there_is_a_failure_and_no_exception(receiver, deliverer):
    receiver.close()
    attempt = deliverer.deliver(receiver.url, [SECRET], EVENT)
    assert attempt.verdict is Verdict.FAILED
    assert attempt.reason.startswith("ConnectError")


def test_this_machine_is_not_reached_unless_allowed(receiver):
    with Deliverer(read_networks("10.0.0.0/8")) as deliverer:
        attempt = deliverer.deliver(receiver.url, [SECRET], EVENT)
    reason = "nothing is sent to 127.0.0.1: it is in none of the networks of FAULTLIGHT_WEBHOOK_NETWORKS"
    assert (attempt.verdict, attempt.reason) == (Verdict.FAILED, reason)
    assert receiver.requests == []


PRIVATE = [
    "http://127.0.0.1/",
    "http://[::1]/",
    "http://[::ffff:127.0.0.1]/",
    "http://[64:ff9b::10.0.0.1]/",
    "http://[2002:0a00:0001::1]/",
    "http://10.0.0.1/",
    "http://192.168.1.1:8080/hook",
    "http://100.64.0.1/",
    "http://[fd00::1]/",
]
NEVER = [
    "http://169.254.169.254/latest",
    "http://[::ffff:169.254.169.254]/",
    "http://0.0.0.0/",
    "http://224.0.0.1/",
    "http://[fe80::1]/",
    "ftp://10.0.0.1/",
    "file:///etc/passwd",
    "http://",
    "http://user:word@10.0.0.1/",
    "http://10.0.0.1/#part",
    "http://10.0.0.1:99999/",
    "http://[/",
    "http://\x00/",
    "http://example.com/" + "x" * 2000,
]
EVERYTHING = read_networks("0.0.0.0/0, ::/0")


@pytest.mark.parametrize("url", PRIVATE)
def test_private_addresses_need_the_setting(url):
    with pytest.raises(BadAddress, match="FAULTLIGHT_WEBHOOK_NETWORKS"):
        check_url(url, ())
    assert str(check_url(url, EVERYTHING).host)


@pytest.mark.parametrize("url", NEVER)
def test_addresses_to_which_nothing_is_ever_sent(url):
    with pytest.raises(BadAddress):
        check_url(url, EVERYTHING)


def test_only_the_listed_networks_are_opened():
    fab = read_networks("10.20.0.0/16,fd00::/8")
    assert str(check_url("https://10.20.2.3:8443/hook?line=4", fab)) == "https://10.20.2.3:8443/hook?line=4"
    with pytest.raises(BadAddress, match=r"nothing is sent to 10\.21\.0\.1"):
        check_url("https://10.21.0.1/", fab)
    assert check_url("https://8.8.8.8/", ()).host == "8.8.8.8"
    with pytest.raises(ValueError, match=r"10\.0\.0\.300"):
        read_networks("10.0.0.300")


def test_one_bad_address_of_a_host_is_enough_to_refuse_it():
    with pytest.raises(BadAddress, match=r"nothing is sent to 10\.0\.0\.1"):
        find_destination("http://hooks.example/", (), lambda _host, _port: ["8.8.8.8", "10.0.0.1"])
    with pytest.raises(BadAddress, match="is not known"):
        find_destination("http://hooks.example/", (), _unknown)
    with pytest.raises(BadAddress, match="has no address"):
        find_destination("http://hooks.example/", (), lambda _host, _port: [])


def _unknown(_host: str, _port: int) -> list[str]:
    raise socket.gaierror("no such host")


def test_the_request_goes_to_the_address_that_was_checked(receiver, monkeypatch):
    """A rebinding name: the address that was checked first, another one whenever it is asked again."""
    other = Receiver("127.0.0.2", receiver.port)
    asked: list[str] = []

    def rebind(host: str, _port: int) -> list[str]:
        asked.append(host)
        return ["127.0.0.1"] if len(asked) == 1 else ["127.0.0.2"]

    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("a name was resolved behind the check")

    try:
        url = f"http://hooks.example:{receiver.port}/hook"
        with Deliverer(read_networks("127.0.0.1/32"), resolve=rebind) as deliverer:
            genuine = socket.getaddrinfo
            monkeypatch.setattr(
                socket, "getaddrinfo", lambda host, *rest, **more: refuse() if host == "hooks.example"
                else genuine(host, *rest, **more)
            )  # fmt: skip
            assert deliverer.deliver(url, [SECRET], EVENT).verdict is Verdict.DELIVERED
            (first,) = receiver.requests
            assert first[0]["Host"] == f"hooks.example:{receiver.port}"
            assert asked == ["hooks.example"]
            attempt = deliverer.deliver(url, [SECRET], EVENT)
        assert attempt.reason.startswith("nothing is sent to 127.0.0.2")
        assert (len(receiver.requests), other.requests) == (1, [])
    finally:
        other.close()


def test_the_next_address_is_tried_when_nobody_is_at_the_first(receiver):
    def resolve(_host: str, _port: int) -> list[str]:
        return ["127.0.0.3", "127.0.0.1"]

    with Deliverer(THIS_MACHINE, resolve=resolve) as deliverer:
        attempt = deliverer.deliver(f"http://hooks.example:{receiver.port}/hook", [SECRET], EVENT)
    assert attempt.verdict is Verdict.DELIVERED
    assert len(receiver.requests) == 1


def make_certificate(folder: Path, name: str) -> tuple[Path, Path]:
    """A certificate that signs itself, and its key, for a host of this name."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    chain, secret = folder / "certificate.pem", folder / "key.pem"
    chain.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    encoding = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    secret.write_bytes(key.private_bytes(*encoding))
    return chain, secret


@pytest.fixture
def secured(tmp_path: Path) -> Iterator[tuple[Receiver, Path]]:
    chain, key = make_certificate(tmp_path, "hooks.example")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(chain, key)
    made = Receiver(tls=context)
    yield made, chain
    made.close()


def test_tls_believes_the_name_and_not_the_address(secured):
    receiver, chain = secured

    def resolve(_host: str, _port: int) -> list[str]:
        return ["127.0.0.1"]

    with Deliverer(THIS_MACHINE, resolve=resolve, ca_file=chain) as deliverer:
        good = deliverer.deliver(f"https://hooks.example:{receiver.port}/hook", [SECRET], EVENT)
        other = deliverer.deliver(f"https://other.example:{receiver.port}/hook", [SECRET], EVENT)
        bare = deliverer.deliver(f"https://127.0.0.1:{receiver.port}/hook", [SECRET], EVENT)
    assert (good.verdict, good.status) == (Verdict.DELIVERED, 204)
    for refused in (other, bare):
        assert refused.verdict is Verdict.FAILED
        assert "certificate verify failed" in refused.reason
    with Deliverer(THIS_MACHINE, resolve=resolve) as deliverer:
        unknown = deliverer.deliver(f"https://hooks.example:{receiver.port}/hook", [SECRET], EVENT)
    assert "self-signed certificate" in unknown.reason
    assert len(receiver.requests) == 1
