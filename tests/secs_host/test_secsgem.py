"""The host with equipment that somebody else has written: secsgem, over a real socket."""

import logging
import threading

import pytest
import secsgem.gem
import secsgem.hsms
import secsgem.secs

from instruments.bundle import open_source
from instruments.secs.secs_journal import SecsJournalAdapter
from services.secs_host.conversation import Requests
from services.secs_host.journal import Limits
from services.secs_host.shipping import Shipper
from tests.secs_host.scripted import DEADLINE_S, kept, open_journal, running, until


class Equipment(secsgem.gem.GemEquipmentHandler):
    """A tool with one variable, one event and one alarm."""

    def __init__(self, port: int) -> None:
        super().__init__(
            secsgem.hsms.HsmsSettings(
                address="127.0.0.1",
                port=port,
                session_id=0,
                connect_mode=secsgem.hsms.HsmsConnectMode.ACTIVE,
                device_type=secsgem.common.DeviceType.EQUIPMENT,
            )
        )
        self.data_values[2001] = secsgem.gem.DataValue(2001, "BeamCurrent", secsgem.secs.variables.F4, False)
        self.data_values[2001].value = 1.5
        self.collection_events[1001] = secsgem.gem.CollectionEvent(1001, "MillingStarted", [2001])
        self.alarms[17] = secsgem.gem.Alarm(17, "pressure", "pressure 3e-4", 5, 1001, 1001)


@pytest.fixture
def journal(tmp_path):
    made = open_journal(tmp_path)
    yield made
    made.close()


def test_secsgem_equipment_reports_events_and_alarms(tmp_path, journal, caplog):
    caplog.set_level(logging.CRITICAL, "secsgem")
    with running(journal, Requests(reports=True, alarms=True)) as host:
        equipment = Equipment(host.port)
        equipment.enable()
        try:
            host.wait("communicating")
            assert equipment.waitfor_communicating(DEADLINE_S)
            equipment.trigger_collection_events([1001])
            until(lambda: len(kept(journal, 6)) == 1, "the event")
            # secsgem sends alarms without asking for a reply, and then waits for one
            equipment.settings.timeouts.t3 = 0.2
            equipment.set_alarm(17)
            until(lambda: len(kept(journal, 5)) == 1, "the alarm")
            trace = {"TRID": 5, "SMPLN": 3, "STIME": "261124113721", "SV": [secsgem.secs.variables.F4(2.5)]}
            assert equipment.send_stream_function(equipment.stream_function(6, 1)(trace))
            until(lambda: len(kept(journal, 6)) == 3, "the alarm's event and the trace")
        finally:
            stopping = threading.Thread(target=equipment.disable)
            stopping.start()
            stopping.join(DEADLINE_S)
    outbox = tmp_path / "outbox"
    Shipper(journal, outbox, Limits(age_s=0.0), None).ship()
    (path,) = outbox.iterdir()
    _, records = SecsJournalAdapter().read(open_source(path, scratch=tmp_path / "scratch"))
    tables = {table.kind: table for table in records}
    event = tables["equipment_event"]
    assert event.columns["event_name"][0] == "MillingStarted"
    assert event.columns["variable_name"][0] == "BeamCurrent"
    assert (event.columns["value_number"][0], event.columns["unit"][0]) == (1.5, "nA")
    trace = tables["equipment_trace"]
    assert (trace.columns["variable_name"][0], trace.columns["value_number"][0]) == ("BeamCurrent", 2.5)
    alarm = tables["equipment_alarm"]
    assert (alarm.columns["alarm_id"][0], alarm.columns["is_set"][0], alarm.columns["alarm_text"][0]) == (
        "17",
        True,
        "pressure 3e-4",
    )
