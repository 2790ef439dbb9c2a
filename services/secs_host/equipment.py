"""The host's side of one equipment: connect or listen, keep what comes, then acknowledge it."""

import asyncio
import contextlib
import logging
import sqlite3
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from instruments.secs.equipment_map import EquipmentMap
from services.secs_host.conversation import Requests, converse
from services.secs_host.frames import Frame, LineBroken
from services.secs_host.journal import MessageJournal
from services.secs_host.replies import abort, reply_to
from services.secs_host.session import Session, Timers

log = logging.getLogger("faultlight.secs_host")

BATCH = 256


@dataclass(frozen=True)
class Connecting:
    """How an equipment is reached.

    Attributes:
        is_active: the host connects; else it listens. Equipment mostly listens, so hosts are mostly active.
        host, port: of the equipment, or where to listen; port 0 listens on a free one.
        device_id: messages of another device are not taken; ``None`` takes all.
        timers: of HSMS.
        linktest_s: a quiet line is tested this often.
        confirm_s: pause between acknowledgements and the linktest that confirms them; 0: only the regular ones do.
    """

    is_active: bool
    host: str
    port: int
    device_id: int | None = 0
    timers: Timers = field(default_factory=Timers)
    linktest_s: float = 30.0
    confirm_s: float = 2.0


class EquipmentHost:
    """Serves one equipment for as long as ``run`` runs, through any number of connections.

    Args:
        name: of the equipment, for logs.
        connecting: how it is reached.
        requests: what to ask it for.
        equipment_map: what its numbers mean.
        journal: where its messages are kept.
        on_state: hears ``listening <port>``, ``connected``, ``communicating``, ``kept`` and ``disconnected: <reason>``.
    """

    def __init__(
        self,
        name: str,
        connecting: Connecting,
        requests: Requests,
        equipment_map: EquipmentMap,
        journal: MessageJournal,
        on_state: Callable[[str], None] = lambda _: None,
    ) -> None:
        self.name = name
        self._connecting = connecting
        self._requests = requests
        self._map = equipment_map
        self._journal = journal
        self._on_state = on_state
        self._session: Session | None = None

    async def run(self) -> None:
        """Serve until cancelled; then separate, with everything that was received kept."""
        try:
            await (self._run_active() if self._connecting.is_active else self._run_passive())
        finally:
            log.info("%s: stopped", self.name)

    async def _run_active(self) -> None:
        while True:
            try:
                # T5 is the pause between two tries; a machine that is busy may need longer for one.
                async with asyncio.timeout(max(self._connecting.timers.t5_s, self._connecting.timers.t6_s)):
                    reader, writer = await asyncio.open_connection(self._connecting.host, self._connecting.port)
            except (OSError, TimeoutError) as error:
                log.info("%s: cannot be reached: %s", self.name, str(error) or "no answer")
            else:
                await self._serve(reader, writer)
            await asyncio.sleep(self._connecting.timers.t5_s)

    async def _run_passive(self) -> None:
        serving: set[asyncio.Task[None]] = set()

        def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            answer = self._serve(reader, writer) if self._session is None else self._turn_away(writer)
            task = asyncio.create_task(answer)
            serving.add(task)
            task.add_done_callback(serving.discard)

        server = await asyncio.start_server(accept, self._connecting.host, self._connecting.port)
        self._on_state(f"listening {server.sockets[0].getsockname()[1]}")
        try:
            await asyncio.Event().wait()
        finally:
            server.close()
            for task in list(serving):
                task.cancel()
            await asyncio.gather(*serving, return_exceptions=True)

    async def _turn_away(self, writer: asyncio.StreamWriter) -> None:
        """Close a second connection; if the first is dead without saying so, a linktest ends it before the next try."""
        log.warning("%s: a second connection was closed", self.name)
        writer.close()
        if self._session is not None and self._session.selected.is_set():
            with contextlib.suppress(LineBroken):
                await self._session.linktest()
                return
            await self._session.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one connection until it ends."""
        session = Session(
            reader,
            writer,
            self._connecting.timers,
            is_active=self._connecting.is_active,
            session_id=self._connecting.device_id or 0,
        )
        self._session = session
        reason = "the host stopped"
        try:
            number = await asyncio.to_thread(self._journal.begin_connection)
            log.info("%s: connection %d", self.name, number)
            self._on_state("connected")
            reason = await self._serve_session(session, number)
        except sqlite3.Error as error:
            reason = f"the journal cannot be written: {error}"
            log.error("%s: %s; nothing is taken until it can", self.name, reason)
        except Exception as error:
            reason = f"{type(error).__name__}: {error}"
            log.exception("%s: a connection failed in a way that nobody foresaw", self.name)
        finally:
            await session.separate()
            await session.close()
            self._session = None
            log.info("%s: disconnected: %s", self.name, reason)
            self._on_state(f"disconnected: {reason}")

    async def _serve_session(self, session: Session, number: int) -> str:
        keeper = _Keeper(self._journal, number, self._connecting.device_id, self._on_state)
        tasks = (
            asyncio.create_task(session.run()),
            asyncio.create_task(keeper.run(session)),
            asyncio.create_task(self._test_line(session, keeper)),
            asyncio.create_task(self._talk(session)),
        )
        running = set(tasks)
        try:
            while not any(_has_ended(task) for task in tasks):
                _, running = await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
            outcomes = await asyncio.gather(*tasks, return_exceptions=True)
            await keeper.drain(session)
        return _reason_of(outcomes)

    async def _talk(self, session: Session) -> str | None:
        await session.selected.wait()
        await converse(session, self._requests, self._map)
        self._on_state("communicating")
        return None

    async def _test_line(self, session: Session, keeper: "_Keeper") -> str | None:
        """Test the line when it is quiet, and soon after acknowledgements, which the test confirms."""
        await session.selected.wait()
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._connecting.linktest_s):
                    await keeper.answered_some.wait()
                    if not self._connecting.confirm_s:
                        await asyncio.Event().wait()
                    await asyncio.sleep(self._connecting.confirm_s)
            keeper.answered_some.clear()
            up_to = keeper.answered
            await session.linktest()
            if up_to:
                await asyncio.to_thread(self._journal.confirm, keeper.connection, up_to)
                self._on_state("confirmed")


class _Keeper:
    """Takes messages from a session, keeps them in the journal, then answers them."""

    def __init__(
        self, journal: MessageJournal, connection: int, device_id: int | None, on_state: Callable[[str], None]
    ) -> None:
        self._journal = journal
        self._device_id = device_id
        self._on_state = on_state
        self.connection = connection
        self.answered = 0
        self.answered_some = asyncio.Event()

    async def run(self, session: Session) -> str | None:
        """Keep and answer until cancelled.

        Raises:
            sqlite3.Error: messages are not kept, nor answered.
            LineBroken: they are kept but cannot be answered.
        """
        while True:
            batch = [await session.received.get()]
            while len(batch) < BATCH and not session.received.empty():
                batch.append(session.received.get_nowait())
            await self._take(session, batch)

    async def drain(self, session: Session) -> None:
        """Keep what came before the connection ended; nobody is there to be answered."""
        batch = []
        while not session.received.empty():
            batch.append(session.received.get_nowait())
        mine = [frame for frame in batch if self._is_ours(frame)]
        if mine:
            await asyncio.to_thread(self._journal.keep, self.connection, mine)
            self._on_state("kept")

    def _is_ours(self, frame: Frame) -> bool:
        return self._device_id is None or frame.session_id == self._device_id

    async def _take(self, session: Session, batch: list[Frame]) -> None:
        mine = [frame for frame in batch if self._is_ours(frame)]
        if mine:
            numbers = await asyncio.to_thread(self._journal.keep, self.connection, mine)
            self._on_state("kept")
        for frame in batch:
            if not self._is_ours(frame):
                log.warning("%s of device %d was not taken", frame.name, frame.session_id)
            reply = reply_to(frame) if self._is_ours(frame) else abort(frame) if frame.wants_reply else None
            if reply is not None:
                await session.send(reply)
        if mine:
            self.answered = numbers[-1]
            self.answered_some.set()


def _has_ended(task: "asyncio.Task[str | None]") -> bool:
    """Return whether the session is over with this task: a talk that came to its end is not."""
    return task.done() and (task.cancelled() or task.exception() is not None or task.result() is not None)


def _reason_of(outcomes: Sequence[str | BaseException | None]) -> str:
    """Return why a session ended; raises what nobody expects."""
    for outcome in outcomes:
        if isinstance(outcome, Exception) and not isinstance(outcome, LineBroken):
            raise outcome
    reasons = [str(outcome) for outcome in outcomes if isinstance(outcome, str | LineBroken)]
    return reasons[0] if reasons else "the host stopped"
