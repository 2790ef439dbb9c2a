"""Webhooks over the API: the secret once, addresses checked, programs kept apart, deliveries sent again."""

import time
import uuid
from collections.abc import Iterator

import pytest
from sqlalchemy import func, select, update

from db.repositories import events
from db.repositories.events import NewEvent
from db.schema.events import webhook_delivery, webhook_subscription
from db.schema.people import program
from services.scheduler.deliveries import deliver_next
from services.webhooks.delivery import Deliverer
from services.webhooks.schedule import Schedule
from services.webhooks.signing import verify
from tests.api.conftest import Api, StartApi
from tests.api.population import add_account, add_program
from tests.webhooks.receiver import THIS_MACHINE, Receiver

ONCE = Schedule(delays_s=(), draw=lambda: 0.0)


@pytest.fixture
def api(start_api: StartApi) -> Api:
    made = start_api(webhook_networks="127.0.0.0/8")
    assert made.call("POST", "/programs", json={"name": "alpha"}).status_code == 201
    return made


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    made = Receiver()
    yield made
    made.close()


def happen(api: Api, name: str = "alpha") -> str:
    with api.engine.begin() as connection:
        owner = connection.execute(select(program.c.id).where(program.c.name == name)).scalar_one()
        subject = uuid.uuid4()
        return str(events.record(connection, NewEvent(owner, "job.dead", "job", subject, {"a": 1}, (subject,))))


def send(api: Api) -> None:
    with Deliverer(THIS_MACHINE) as deliverer:
        while deliver_next(api.engine, deliverer, ONCE) is not None:
            pass


def test_the_secret_is_shown_once_and_signs(api: Api, receiver: Receiver) -> None:
    body = {"program": "alpha", "url": receiver.url, "kinds": ["job.dead"]}
    answer = api.call("POST", "/webhooks", json=body)
    assert (answer.status_code, answer.headers["Cache-Control"]) == (201, "no-store")
    made = answer.json()
    event = happen(api)
    send(api)
    ((headers, sent),) = receiver.requests
    assert verify(made["secret"], headers, sent, time.time()) == event
    listed = api.call("GET", "/webhooks").json()["items"][0]
    shown = api.call("GET", f"/webhooks/{made['id']}").json()
    assert listed == shown
    assert "secret" not in shown
    assert made["secret"] not in api.call("GET", "/audit-events").text
    (delivery,) = api.call("GET", "/webhook-deliveries", params={"webhook": made["id"]}).json()["items"]
    assert (delivery["state"], delivery["event_id"], delivery["last_status"]) == ("delivered", event, 204)


def test_a_new_secret_replaces_the_old_one_within_a_day(api: Api, receiver: Receiver) -> None:
    made = api.call("POST", "/webhooks", json={"program": "alpha", "url": receiver.url}).json()
    replaced = api.call("POST", f"/webhooks/{made['id']}/secret").json()
    assert replaced["secret"] != made["secret"]
    happen(api)
    send(api)
    ((headers, sent),) = receiver.requests
    assert verify(made["secret"], headers, sent, time.time()) == verify(replaced["secret"], headers, sent, time.time())


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("http://10.0.0.1/", "nothing is sent to 10.0.0.1: it is in none of the networks"),
        ("http://169.254.169.254/latest", "nothing is sent to 169.254.169.254"),
        ("http://user@host.example/", "carries a user"),
        ("gopher://host.example/", "no http or https"),
    ],
)
def test_addresses_are_checked(api: Api, url: str, reason: str) -> None:
    answer = api.call("POST", "/webhooks", json={"program": "alpha", "url": url})
    assert (answer.status_code, reason in answer.json()["detail"]) == (422, True), answer.text
    made = api.call("POST", "/webhooks", json={"program": "alpha", "url": "https://hooks.example/"}).json()
    changed = api.call("PATCH", f"/webhooks/{made['id']}", json={"url": url})
    assert changed.status_code == 422
    assert api.call("GET", f"/webhooks/{made['id']}").json()["url"] == "https://hooks.example/"


def test_what_waits_for_a_webhook_that_rests_is_sent_later(api: Api, receiver: Receiver) -> None:
    made = api.call("POST", "/webhooks", json={"program": "alpha", "url": receiver.url}).json()
    first = happen(api)
    assert api.call("PATCH", f"/webhooks/{made['id']}", json={"enabled": False}).json()["enabled"] is False
    happen(api)
    send(api)
    assert receiver.requests == []
    assert api.call("PATCH", f"/webhooks/{made['id']}", json={"enabled": True}).status_code == 200
    send(api)
    assert [headers["Webhook-Id"] for headers, _ in receiver.requests] == [first]


def test_the_dead_are_sent_again_under_the_same_id(api: Api, receiver: Receiver) -> None:
    api.call("POST", "/webhooks", json={"program": "alpha", "url": receiver.url})
    event = happen(api)
    receiver.answers = [(500, {}, b"no")]
    send(api)
    (dead,) = api.call("GET", "/webhook-deliveries", params={"state": "dead"}).json()["items"]
    assert (dead["reason"], dead["attempts"]) == ("500: no", 1)
    again = api.call("POST", f"/webhook-deliveries/{dead['id']}/redeliver")
    assert (again.status_code, again.json()["state"], again.json()["attempts"]) == (202, "waiting", 0)
    send(api)
    assert [headers["Webhook-Id"] for headers, _ in receiver.requests] == [event, event]
    with api.engine.begin() as connection:
        sending = {"state": "sending", "lease_token": uuid.uuid4(), "lease_expires_at": func.now()}
        connection.execute(update(webhook_delivery).values(**sending))
    assert api.call("POST", f"/webhook-deliveries/{dead['id']}/redeliver").status_code == 409


def test_deleting_a_webhook_deletes_what_waits_for_it(api: Api, receiver: Receiver) -> None:
    made = api.call("POST", "/webhooks", json={"program": "alpha", "url": receiver.url}).json()
    happen(api)
    assert api.call("DELETE", f"/webhooks/{made['id']}").status_code == 204
    send(api)
    assert receiver.requests == []
    assert api.call("GET", "/webhook-deliveries").json()["items"] == []
    assert api.call("DELETE", f"/webhooks/{made['id']}").status_code == 404
    assert len(api.call("GET", "/events").json()["items"]) == 1


def test_a_foreign_programs_events_and_webhooks_do_not_exist(api: Api, receiver: Receiver) -> None:
    foreign = add_program(api.engine, "foreign")
    stranger = add_account(api.engine, "stranger", ["read", "write"], {foreign: "admin"})
    mine = api.call("POST", "/webhooks", json={"program": "alpha", "url": receiver.url}).json()
    assert api.call("POST", "/webhooks", stranger, json={"program": "alpha", "url": receiver.url}).status_code == 404
    theirs = api.call("POST", "/webhooks", stranger, json={"program": "foreign", "url": receiver.url}).json()
    event = happen(api)
    (delivery,) = api.call("GET", "/webhook-deliveries").json()["items"]
    assert delivery["subscription_id"] == mine["id"]
    for method, path in (
        ("GET", f"/webhooks/{mine['id']}"),
        ("PATCH", f"/webhooks/{mine['id']}"),
        ("DELETE", f"/webhooks/{mine['id']}"),
        ("POST", f"/webhooks/{mine['id']}/secret"),
        ("GET", f"/webhook-deliveries/{delivery['id']}"),
        ("POST", f"/webhook-deliveries/{delivery['id']}/redeliver"),
        ("GET", f"/events/{event}"),
    ):
        body = {"enabled": False} if method == "PATCH" else None
        assert api.call(method, path, stranger, json=body).status_code == 404, (method, path)
    assert api.call("GET", "/webhook-deliveries", stranger).json()["items"] == []
    assert [item["id"] for item in api.call("GET", "/webhooks", stranger).json()["items"]] == [theirs["id"]]
    with api.engine.connect() as connection:
        assert connection.execute(select(webhook_subscription.c.enabled)).scalars().all() == [True, True]


def test_the_installations_admin_makes_no_webhook_of_a_program_it_is_no_member_of(api: Api) -> None:
    """It administers every program and reads the data of none: events would be a way around that."""
    add_program(api.engine, "foreign")
    body = {"program": "foreign", "url": "https://hooks.example/"}
    assert api.call("POST", "/webhooks", json=body).status_code == 404
