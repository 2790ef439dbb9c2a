"""Webhooks: the signature against a published example, tampering, the schedule, deliveries to a real server."""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from services.webhooks.delivery import BadAddress, Deliverer, Verdict, check_address, make_event
from services.webhooks.schedule import DELAYS_S, Schedule
from services.webhooks.signing import BadSignature, new_secret, read_secret, sign, verify

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


class Receiver:
    """A real server that answers as told and remembers what it got."""

    def __init__(self) -> None:
        self.requests: list[tuple[dict[str, str], bytes]] = []
        self.answers: list[tuple[int, dict[str, str], bytes]] = []
        self.silent = threading.Event()
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                outer.requests.append((dict(self.headers), body))
                status, headers, answer = outer.answers.pop(0) if outer.answers else (204, {}, b"")
                if status == 0:
                    outer.silent.wait(10.0)
                    return
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            def log_message(self, *_):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}/hook"
        self.thread = threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.01})
        self.thread.start()

    def close(self) -> None:
        self.silent.set()
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()


@pytest.fixture
def receiver():
    made = Receiver()
    yield made
    made.close()


@pytest.fixture
def deliverer():
    with Deliverer(allow_this_machine=True, clock=lambda: float(NOW)) as made:
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
    with Deliverer(allow_this_machine=True, timeout_s=0.1) as deliverer:
        attempt = deliverer.deliver(receiver.url, [SECRET], EVENT)
    assert (attempt.verdict, attempt.status) == (Verdict.FAILED, None)
    assert attempt.reason.startswith("ReadTimeout")


def test_nobody_there_is_a_failure_and_no_exception(receiver, deliverer):
    receiver.close()
    attempt = deliverer.deliver(receiver.url, [SECRET], EVENT)
    assert attempt.verdict is Verdict.FAILED
    assert attempt.reason.startswith("ConnectError")


def test_this_machine_is_not_reached_unless_allowed(receiver):
    with Deliverer() as deliverer:
        attempt = deliverer.deliver(receiver.url, [SECRET], EVENT)
    assert (attempt.verdict, attempt.reason) == (Verdict.FAILED, "nothing is sent to this machine itself")
    assert receiver.requests == []


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1/",
        "http://[::1]/",
        "http://[::ffff:127.0.0.1]/",
        "http://169.254.169.254/latest",
        "http://0.0.0.0/",
        "http://[fe80::1]/",
        "ftp://10.0.0.1/",
        "file:///etc/passwd",
        "http://",
        "http://user:word@10.0.0.1/",
        "http://10.0.0.1:99999/",
        "http://[/",
    ],
)
def test_addresses_to_which_nothing_is_sent(url):
    with pytest.raises(BadAddress):
        check_address(url)


def test_addresses_inside_the_fab_are_the_rule():
    assert check_address("https://10.1.2.3:8443/hook?line=4") == "https://10.1.2.3:8443/hook?line=4"
