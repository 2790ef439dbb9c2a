"""Equipment that does exactly what a test says, over a real socket; its bytes are made here, not by the host's code."""

import asyncio
import contextlib
import itertools
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from instruments.secs.equipment_map import read_map
from services.secs_host.conversation import Requests
from services.secs_host.equipment import Connecting, EquipmentHost
from services.secs_host.journal import MessageJournal
from services.secs_host.session import Timers

DEADLINE_S = 20.0
SELECT_REQ, SELECT_RSP, DESELECT_REQ, DESELECT_RSP, LINKTEST_REQ, LINKTEST_RSP, REJECT, SEPARATE = (
    1,
    2,
    3,
    4,
    5,
    6,
    7,
    9,
)
MAP = {
    "schema": "faultlight.secs-equipment/1",
    "events": {"1001": {"name": "MillingStarted", "reports": ["1"]}},
    "reports": {"1": {"name": "Beam", "variables": ["2001"]}},
    "variables": {"2001": {"name": "BeamCurrent", "unit": "nA"}},
    "alarms": {"17": "Chamber pressure high"},
    "traces": {"5": {"name": "Beam", "variables": ["2001"], "period_s": 1.0}},
}


def until(condition: Callable[[], object], what: str) -> None:
    """Wait for a condition; fail when it does not come true within the deadline."""
    end = time.monotonic() + DEADLINE_S
    while not condition():
        assert time.monotonic() < end, f"not within {DEADLINE_S} s: {what}"
        time.sleep(0.005)


@dataclass(frozen=True)
class Message:
    """A message as it is on the wire."""

    session: int
    stream: int
    function: int
    wait: bool
    stype: int
    system: int
    body: bytes
    byte_2: int
    byte_3: int
    ptype: int = 0

    @property
    def name(self) -> str:
        return f"S{self.stream}F{self.function}" if self.stype == 0 else f"control {self.stype}"


def to_bytes(
    stream: int, function: int, system: int, body: bytes = b"", *, wait: bool = True, session: int = 0
) -> bytes:
    """A data message."""
    header = struct.pack(">HBBBBI", session, stream | (0x80 if wait else 0), function, 0, 0, system)
    return struct.pack(">I", 10 + len(body)) + header + body


def control_bytes(stype: int, system: int, status: int = 0, ptype: int = 0) -> bytes:
    """A control message."""
    return struct.pack(">IHBBBBI", 10, 0xFFFF, 0, status, ptype, stype, system)


def u4(value: int) -> bytes:
    return b"\xb1\x04" + struct.pack(">I", value)


def f4(value: float) -> bytes:
    return b"\x91\x04" + struct.pack(">f", value)


def items(*parts: bytes) -> bytes:
    return bytes([0x01, len(parts)]) + b"".join(parts)


def text(value: str) -> bytes:
    return bytes([0x41, len(value)]) + value.encode("ascii")


def event_body(number: int, event: int = 1001, value: float = 1.5) -> bytes:
    """S6F11 with one report of one value; ``number`` is its DATAID."""
    return items(u4(number), u4(event), items(items(u4(1), items(f4(value)))))


def alarm_body(alarm: int = 17, code: int = 0x85) -> bytes:
    return items(b"\x21\x01" + bytes([code]), u4(alarm), text("pressure 3e-4"))


def trace_body(sample: int, *values: float) -> bytes:
    return items(u4(5), u4(sample), text("2026112411372105"), items(*(f4(value) for value in values)))


class Scripted:
    """The equipment's end of one connection; answers linktests and S1F13 by itself while it waits for something."""

    def __init__(self, connection: socket.socket) -> None:
        self._socket = connection
        self._socket.settimeout(DEADLINE_S)
        self._buffer = b""
        self.answers_linktests = True
        self.linktests = 0
        self.asked: list[Message] = []
        self.reply_codes: dict[str, bytes] = {}

    @staticmethod
    def connect(port: int) -> "Scripted":
        return Scripted(socket.create_connection(("127.0.0.1", port), timeout=DEADLINE_S))

    def send(self, data: bytes) -> None:
        self._socket.sendall(data)

    def close(self) -> None:
        self._socket.close()

    def reset(self) -> None:
        """Break the connection without a goodbye."""
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._socket.close()

    def _exactly(self, count: int) -> bytes | None:
        while len(self._buffer) < count:
            try:
                piece = self._socket.recv(65536)
            except ConnectionError:
                return None
            if not piece:
                return None
            self._buffer += piece
        taken, self._buffer = self._buffer[:count], self._buffer[count:]
        return taken

    def receive(self) -> Message | None:
        """The next message from the host, or None when it has closed."""
        length = self._exactly(4)
        content = self._exactly(struct.unpack(">I", length)[0]) if length else None
        if content is None:
            return None
        session, b2, b3, ptype, stype, system = struct.unpack(">HBBBBI", content[:10])
        return Message(session, b2 & 0x7F, b3, b2 >= 0x80, stype, system, content[10:], b2, b3, ptype)

    def expect(self, wanted: Callable[[Message], bool], what: str) -> Message:
        """The next message for which ``wanted`` holds; what the host asks meanwhile is answered."""
        end = time.monotonic() + DEADLINE_S
        while time.monotonic() < end:
            message = self.receive()
            assert message is not None, f"the host closed while {what} was awaited"
            if wanted(message):
                return message
            self._answer(message)
        raise AssertionError(f"no {what}")

    def serve_until_closed(self) -> None:
        """Answer the host until it closes, as far as this side may still write."""
        while (message := self.receive()) is not None:
            with contextlib.suppress(BrokenPipeError):
                self._answer(message)

    def serve_for(self, seconds: float) -> None:
        """Answer the host for so long; it must not close meanwhile."""
        end = time.monotonic() + seconds
        while (left_s := end - time.monotonic()) > 0:
            self._socket.settimeout(left_s)
            with contextlib.suppress(TimeoutError):
                message = self.receive()
                assert message is not None, "the host closed"
                self._answer(message)
        self._socket.settimeout(DEADLINE_S)

    def _answer(self, message: Message) -> None:
        if message.stype == LINKTEST_REQ:
            self.linktests += 1
            if self.answers_linktests:
                self.send(control_bytes(LINKTEST_RSP, message.system))
        elif message.stype == SELECT_REQ:
            self.send(control_bytes(SELECT_RSP, message.system))
        elif message.stype == 0 and message.function % 2 == 1:
            self.asked.append(message)
            body = self.reply_codes.get(
                message.name, items(b"\x21\x01\x00", items()) if message.name == "S1F13" else b"\x21\x01\x00"
            )
            self.send(to_bytes(message.stream, message.function + 1, message.system, body, wait=False))

    def select(self, system: int = 0x7FFFFFFF) -> None:
        self.send(control_bytes(SELECT_REQ, system))
        reply = self.expect(lambda each: each.stype == SELECT_RSP and each.system == system, "Select.rsp")
        assert reply.byte_3 == 0

    def say(self, stream: int, function: int, system: int, body: bytes = b"", *, session: int = 0) -> Message:
        """Send a message that wants a reply, and return the reply."""
        self.send(to_bytes(stream, function, system, body, session=session))
        return self.expect(lambda each: each.stype == 0 and each.system == system and each.function % 2 == 0, "a reply")

    def confirm(self, journal: MessageJournal) -> None:
        """Go on until nothing that was acknowledged is unconfirmed."""
        until_confirmed = threading.Event()

        def look() -> None:
            while not until_confirmed.is_set():
                if unconfirmed(journal) == 0:
                    until_confirmed.set()
                time.sleep(0.005)

        watcher = threading.Thread(target=look)
        watcher.start()
        self._socket.settimeout(0.02)
        end = time.monotonic() + DEADLINE_S
        while not until_confirmed.is_set() and time.monotonic() < end:
            with contextlib.suppress(TimeoutError):
                message = self.receive()
                if message is not None:
                    self._answer(message)
        self._socket.settimeout(DEADLINE_S)
        confirmed = until_confirmed.is_set()
        until_confirmed.set()
        watcher.join()
        assert confirmed, "the acknowledgements were not confirmed"


def unconfirmed(journal: MessageJournal) -> int:
    with journal._lock:
        return journal._connection.execute("SELECT COUNT(*) FROM message WHERE confirmed = 0").fetchone()[0]


QUICK = Timers(t3_s=2.0, t5_s=0.05, t6_s=2.0, t7_s=2.0, t8_s=2.0, max_message_bytes=1 << 20)


@dataclass
class Running:
    """A host that runs in a thread of its own."""

    journal: MessageJournal
    connecting: Connecting
    requests: Requests = field(default_factory=Requests)
    states: list[str] = field(default_factory=list)

    def start(self) -> "Running":
        self._loop = asyncio.new_event_loop()
        host = EquipmentHost("FIB-03", self.connecting, self.requests, read_map(MAP), self.journal, self.states.append)
        self._task = self._loop.create_task(host.run())
        self._thread = threading.Thread(target=self._run)
        self._thread.start()
        if not self.connecting.is_active:
            self.wait("listening")
        return self

    def _run(self) -> None:
        with contextlib.suppress(asyncio.CancelledError):
            self._loop.run_until_complete(self._task)
        self._loop.run_until_complete(self._loop.shutdown_default_executor())
        self._loop.close()

    def stop(self) -> None:
        self._loop.call_soon_threadsafe(self._task.cancel)
        self._thread.join(DEADLINE_S)
        assert not self._thread.is_alive()

    def wait(self, start: str, times: int = 1) -> str:
        """Wait until a state was told so many times; return it."""
        until(lambda: sum(each.startswith(start) for each in self.states) >= times, f"{start} x {times}: {self.states}")
        return [each for each in self.states if each.startswith(start)][times - 1]

    @property
    def port(self) -> int:
        return int(self.wait("listening").split()[1])


@contextlib.contextmanager
def running(journal: MessageJournal, requests: Requests | None = None, **changes) -> Iterator[Running]:
    """A passive host on a free port of this machine."""
    settings = {"timers": QUICK, "linktest_s": 5.0, "confirm_s": 0.01} | changes
    made = Running(journal, Connecting(is_active=False, host="127.0.0.1", port=0, **settings), requests or Requests())
    made.start()
    try:
        yield made
    finally:
        made.stop()


def open_journal(folder: Path, **options) -> MessageJournal:
    return MessageJournal(folder / "journal.sqlite", "FIB-03", MAP, **options)


def kept(journal: MessageJournal, stream: int | None = None) -> list:
    """What is in the journal and no repeat, of one stream or all."""
    found = [each for each in journal.messages(1, journal.count()) if each.repeat_of is None]
    return [each for each in found if stream is None or each.stream == stream]


systems = itertools.count(100)
