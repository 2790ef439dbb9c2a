"""The host as an equipment sees it: what it answers, and that whatever it acknowledged is there, once."""

import sqlite3

import pytest

from services.secs_host.conversation import Requests
from services.secs_host.journal import MessageJournal
from tests.secs_host import scripted
from tests.secs_host.scripted import (
    QUICK,
    Scripted,
    alarm_body,
    control_bytes,
    event_body,
    items,
    kept,
    open_journal,
    running,
    text,
    to_bytes,
    trace_body,
    u4,
    until,
)


@pytest.fixture
def journal(tmp_path):
    made = open_journal(tmp_path)
    yield made
    made.close()


@pytest.fixture
def host(journal):
    with running(journal) as made:
        yield made


@pytest.fixture
def equipment(host):
    made = Scripted.connect(host.port)
    made.select()
    yield made
    made.close()


ACCEPTED = b"\x21\x01\x00"


@pytest.mark.parametrize(
    ("stream", "function", "body", "reply"),
    [
        (1, 1, b"", b"\x01\x00"),
        (1, 13, items(text("FIB"), text("1.0")), items(ACCEPTED, items())),
        (2, 25, b"\x21\x03abc", b"\x21\x03abc"),
        (5, 1, alarm_body(), ACCEPTED),
        (6, 1, trace_body(1, 1.0, 2.0), ACCEPTED),
        (6, 11, event_body(1), ACCEPTED),
        (6, 13, items(u4(1), u4(2), items()), ACCEPTED),
        (10, 1, items(ACCEPTED, text("hello")), ACCEPTED),
    ],
)
def test_a_host_answers(equipment, journal, stream, function, body, reply):
    answer = equipment.say(stream, function, 7, body)
    assert (answer.stream, answer.function, answer.wait, answer.body) == (stream, function + 1, False, reply)
    (message,) = kept(journal)
    assert (message.stream, message.function, message.system_bytes, message.body) == (stream, function, 7, body)


def test_a_host_tells_the_time(equipment):
    answer = equipment.say(2, 17, 7)
    assert answer.name == "S2F18"
    assert answer.body[:2] == b"\x41\x10"
    assert answer.body[2:].isdigit()


@pytest.mark.parametrize(("stream", "function"), [(1, 17), (7, 1), (99, 1), (6, 99), (127, 255)])
def test_what_a_host_has_no_use_for_is_aborted_and_kept(equipment, journal, stream, function):
    answer = equipment.say(stream, function, 9, items())
    assert (answer.stream, answer.function) == (stream, 0)
    assert [(each.stream, each.function) for each in kept(journal)] == [(stream, function)]


@pytest.mark.parametrize(
    "body", [b"\xff\xff", b"\x01\x05\xb1", b"\xb1\x04\x00", items(u4(1)) + b"x", b"\x03\xff\xff\xff"]
)
def test_a_body_that_is_no_secs_is_aborted_and_kept(equipment, journal, body):
    answer = equipment.say(6, 11, 9, body)
    assert (answer.stream, answer.function) == (6, 0)
    assert kept(journal)[0].body == body
    assert equipment.say(6, 11, 10, event_body(1)).body == ACCEPTED


def test_messages_that_want_no_reply_are_kept_and_not_answered(equipment, journal):
    equipment.send(to_bytes(6, 11, 5, event_body(1), wait=False))
    answer = equipment.say(6, 11, 6, event_body(2))
    assert answer.system == 6
    assert [each.system_bytes for each in kept(journal)] == [5, 6]


def test_another_device_is_not_taken(equipment, journal):
    answer = equipment.say(6, 11, 5, event_body(1), session=3)
    assert (answer.name, answer.session) == ("S6F0", 3)
    assert kept(journal) == []


def test_many_open_transactions_are_answered_each(equipment, journal):
    numbers = list(range(1000, 1400))
    equipment.send(b"".join(to_bytes(6, 11, number, event_body(number)) for number in numbers))
    answered = [equipment.expect(lambda each: each.name == "S6F12", "S6F12").system for _ in numbers]
    assert answered == numbers
    assert [each.system_bytes for each in kept(journal, 6)] == numbers


def test_bytes_may_come_one_by_one(equipment, journal):
    for byte in to_bytes(6, 11, 5, event_body(1)):
        equipment.send(bytes([byte]))
    assert equipment.expect(lambda each: each.name == "S6F12", "S6F12").system == 5
    assert len(kept(journal)) == 1


def test_the_host_establishes_communication_and_asks_for_what_it_is_told(journal):
    requests = Requests(online=True, reports=True, alarms=True, spool=True)
    with running(journal, requests) as host:
        equipment = Scripted.connect(host.port)
        equipment.select()
        equipment.reply_codes = {"S5F3": b"\x21\x01\x01"}
        until_asked = ["S1F13", "S1F17", "S2F33", "S2F33", "S2F35", "S2F37", "S5F3", "S5F3", "S6F23"]
        while len(equipment.asked) < len(until_asked):
            message = equipment.receive()
            assert message is not None
            equipment._answer(message)
        assert [each.name for each in equipment.asked] == until_asked
        assert all(each.wait for each in equipment.asked)
        bodies = {each.name: each.body for each in equipment.asked}
        assert bodies["S2F33"] == items(u4(0), items(items(u4(1), items(u4(2001)))))
        assert bodies["S2F35"] == items(u4(0), items(items(u4(1001), items(u4(1)))))
        assert bodies["S2F37"] == items(b"\x25\x01\x01", items(u4(1001)))
        alarms = [each.body for each in equipment.asked if each.name == "S5F3"]
        assert alarms == [items(b"\x21\x01\x80", b"\xb1\x00"), items(b"\x21\x01\x80", u4(17))]
        host.wait("communicating")
        equipment.close()


def test_communication_that_is_denied_is_asked_for_again(journal):
    with running(journal, Requests(retry_s=0.01)) as host:
        equipment = Scripted.connect(host.port)
        equipment.reply_codes = {"S1F13": items(b"\x21\x01\x01", items())}
        equipment.select()
        while len(equipment.asked) < 3:
            equipment._answer(equipment.receive())
        assert "communicating" not in host.states
        equipment.reply_codes = {}
        equipment._answer(equipment.receive())
        host.wait("communicating")
        equipment.close()


def test_linktest_select_again_and_deselect(host):
    equipment = Scripted.connect(host.port)
    equipment.send(control_bytes(scripted.LINKTEST_REQ, 1))
    assert equipment.receive().stype == scripted.LINKTEST_RSP
    equipment.select(2)
    equipment.send(control_bytes(scripted.SELECT_REQ, 3))
    assert equipment.expect(lambda each: each.stype == scripted.SELECT_RSP, "Select.rsp").byte_3 == 1
    equipment.send(control_bytes(scripted.DESELECT_REQ, 4))
    assert equipment.expect(lambda each: each.stype == scripted.DESELECT_RSP, "Deselect.rsp").byte_3 == 0
    equipment.send(to_bytes(6, 11, 5, event_body(1)))
    rejection = equipment.expect(lambda each: each.stype == scripted.REJECT, "Reject.req")
    assert (rejection.system, rejection.byte_2, rejection.byte_3) == (5, 0, 4)
    equipment.select(6)
    assert equipment.say(6, 11, 7, event_body(2)).name == "S6F12"
    equipment.close()


@pytest.mark.parametrize(
    ("data", "kind", "reason"),
    [
        (control_bytes(8, 1), 8, 1),
        (control_bytes(1, 1, ptype=2), 2, 2),
        (control_bytes(scripted.LINKTEST_RSP, 1), scripted.LINKTEST_RSP, 3),
    ],
)
def test_what_hsms_does_not_allow_is_rejected(equipment, data, kind, reason):
    equipment.send(data)
    rejection = equipment.expect(lambda each: each.stype == scripted.REJECT, "Reject.req")
    assert (rejection.system, rejection.byte_2, rejection.byte_3) == (1, kind, reason)


@pytest.mark.parametrize(
    ("garbage", "reason"),
    [
        (b"\x00\x00\x00\x09123456789", "a message says it has 9 bytes"),
        (b"\x00\x00\x00\x00", "a message says it has 0 bytes"),
        (b"\xff\xff\xff\xff", "a message says it has 4294967295 bytes"),
        (b"GET / HTTP/1.1\r\n\r\n", "a message says it has 1195725856 bytes"),
        (to_bytes(6, 11, 5, event_body(1))[:-1], "the connection ended inside a message, 1 bytes before its end"),
        (b"\x00\x00", "the connection ended inside a message, 2 bytes before its end"),
    ],
)
def test_garbage_ends_the_connection_with_its_reason_and_nothing_else(journal, host, equipment, garbage, reason):
    assert equipment.say(6, 11, 4, event_body(0)).name == "S6F12"
    equipment.send(garbage)
    equipment._socket.shutdown(1)
    equipment.serve_until_closed()
    assert host.wait("disconnected").startswith(f"disconnected: {reason}")
    again = Scripted.connect(host.port)
    again.select()
    assert again.say(6, 11, 6, event_body(1)).name == "S6F12"
    assert [each.system_bytes for each in kept(journal, 6)] == [4, 6]
    again.close()


def test_timers_end_dead_connections(journal):
    timers = scripted.Timers(t3_s=0.1, t5_s=0.05, t6_s=0.1, t7_s=0.1, t8_s=0.1)
    with running(journal, timers=timers, linktest_s=0.1) as host:
        silent = Scripted.connect(host.port)
        assert host.wait("disconnected", 1) == "disconnected: T7: not selected within 0.1 s"
        silent.close()
        halting = Scripted.connect(host.port)
        halting.select()
        halting.send(b"\x00\x00\x00")
        assert host.wait("disconnected", 2) == "disconnected: T8: 0.1 s without a byte inside a message"
        halting.close()
        deaf = Scripted.connect(host.port)
        deaf.select()
        deaf.answers_linktests = False
        deaf.serve_until_closed()
        assert host.wait("disconnected", 3) == "disconnected: T6: LINKTEST_REQ was not answered within 0.1 s"
        deaf.close()


def test_a_second_connection_is_closed_and_the_first_goes_on(host, equipment):
    second = Scripted.connect(host.port)
    assert second.receive() is None
    second.close()
    assert equipment.say(6, 11, 5, event_body(1)).name == "S6F12"


def test_a_first_connection_that_died_in_silence_makes_room(journal):
    timers = scripted.Timers(t3_s=2.0, t5_s=0.05, t6_s=0.1, t7_s=2.0, t8_s=2.0)
    with running(journal, timers=timers, linktest_s=60.0) as host:
        dead = Scripted.connect(host.port)
        dead.select()
        second = Scripted.connect(host.port)
        assert second.receive() is None
        host.wait("disconnected")
        third = Scripted.connect(host.port)
        third.select()
        assert third.say(6, 11, 5, event_body(1)).name == "S6F12"
        for each in (dead, second, third):
            each.close()


def test_separate_ends_the_connection_at_once(host, equipment):
    equipment.send(control_bytes(scripted.SEPARATE, 5))
    equipment.serve_until_closed()
    assert host.wait("disconnected") == "disconnected: the equipment separated"


def test_a_stopping_host_separates(journal):
    with running(journal) as host:
        equipment = Scripted.connect(host.port)
        equipment.select()
        equipment.say(6, 11, 5, event_body(1))
    assert equipment.expect(lambda each: each.stype == scripted.SEPARATE, "Separate.req")
    equipment.close()


def test_a_message_cut_anywhere_and_sent_again_is_there_once(journal, host):
    frame = to_bytes(6, 11, 5, event_body(1))
    for cut in range(len(frame) + 1):
        number = 1000 + cut
        frame = to_bytes(6, 11, number, event_body(number))
        first = Scripted.connect(host.port)
        first.select()
        first.send(frame[:cut])
        first.close()
        host.wait("disconnected", cut * 2 + 1)
        again = Scripted.connect(host.port)
        again.select()
        again.send(frame)
        assert again.expect(lambda each: each.name == "S6F12", "S6F12").system == number
        again.confirm(journal)
        again.close()
        host.wait("disconnected", cut * 2 + 2)
    assert [each.system_bytes for each in kept(journal, 6)] == [1000 + cut for cut in range(len(frame) + 1)]
    whole = [each for each in journal.messages(1, journal.count()) if each.stream == 6]
    # The last cut is after the whole message: whether it came before the reset is up to the network.
    assert len(whole) - (len(frame) + 1) in (0, 1)
    if len(whole) == len(frame) + 2:
        assert whole[-1].repeat_of == whole[-2].number


@pytest.mark.parametrize("goodbye", ["close", "reset"])
def test_an_acknowledgement_that_is_lost_leads_to_one_event(journal, host, goodbye):
    for number in range(1, 11):
        first = Scripted.connect(host.port)
        first.select()
        first.answers_linktests = False
        assert first.say(6, 11, number, event_body(number)).name == "S6F12"
        getattr(first, goodbye)()
        host.wait("disconnected", number)
    again = Scripted.connect(host.port)
    again.select()
    for number in range(1, 11):
        assert again.say(6, 11, number, event_body(number)).name == "S6F12"
    assert [each.system_bytes for each in kept(journal, 6)] == list(range(1, 11))
    repeats = [each.repeat_of for each in journal.messages(1, journal.count()) if each.repeat_of is not None]
    assert len(repeats) == 10
    again.close()


def test_the_same_content_with_other_system_bytes_is_kept_and_marked(journal, host):
    first = Scripted.connect(host.port)
    first.select()
    first.answers_linktests = False
    first.say(6, 11, 5, event_body(1))
    first.close()
    host.wait("disconnected")
    again = Scripted.connect(host.port)
    again.select()
    again.say(6, 11, 6, event_body(1))
    again.say(6, 11, 7, event_body(1))
    original, doubtful, new = kept(journal, 6)
    assert (original.may_repeat, doubtful.may_repeat, new.may_repeat) == (None, original.number, None)
    again.close()


def test_an_equipment_that_counts_from_one_again_loses_nothing(journal, host):
    """After a restart the same event with the same system bytes is a new one: the first was confirmed."""
    for boot in range(1, 4):
        equipment = Scripted.connect(host.port)
        equipment.select()
        equipment.say(6, 11, 1, event_body(0))
        equipment.confirm(journal)
        equipment.close()
        host.wait("disconnected", boot)
    assert len(kept(journal, 6)) == 3


def test_the_same_system_bytes_over_one_connection_are_no_repeat(equipment, journal):
    equipment.answers_linktests = False
    for _ in range(3):
        equipment.say(6, 11, 1, event_body(0))
    assert len(kept(journal, 6)) == 3


class Failing(MessageJournal):
    """Fails once, before or after the commit."""

    failure: str | None = None

    def keep(self, connection, frames):
        failure, self.failure = self.failure, None
        if failure == "before":
            raise sqlite3.OperationalError("disk I/O error")
        numbers = super().keep(connection, frames)
        if failure == "after":
            raise sqlite3.OperationalError("disk I/O error")
        return numbers


@pytest.mark.parametrize("failure", ["before", "after"])
def test_a_journal_that_fails_leads_to_no_acknowledgement_and_no_loss(tmp_path, failure):
    journal = Failing(tmp_path / "journal.sqlite", "FIB-03", scripted.MAP)
    with running(journal) as host:
        first = Scripted.connect(host.port)
        first.select()
        journal.failure = failure
        first.send(to_bytes(6, 11, 5, event_body(1)))
        seen = []
        while (message := first.receive()) is not None:
            seen.append(message.name)
            first._answer(message)
        assert "S6F12" not in seen
        assert host.wait("disconnected") == "disconnected: the journal cannot be written: disk I/O error"
        again = Scripted.connect(host.port)
        again.select()
        assert again.say(6, 11, 5, event_body(1)).name == "S6F12"
        assert len(kept(journal, 6)) == 1
        again.close()
    journal.close()


def test_a_restarted_host_recognises_what_it_had(tmp_path):
    journal = open_journal(tmp_path)
    with running(journal) as host:
        equipment = Scripted.connect(host.port)
        equipment.select()
        equipment.answers_linktests = False
        equipment.say(6, 11, 5, event_body(1))
    journal.close()
    journal = open_journal(tmp_path)
    with running(journal) as host:
        again = Scripted.connect(host.port)
        again.select()
        again.say(6, 11, 5, event_body(1))
        again.say(6, 11, 6, event_body(2))
        assert [each.system_bytes for each in kept(journal, 6)] == [5, 6]
        again.close()
    journal.close()


def test_an_active_host_connects_again_and_again(tmp_path):
    import socket

    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(scripted.DEADLINE_S)
        journal = open_journal(tmp_path)
        connecting = scripted.Connecting(
            is_active=True, host="127.0.0.1", port=server.getsockname()[1], timers=QUICK, confirm_s=0.01
        )
        host = scripted.Running(journal, connecting).start()
        try:
            for number in range(1, 6):
                equipment = Scripted(server.accept()[0])
                select = equipment.receive()
                assert (select.stype, select.session) == (scripted.SELECT_REQ, 0xFFFF)
                equipment.send(control_bytes(scripted.SELECT_RSP, select.system))
                assert equipment.say(6, 11, number, event_body(number)).name == "S6F12"
                equipment.reset()
                host.wait("disconnected", number)
        finally:
            host.stop()
        assert [each.system_bytes for each in kept(journal, 6)] == [1, 2, 3, 4, 5]
        until(lambda: sum(each.startswith("disconnected") for each in host.states) >= 5, "five ends")
        journal.close()
