"""Deliveries on a real database to a real server: once each, again after a kill, never lost, dead with the reason."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, Row, func, insert, select, update

from db.identifiers import uuid7
from db.repositories import deliveries, events
from db.repositories.deliveries import DeliveryOutcome
from db.repositories.events import NewEvent
from db.schema.events import event, webhook_delivery, webhook_subscription
from db.schema.people import audit_event
from services.scheduler.deliveries import DeliveryThreads, deliver_next
from services.webhooks.delivery import Deliverer
from services.webhooks.schedule import DELAYS_S, Schedule
from services.webhooks.signing import new_secret, verify
from tests.webhooks.receiver import THIS_MACHINE, Receiver
from tests.workers.scenery import make_program

PATIENCE_S = 30.0
AT_ONCE = Schedule(delays_s=(0.0,) * 3, draw=lambda: 0.0)
ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def program_id(engine: Engine) -> uuid.UUID:
    return make_program(engine)


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    made = Receiver()
    yield made
    made.close()


@pytest.fixture
def deliverer() -> Iterator[Deliverer]:
    with Deliverer(THIS_MACHINE, timeout_s=5.0) as made:
        yield made


def subscribe(engine: Engine, program_id: uuid.UUID, url: str, *kinds: str, **values: Any) -> str:
    """Insert a subscription; its secret."""
    secret = new_secret()
    row = {"id": uuid7(), "program_id": program_id, "url": url, "kinds": list(kinds), "secret": secret}
    with engine.begin() as connection:
        connection.execute(insert(webhook_subscription).values(**row, created_by="account:ada", **values))
    return secret


def happen(engine: Engine, program_id: uuid.UUID, identity: object = None, kind: str = "job.dead") -> uuid.UUID | None:
    """Record an event."""
    subject = uuid.uuid4()
    new = NewEvent(program_id, kind, "job", subject, {"error": "ü", "limit": 1e-9}, (identity or subject,))
    with engine.begin() as connection:
        return events.record(connection, new)


def rows(engine: Engine) -> list[Row[Any]]:
    with engine.connect() as connection:
        return list(connection.execute(select(webhook_delivery).order_by(webhook_delivery.c.id)))


def expire(engine: Engine) -> None:
    """Let every lease run out."""
    with engine.begin() as connection:
        past = func.now() - func.make_interval(0, 0, 0, 0, 1)
        connection.execute(update(webhook_delivery).where(webhook_delivery.c.lease_token.is_not(None)).values(
            lease_expires_at=past
        ))  # fmt: skip


def test_an_event_is_delivered_once_signed_and_as_it_is_stored(
    engine: Engine, program_id: uuid.UUID, receiver: Receiver, deliverer: Deliverer
) -> None:
    secret = subscribe(engine, program_id, receiver.url)
    event_id = happen(engine, program_id)
    assert deliver_next(engine, deliverer, AT_ONCE) is not None
    assert deliver_next(engine, deliverer, AT_ONCE) is None
    ((headers, body),) = receiver.requests
    assert verify(secret, headers, body, time.time()) == str(event_id)
    document = json.loads(body)
    assert (document["id"], document["type"]) == (str(event_id), "job.dead")
    assert document["data"] == {"error": "ü", "limit": 1e-9}
    (row,) = rows(engine)
    assert (row.state, row.attempts, row.last_status, row.reason) == ("delivered", 1, 204, None)
    assert row.delivered_at is not None


def test_the_same_event_is_recorded_and_sent_once(engine: Engine, program_id: uuid.UUID, receiver: Receiver) -> None:
    subscribe(engine, program_id, receiver.url)
    assert happen(engine, program_id, "same") is not None
    assert happen(engine, program_id, "same") is None
    results: list[uuid.UUID | None] = []
    threads = [threading.Thread(target=lambda: results.append(happen(engine, program_id, "at once"))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(result is not None for result in results) == 1
    assert len(rows(engine)) == 2


def test_only_those_who_asked_are_told(engine: Engine, program_id: uuid.UUID, receiver: Receiver) -> None:
    foreign = make_program(engine, "foreign")
    subscribe(engine, program_id, receiver.url, "job.dead")
    subscribe(engine, program_id, receiver.url, "file.quarantined", "agent.silent")
    subscribe(engine, program_id, receiver.url)
    subscribe(engine, program_id, receiver.url, enabled=False)
    subscribe(engine, foreign, receiver.url)
    happen(engine, program_id)
    told = {row.subscription_id for row in rows(engine)}
    with engine.connect() as connection:
        found = connection.execute(select(webhook_subscription).order_by(webhook_subscription.c.id)).all()
    assert told == {found[0].id, found[2].id}
    assert {row.program_id for row in rows(engine)} == {program_id}


def test_nothing_is_told_of_what_was_rolled_back(engine: Engine, program_id: uuid.UUID, receiver: Receiver) -> None:
    subscribe(engine, program_id, receiver.url)
    with pytest.raises(RuntimeError), engine.begin() as connection:  # noqa: PT012
        new = NewEvent(program_id, "job.dead", "job", uuid.uuid4(), {}, ("x",))
        assert events.record(connection, new) is not None
        raise RuntimeError
    assert rows(engine) == []
    assert happen(engine, program_id, "x") is not None


def test_failures_are_tried_again_by_the_schedule_and_end_dead_with_the_reason(
    engine: Engine, program_id: uuid.UUID, receiver: Receiver, deliverer: Deliverer
) -> None:
    subscribe(engine, program_id, receiver.url)
    event_id = happen(engine, program_id)
    receiver.answers = [(503, {}, b"maintenance"), (500, {}, b""), (404, {}, b"no hook"), (502, {}, b"last word")]
    states = []
    while deliver_next(engine, deliverer, AT_ONCE) is not None:
        states.append((rows(engine)[0].state, rows(engine)[0].reason))
    assert states == [
        ("waiting", "503: maintenance"),
        ("waiting", "500: Internal Server Error"),
        ("waiting", "404: no hook"),
        ("dead", "502: last word"),
    ]
    assert {headers["Webhook-Id"] for headers, _ in receiver.requests} == {str(event_id)}
    assert len({body for _, body in receiver.requests}) == 1


def test_the_pause_is_the_schedules_or_what_the_receiver_asks_for(
    engine: Engine,
    program_id: uuid.UUID,
    receiver: Receiver,
    deliverer: Deliverer,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pauses: list[float | None] = []
    mark = deliveries.mark

    def listen(connection: Any, claimed: Any, outcome: DeliveryOutcome) -> str | None:
        pauses.append(outcome.retry_after_s)
        return mark(connection, claimed, outcome)

    monkeypatch.setattr(deliveries, "mark", listen)
    subscribe(engine, program_id, receiver.url)
    for answer in ((500, {}, b""), (429, {"Retry-After": "1000"}, b"")):
        happen(engine, program_id)
        receiver.answers = [answer]
        assert deliver_next(engine, deliverer, Schedule(draw=lambda: 0.0)) is not None
    assert pauses == [DELAYS_S[0], 1000.0]
    with engine.connect() as connection:
        ahead = select(func.count()).where(webhook_delivery.c.next_attempt_at > func.now())
        assert connection.execute(ahead).scalar_one() >= 1


def test_a_receiver_that_wants_no_more_is_disabled(
    engine: Engine, program_id: uuid.UUID, receiver: Receiver, deliverer: Deliverer
) -> None:
    subscribe(engine, program_id, receiver.url)
    happen(engine, program_id)
    happen(engine, program_id)
    receiver.answers = [(410, {}, b"moved away")]
    assert deliver_next(engine, deliverer, AT_ONCE) is not None
    assert deliver_next(engine, deliverer, AT_ONCE) is None
    assert [(row.state, row.reason) for row in rows(engine)] == [("dead", "410: moved away"), ("waiting", None)]
    with engine.connect() as connection:
        subscription = connection.execute(select(webhook_subscription)).one()
        audited = connection.execute(select(audit_event.c.action)).scalars().all()
    assert (subscription.enabled, subscription.disabled_reason) == (False, "410: moved away")
    assert audited == ["webhook.disabled"]


def test_a_secret_that_was_replaced_signs_as_well_for_a_while(
    engine: Engine, program_id: uuid.UUID, receiver: Receiver, deliverer: Deliverer
) -> None:
    old = new_secret()
    until = func.now() + func.make_interval(0, 0, 0, 0, 1)
    new = subscribe(engine, program_id, receiver.url, previous_secret=old, previous_secret_until=until)
    happen(engine, program_id)
    deliver_next(engine, deliverer, AT_ONCE)
    ((headers, body),) = receiver.requests
    assert verify(new, headers, body, time.time()) == verify(old, headers, body, time.time())
    with engine.begin() as connection:
        connection.execute(update(webhook_subscription).values(previous_secret_until=func.now()))
    happen(engine, program_id)
    deliver_next(engine, deliverer, AT_ONCE)
    assert [len(headers["Webhook-Signature"].split()) for headers, _ in receiver.requests] == [2, 1]


def test_a_lost_lease_is_sent_again_and_the_late_mark_writes_nothing(
    engine: Engine, program_id: uuid.UUID, receiver: Receiver, deliverer: Deliverer
) -> None:
    subscribe(engine, program_id, receiver.url)
    happen(engine, program_id)
    zombie = deliveries.claim(engine, 60.0, 10)
    assert zombie is not None
    assert deliver_next(engine, deliverer, AT_ONCE) is None
    expire(engine)
    again = deliver_next(engine, deliverer, AT_ONCE)
    assert again is not None
    assert again.attempts == 2
    with engine.begin() as connection:
        assert deliveries.mark(connection, zombie, DeliveryOutcome(False, 500, "late")) is None
    assert rows(engine)[0].state == "delivered"


def test_a_delivery_whose_every_process_was_lost_is_dead(engine: Engine, program_id: uuid.UUID) -> None:
    subscribe(engine, program_id, "http://127.0.0.1:9/")
    happen(engine, program_id)
    for _ in range(3):
        assert deliveries.claim(engine, 60.0, 3) is not None
        expire(engine)
    assert deliveries.claim(engine, 60.0, 3) is None
    (row,) = rows(engine)
    assert (row.state, row.attempts, row.reason) == ("dead", 3, deliveries.LOST)


def test_a_receiver_gets_one_at_a_time_and_others_do_not_wait(engine: Engine, program_id: uuid.UUID) -> None:
    for url in ("http://slow.example/", "http://other.example/"):
        subscribe(engine, program_id, url)
    for _ in range(3):
        happen(engine, program_id)
    claimed = [deliveries.claim(engine, 60.0, 10) for _ in range(3)]
    assert claimed[2] is None
    assert {each.url for each in claimed if each is not None} == {"http://slow.example/", "http://other.example/"}


def test_threads_deliver_everything_once(engine: Engine, program_id: uuid.UUID, receiver: Receiver) -> None:
    for _ in range(3):
        subscribe(engine, program_id, receiver.url)
    told = {str(happen(engine, program_id)) for _ in range(10)}
    threads = DeliveryThreads(engine, lambda: Deliverer(THIS_MACHINE), AT_ONCE)
    threads.start()
    try:
        wait_until(lambda: all(row.state == "delivered" for row in rows(engine)))
    finally:
        threads.stop(PATIENCE_S)
    assert len(receiver.requests) == 30
    ids = [headers["Webhook-Id"] for headers, _ in receiver.requests]
    assert {identity: ids.count(identity) for identity in told} == dict.fromkeys(told, 3)


def wait_until(condition: Any) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.02)


KILLED = """
import sys, os
from db.engine import make_engine
from db.repositories import deliveries
from services.scheduler import deliveries as sending
from services.webhooks.delivery import Deliverer
from services.webhooks.schedule import Schedule
from tests.webhooks.receiver import THIS_MACHINE

def die(*_):
    print("sent", flush=True)
    sys.stdin.readline()

if sys.argv[2] == "before-mark":
    deliveries.mark = die
with Deliverer(THIS_MACHINE) as deliverer:
    sending.deliver_next(make_engine(sys.argv[1]), deliverer, Schedule(), lease_s=0.5)
print("marked", flush=True)
"""


def test_a_process_that_is_killed_between_sending_and_marking_loses_nothing(
    engine: Engine, database_url: str, program_id: uuid.UUID, receiver: Receiver, deliverer: Deliverer
) -> None:
    """The receiver gets the event twice, under the same id, and can tell."""
    secret = subscribe(engine, program_id, receiver.url)
    event_id = happen(engine, program_id)
    process = subprocess.Popen(
        [sys.executable, "-c", KILLED, database_url, "before-mark"],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == b"sent\n"
    os.kill(process.pid, signal.SIGKILL)
    process.wait(PATIENCE_S)
    process.stdout.close()
    assert process.stdin is not None
    process.stdin.close()
    assert (len(receiver.requests), rows(engine)[0].state) == (1, "sending")
    wait_until(lambda: deliver_next(engine, deliverer, AT_ONCE) is not None)
    assert [verify(secret, headers, body, time.time()) for headers, body in receiver.requests] == [str(event_id)] * 2
    (row,) = rows(engine)
    assert (row.state, row.attempts) == ("delivered", 2)
    with engine.connect() as connection:
        assert connection.execute(select(func.count()).select_from(event)).scalar_one() == 1
