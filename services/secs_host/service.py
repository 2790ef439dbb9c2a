"""The host as a process: all equipment of a configuration, until it is told to stop."""

import asyncio
import contextlib
import logging
import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from services.secs_host.configuration import Configuration, Equipment
from services.secs_host.equipment import EquipmentHost
from services.secs_host.journal import MessageJournal
from services.secs_host.shipping import Shipper
from services.uploader.client import UploadClient
from services.uploader.configuration import read_key
from services.uploader.journal import only_one
from services.uploader.transfer import Timing

log = logging.getLogger("faultlight.secs_host")


class _Stopping(Exception):  # noqa: N818
    """The host stops while an upload waits for its next try."""


def run_service(configuration: Configuration, url: str | None) -> None:
    """Serve until SIGINT or SIGTERM; ``url`` is the service's address, ``None``: files stay in the outbox.

    Raises:
        services.uploader.journal.JournalBusy: another process serves with this state folder.
        ValueError: there is no key.
    """
    with only_one(configuration.state_dir / "secs-host"), ExitStack() as stack:
        stop = threading.Event()
        hosts = [
            stack.enter_context(_serve_equipment(each, configuration, url, stop)) for each in configuration.equipment
        ]
        stack.callback(stop.set)
        with contextlib.suppress(KeyboardInterrupt):
            asyncio.run(_run_all(hosts))


async def _run_all(hosts: list[EquipmentHost]) -> None:
    loop = asyncio.get_running_loop()
    tasks = [loop.create_task(host.run(), name=host.name) for host in hosts]
    ended = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        with contextlib.suppress(NotImplementedError, RuntimeError, ValueError):
            loop.add_signal_handler(number, ended.set)
    waiting = loop.create_task(ended.wait())
    await asyncio.wait([waiting, *tasks], return_when=asyncio.FIRST_COMPLETED)
    for task in [waiting, *tasks]:
        task.cancel()
    outcomes = await asyncio.gather(*tasks, return_exceptions=True)
    for outcome in outcomes:
        if isinstance(outcome, Exception):
            raise outcome


@contextmanager
def _serve_equipment(
    equipment: Equipment, configuration: Configuration, url: str | None, stop: threading.Event
) -> Iterator[EquipmentHost]:
    """Have the journal open and its shipper running; yield the host, which is to be run."""
    folder = configuration.state_dir / equipment.name
    journal = MessageJournal(
        folder / "journal.sqlite", equipment.name, equipment.map_document, repeat_window_s=equipment.repeat_window_s
    )
    with contextlib.closing(journal), _open_sender(equipment, url, stop) as send:
        shipper = Shipper(journal, folder / "outbox", configuration.limits, send, configuration.keep_uploaded_s)
        thread = threading.Thread(target=shipper.run, args=(stop,), name=f"ship {equipment.name}")
        thread.start()
        try:
            yield EquipmentHost(
                equipment.name, equipment.connecting, equipment.requests, equipment.equipment_map, journal
            )
        finally:
            stop.set()
            thread.join()


@contextmanager
def _open_sender(
    equipment: Equipment, url: str | None, stop: threading.Event
) -> Iterator[Callable[[Path], None] | None]:
    """Yield what uploads a file, with the equipment's own key where it has one."""
    if url is None:
        yield None
        return

    def sleep(seconds: float) -> None:
        if stop.wait(seconds):
            raise _Stopping

    key = equipment.key_file.read_text(encoding="utf-8-sig").strip() if equipment.key_file else read_key()
    with UploadClient(url, key, timing=Timing(sleep=sleep)) as client:

        def send(path: Path) -> None:
            client.upload_file(path, equipment.program)

        yield send


def configure_logging() -> None:
    """Send the host's log to standard error; ``FAULTLIGHT_LOG_LEVEL`` says how much."""
    level = logging.getLevelNamesMapping().get(os.environ.get("FAULTLIGHT_LOG_LEVEL", "INFO").upper(), logging.INFO)
    logging.basicConfig(level=level, format="%(asctime)s %(levelname)s %(message)s")
    logging.getLogger("httpx").setLevel(logging.WARNING)
