"""One HSMS connection (SEMI E37, single session): select, linktest, separate, transactions, and their timers.

T3: reply to a data message. T5: between two tries to connect (the caller's). T6: reply to a control message. T7: not
selected. T8: inside a message. Nothing that was received is dropped: data messages wait in a bounded queue, and when it
is full the reader stops, so that TCP holds the equipment back.
"""

import asyncio
import contextlib
import logging
from dataclasses import dataclass

from services.secs_host.frames import (
    Frame,
    LineBroken,
    Rejection,
    SType,
    control_frame,
    data_frame,
    encode_frame,
    read_frame,
)

log = logging.getLogger("faultlight.secs_host")

QUEUE_LENGTH = 1024


@dataclass(frozen=True)
class Timers:
    """The timers in seconds, with the defaults of the standard, and the largest message that is taken."""

    t3_s: float = 45.0
    t5_s: float = 10.0
    t6_s: float = 5.0
    t7_s: float = 10.0
    t8_s: float = 5.0
    max_message_bytes: int = 32 << 20


class NoReply(Exception):  # noqa: N818
    """A request was not answered in time, or was rejected or aborted; the connection goes on."""


class Session:
    """A connection from when it is there until it is gone; ``run`` it, and take data messages from ``received``.

    Args:
        reader, writer: the connection.
        timers: how long to wait for what.
        is_active: whether this side selects.
        session_id: the device id for messages of our own.
    """

    def __init__(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        timers: Timers,
        *,
        is_active: bool,
        session_id: int = 0,
    ) -> None:
        self._reader = reader
        self._writer = writer
        self._timers = timers
        self._is_active = is_active
        self.session_id = session_id
        self.received: asyncio.Queue[Frame] = asyncio.Queue(QUEUE_LENGTH)
        self.selected = asyncio.Event()
        self._deselected = asyncio.Event()
        self._deselected.set()
        self._open: dict[tuple[int, int], asyncio.Future[Frame]] = {}
        self._next_system = 1
        self._closed = False

    async def run(self) -> str:
        """Serve the connection until it ends; return why, in words.

        Whatever was received stays in ``received``; ``close`` is the caller's.
        """
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._guard_selection())
                tasks.create_task(self._read())
                if self._is_active:
                    tasks.create_task(self._select())
        except* LineBroken as group:
            reason = str(group.exceptions[0])
        except* OSError as group:
            reason = f"the connection broke: {group.exceptions[0]}"
        self.selected.clear()
        return reason

    async def close(self) -> None:
        """Close the connection; whoever waits for a reply gets none."""
        self._closed = True
        self.selected.clear()
        for future in self._open.values():
            if not future.done():
                future.set_exception(NoReply("the connection ended"))
        self._open.clear()
        self._writer.close()
        with contextlib.suppress(OSError, TimeoutError):
            async with asyncio.timeout(1.0):
                await self._writer.wait_closed()

    async def separate(self) -> None:
        """Tell the other side that the connection ends now."""
        if self.selected.is_set():
            with contextlib.suppress(LineBroken, OSError):
                await self.send(control_frame(SType.SEPARATE_REQ, self._take_system_bytes()))

    async def send(self, frame: Frame) -> None:
        """Send one message.

        Raises:
            LineBroken: the connection is gone, or the other side does not read.
        """
        if self._closed:
            raise LineBroken("the connection is closed")
        self._writer.write(encode_frame(frame))
        try:
            async with asyncio.timeout(self._timers.t3_s):
                await self._writer.drain()
        except TimeoutError as error:
            raise LineBroken("the other side does not take what is sent") from error
        except OSError as error:
            raise LineBroken(f"the connection broke: {error}") from error

    async def ask(self, stream: int, function: int, body: bytes) -> Frame:
        """Send a data message that wants a reply, and return the reply.

        Raises:
            NoReply: it did not come within T3, the transaction was aborted or the message was rejected.
            LineBroken: the connection is gone.
        """
        system = self._take_system_bytes()
        frame = data_frame(self.session_id, stream, function, system, body, wants_reply=True)
        reply = await self._transact(frame, self._timers.t3_s, "T3")
        if reply.s_type != SType.DATA or reply.function != function + 1 or reply.stream != stream:
            what = "rejected" if reply.s_type != SType.DATA else f"answered with {reply.name}"
            raise NoReply(f"{frame.name} was {what}")
        return reply

    async def linktest(self) -> None:
        """Return when the other side has shown that it reads what we send.

        Raises:
            LineBroken: it did not, within T6.
        """
        await self._control(SType.LINKTEST_REQ)

    async def _select(self) -> None:
        reply = await self._control(SType.SELECT_REQ)
        if reply.s_type == SType.SELECT_RSP and reply.byte_3 in (0, 1):
            return
        raise LineBroken(f"the equipment did not let itself be selected, status {reply.byte_3}")

    async def _control(self, s_type: SType) -> Frame:
        try:
            return await self._transact(control_frame(s_type, self._take_system_bytes()), self._timers.t6_s, "T6")
        except NoReply as error:
            raise LineBroken(str(error)) from error

    async def _transact(self, frame: Frame, limit_s: float, timer: str) -> Frame:
        future: asyncio.Future[Frame] = asyncio.get_running_loop().create_future()
        key = (frame.s_type, frame.system_bytes)
        self._open[key] = future
        try:
            await self.send(frame)
            async with asyncio.timeout(limit_s):
                return await future
        except TimeoutError as error:
            what = frame.name if frame.s_type == SType.DATA else SType(frame.s_type).name
            raise NoReply(f"{timer}: {what} was not answered within {limit_s} s") from error
        finally:
            self._open.pop(key, None)

    def _take_system_bytes(self) -> int:
        system, self._next_system = self._next_system, self._next_system % 0xFFFFFFFF + 1
        return system

    def _mark_selected(self) -> None:
        self._deselected.clear()
        self.selected.set()

    async def _guard_selection(self) -> None:
        """End a connection that is not selected for T7."""
        while True:
            await self._deselected.wait()
            try:
                async with asyncio.timeout(self._timers.t7_s):
                    await self.selected.wait()
            except TimeoutError as error:
                raise LineBroken(f"T7: not selected within {self._timers.t7_s} s") from error

    async def _read(self) -> None:
        while True:
            frame = await read_frame(self._reader, self._timers.max_message_bytes, self._timers.t8_s)
            if frame is None:
                raise LineBroken("the equipment closed the connection")
            if frame.p_type != 0:
                await self._reject(frame, frame.p_type, Rejection.PTYPE_NOT_SUPPORTED)
            elif frame.s_type == SType.DATA:
                await self._take_data(frame)
            else:
                await self._take_control(frame)

    async def _reject(self, frame: Frame, kind: int, reason: Rejection) -> None:
        log.warning("rejected a message: %s", reason.name)
        await self.send(control_frame(SType.REJECT_REQ, frame.system_bytes, reason, kind))

    async def _take_data(self, frame: Frame) -> None:
        if not self.selected.is_set():
            await self._reject(frame, SType.DATA, Rejection.NOT_SELECTED)
        elif frame.is_primary:
            await self.received.put(frame)
        elif not self._resolve(SType.DATA, frame):
            log.warning("%s answers nothing that was asked", frame.name)

    def _resolve(self, request: int, frame: Frame) -> bool:
        """Hand the reply to a ``request`` to whoever waits for it; whether somebody does."""
        future = self._open.get((request, frame.system_bytes))
        if future is None or future.done():
            return False
        future.set_result(frame)
        return True

    async def _take_control(self, frame: Frame) -> None:
        match frame.s_type:
            case SType.SELECT_REQ:
                already = self.selected.is_set()
                if not already:
                    self._mark_selected()
                await self.send(control_frame(SType.SELECT_RSP, frame.system_bytes, 1 if already else 0))
            case SType.DESELECT_REQ:
                was = self.selected.is_set()
                self.selected.clear()
                self._deselected.set()
                await self.send(control_frame(SType.DESELECT_RSP, frame.system_bytes, 0 if was else 1))
            case SType.LINKTEST_REQ:
                await self.send(control_frame(SType.LINKTEST_RSP, frame.system_bytes))
            case SType.SEPARATE_REQ:
                raise LineBroken("the equipment separated")
            case SType.SELECT_RSP | SType.DESELECT_RSP | SType.LINKTEST_RSP:
                if self._resolve(frame.s_type - 1, frame):
                    if frame.s_type == SType.SELECT_RSP and frame.byte_3 in (0, 1):
                        self._mark_selected()  # here, since a data message may be the next one
                else:
                    await self._reject(frame, frame.s_type, Rejection.TRANSACTION_NOT_OPEN)
            case SType.REJECT_REQ:
                self._resolve(frame.byte_2, frame)
            case _:
                await self._reject(frame, frame.s_type, Rejection.STYPE_NOT_SUPPORTED)
