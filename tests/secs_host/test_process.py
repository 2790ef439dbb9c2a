"""The command as a process: its configuration, and that a killed host has lost and doubled nothing."""

import json
import os
import random
import signal
import socket
import subprocess
import sys

import pytest

from services.secs_host.configuration import BadConfiguration, read_configuration
from services.secs_host.journal import Limits, MessageJournal
from services.secs_host.shipping import Shipper
from tests.secs_host.scripted import (
    DEADLINE_S,
    MAP,
    SELECT_REQ,
    SELECT_RSP,
    Scripted,
    control_bytes,
    event_body,
    kept,
    to_bytes,
)


def configuration(tmp_path, **changes):
    entry = {"name": "FIB-03", "host": "127.0.0.1", "port": 5000, "map": MAP} | changes
    path = tmp_path / "secs-host.json"
    path.write_text(json.dumps({"schema": "faultlight.secs-host/1", "equipment": [entry]}))
    return path


def start(path, *arguments):
    environment = {key: value for key, value in os.environ.items() if not key.startswith("FAULTLIGHT_")}
    command = [sys.executable, "-m", "services.cli", "secs-host", str(path), *arguments]
    return subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True)


def connect(server) -> Scripted:
    """The next connection of the host, selected."""
    equipment = Scripted(server.accept()[0])
    select = equipment.receive()
    assert select is not None
    assert select.stype == SELECT_REQ
    equipment.send(control_bytes(SELECT_RSP, select.system))
    return equipment


def test_a_killed_host_has_every_message_that_it_acknowledged_once(tmp_path):
    """The equipment sends an event until it is acknowledged; the host is killed at random moments meanwhile."""
    chance = random.Random(11)
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(DEADLINE_S)
        timers = {"t5_s": 0.05}
        path = configuration(tmp_path, port=server.getsockname()[1], timers=timers, confirm_s=0.02)
        number, kills = 1, 0
        while kills < 6:
            process = start(path)
            try:
                equipment = connect(server)
                until_kill = chance.randrange(1, 60)
                for count in range(until_kill + 1):
                    equipment.send(to_bytes(6, 11, number, event_body(number)))
                    if count == until_kill:
                        break
                    equipment.expect(
                        lambda each, number=number: each.name == "S6F12" and each.system == number, "S6F12"
                    )
                    number += 1
            finally:
                process.send_signal(signal.SIGKILL)
                process.wait(DEADLINE_S)
                process.stderr.close()
            kills += 1
            # an acknowledgement that was on its way when the host died counts
            while (message := equipment.receive()) is not None:
                if message.name == "S6F12":
                    number += 1
            equipment.close()
    journal = MessageJournal(tmp_path / "secs-host" / "FIB-03" / "journal.sqlite", "FIB-03", MAP)
    systems = [each.system_bytes for each in kept(journal, 6)]
    assert len(set(systems)) == len(systems), "nothing twice"
    assert set(range(1, number)) <= set(systems), "nothing lost"
    assert set(systems) <= set(range(1, number + 1)), "nothing invented"
    outbox = tmp_path / "outbox"
    Shipper(journal, outbox, Limits(age_s=0.0), None).ship()
    assert list(outbox.iterdir())
    journal.close()


def test_the_command_stops_when_told(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(DEADLINE_S)
        process = start(configuration(tmp_path, port=server.getsockname()[1]))
        equipment = connect(server)
        second = start(tmp_path / "secs-host.json")
        assert second.wait(DEADLINE_S) == 1
        assert "another process uses" in second.stderr.read()
        second.stderr.close()
        process.send_signal(signal.SIGTERM)
        equipment.serve_until_closed()
        assert process.wait(DEADLINE_S) == 0
        process.stderr.close()


def test_a_bad_configuration_is_told_in_a_line(tmp_path):
    process = start(configuration(tmp_path, prot=5000))
    assert process.wait(DEADLINE_S) == 2
    assert process.stderr.read() == "error: FIB-03 has 'prot', which means nothing\n"
    process.stderr.close()


def test_the_key_is_needed_only_for_uploads(tmp_path):
    process = start(configuration(tmp_path), "--url", "http://127.0.0.1:9")
    assert process.wait(DEADLINE_S) == 2
    assert "no key" in process.stderr.read()
    process.stderr.close()


def test_a_configuration_has_the_defaults_of_the_standard(tmp_path):
    read = read_configuration(configuration(tmp_path))
    (equipment,) = read.equipment
    timers = equipment.connecting.timers
    assert (timers.t3_s, timers.t5_s, timers.t6_s, timers.t7_s, timers.t8_s) == (45.0, 10.0, 5.0, 10.0, 5.0)
    assert (equipment.connecting.is_active, equipment.connecting.device_id) == (True, 0)
    assert read.state_dir == tmp_path / "secs-host"
    assert read.limits == Limits()


def test_the_map_may_be_a_file_beside_it(tmp_path):
    (tmp_path / "fib.json").write_text(json.dumps(MAP))
    (equipment,) = read_configuration(configuration(tmp_path, map="fib.json", device_id=None)).equipment
    assert equipment.equipment_map.variables["2001"].unit == "nA"
    assert equipment.connecting.device_id is None


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"name": "../x"}, "equipment[0].name is not letters, digits, '.', '_', '-', at most 64"),
        ({"mode": "both"}, "FIB-03.mode is not active or passive"),
        ({"port": 0}, "FIB-03.port is not a whole number from 1 to 65535"),
        ({"timers": {"t9_s": 1}}, "FIB-03.timers has 't9_s', which means nothing"),
        ({"timers": {"t3_s": 0}}, "FIB-03.timers.t3_s is not a number of at least 0.01"),
        ({"requests": {"alarms": 1}}, "FIB-03.requests.alarms is not true or false"),
        ({"requests": {"id_format": "A"}}, "FIB-03.requests.id_format is not one of I1, I2, I4, I8, U1, U2, U4, U8"),
        (
            {"map": {"schema": "x"}},
            "FIB-03: the configuration's schema is not known (expected faultlight.secs-equipment/1, found x)",
        ),
        ({"device_id": 40000}, "FIB-03.device_id is not a whole number from 0 to 32767"),
    ],
)
def test_what_is_wrong_in_a_configuration_is_named(tmp_path, changes, text):
    with pytest.raises(BadConfiguration) as caught:
        read_configuration(configuration(tmp_path, **changes))
    assert str(caught.value) == text


def test_two_equipment_of_one_name_are_refused(tmp_path):
    path = configuration(tmp_path)
    document = json.loads(path.read_text())
    document["equipment"] *= 2
    path.write_text(json.dumps(document))
    with pytest.raises(BadConfiguration, match="same name"):
        read_configuration(path)


def test_the_host_needs_no_heavy_packages():
    heavy = ("numpy", "scipy", "torch", "sqlalchemy", "pydantic", "secsgem")
    script = f"import sys, services.secs_host.command; print([name for name in {heavy} if name in sys.modules])"
    outcome = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert outcome.stdout.strip() == "[]"
