"""The commands ``upload``, ``watch`` and ``status``: options in, lines and an exit code out.

Exit codes: 0 ok, 1 the service cannot be reached, 2 bad input, or refused.
"""

import sqlite3
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer

from services.uploader.backoff import Backoff
from services.uploader.bandwidth import TokenBucket, parse_rate
from services.uploader.batch import Batch
from services.uploader.client import UploadClient
from services.uploader.configuration import (
    DEFAULT_URL,
    journal_path,
    list_journals,
    read_key,
    sends_key_in_clear,
    state_folder,
)
from services.uploader.errors import Blocked, ServiceUnreachable, show
from services.uploader.exchange import check_url
from services.uploader.folder import IGNORED, IGNORED_NAMES, Ignoring
from services.uploader.journal import Journal, JournalBusy, JournalTooNew, only_one
from services.uploader.quiet_hours import QuietCheck, QuietHours
from services.uploader.reporting import EventLines, ProgressBar, format_duration, print_json, print_line
from services.uploader.stopping import Stop, StopObserver, Stopped
from services.uploader.summary import Summary, summarize
from services.uploader.transfer import Timing, Unfinished, UnfinishedHere
from services.uploader.watcher import Clockwork, Watcher, WatchOptions

JsonFlag = Annotated[bool, typer.Option("--json", help="Machine output on stdout and nothing else.")]
UrlOption = Annotated[str, typer.Option("--url", envvar="FAULTLIGHT_URL", help="The service's address.")]
ProgramOption = Annotated[
    str | None,
    typer.Option("--program", envvar="FAULTLIGHT_PROGRAM", help="Whose data it is; an instrument's key knows."),
]
MaxRateOption = Annotated[
    str | None,
    typer.Option(
        "--max-rate",
        envvar="FAULTLIGHT_MAX_RATE",
        help="Send at most so many bytes per second: 500k, 2M; unset: no cap.",
    ),
]
IgnoreOption = Annotated[
    list[str] | None, typer.Option("--ignore", help="One more pattern of names that are not data; may be repeated.")
]

open_client: Callable[..., UploadClient] = UploadClient
"""Makes the commands' clients; tests put another in its place."""


def upload(  # noqa: PLR0913, PLR0917 - one argument per option of the command line
    paths: Annotated[list[Path], typer.Argument(help="Files; folders with session.json go as one bundle.")],
    program: ProgramOption = None,
    bundle: Annotated[bool, typer.Option("--bundle", help="Send each folder as one bundle.")] = False,
    ignore: IgnoreOption = None,
    url: UrlOption = DEFAULT_URL,
    tries: Annotated[int, typer.Option(min=1, help="Tries of a step without progress.")] = 8,
    max_rate: MaxRateOption = None,
    as_json: JsonFlag = False,
) -> None:
    """Send files to the service: nothing twice, and on after any cut. Exit 1: not reached, 2: bad input or refused."""
    ignoring = _ignoring(ignore)
    rate_bytes_s = _rate(max_rate)
    key = _read_access(url)
    timing = Timing(tries=tries, bucket=TokenBucket(rate_bytes_s) if rate_bytes_s else None)
    with ExitStack() as stack:
        unfinished = stack.enter_context(_remembering())
        bar = stack.enter_context(ProgressBar(visible=not as_json))
        client = stack.enter_context(open_client(url, key, timing=timing, unfinished=unfinished, observer=bar))
        sender = Batch(client, program, ignoring, as_json=as_json)
        try:
            code = sender.send_all(paths, bundle=bundle)
        except KeyboardInterrupt:
            print_line("stopped; the same command goes on where this one was", sys.stderr)
            code = 130
    raise typer.Exit(code)


@contextmanager
def _remembering() -> Iterator[Unfinished]:
    """Remember unfinished uploads between two calls of ``upload``, if the disk lets us and nobody else does."""
    path = state_folder() / "uploads.sqlite"
    with ExitStack() as stack:
        unfinished: Unfinished = UnfinishedHere()
        try:
            stack.enter_context(only_one(path))
            journal = Journal(path)
            stack.callback(journal.close)
            journal.prune()
            unfinished = journal
        except (JournalBusy, JournalTooNew, sqlite3.Error, OSError):
            pass
        yield unfinished


def _ignoring(more: list[str] | None) -> Ignoring:
    return Ignoring((*IGNORED, *IGNORED_NAMES, *(more or ())))


def _rate(text: str | None) -> float | None:
    """Return bytes per second, ``None`` for no cap; exits with 2 when it is no rate."""
    try:
        return parse_rate(text) if text and text.strip() else None
    except ValueError as error:
        _exit_with(2, str(error))


def _quiet_hours(texts: list[str] | None) -> QuietHours:
    """Return the quiet hours; exits with 2 when they cannot be some."""
    try:
        return QuietHours.parse(texts or ())
    except ValueError as error:
        _exit_with(2, str(error))


def _read_access(url: str) -> str:
    """Return the key; exits with 2 when it, or the address, cannot be one."""
    try:
        check_url(url)
        key = read_key()
    except ValueError as error:
        _exit_with(2, str(error))
    if sends_key_in_clear(url):
        print_line(f"warning: the key crosses the network unencrypted to {url}", sys.stderr)
    return key


def _exit_with(code: int, message: str) -> NoReturn:
    print_line(message, sys.stderr)
    raise typer.Exit(code)


def watch(  # noqa: PLR0913, PLR0917 - one argument per option of the command line
    folder: Annotated[Path, typer.Argument(help="The folder that the instrument writes to.")],
    program: ProgramOption = None,
    settle_s: Annotated[
        float, typer.Option("--settle", min=0, help="A file unchanged for so many seconds is finished.")
    ] = 10.0,
    poll_s: Annotated[float, typer.Option("--poll", min=0.1, help="Seconds between two looks into the folder.")] = 5.0,
    ignore: IgnoreOption = None,
    journal: Annotated[
        Path | None, typer.Option("--journal", envvar="FAULTLIGHT_JOURNAL", help="Where to remember; not in DIR.")
    ] = None,
    max_rate: MaxRateOption = None,
    quiet_hours: Annotated[
        list[str] | None,
        typer.Option(
            "--quiet-hours",
            envvar="FAULTLIGHT_QUIET_HOURS",
            help="Send nothing from 22:00-06:00 or so, local time; may be repeated.",
        ),
    ] = None,
    once: Annotated[bool, typer.Option("--once", help="Send what is finished, then exit.")] = False,
    url: UrlOption = DEFAULT_URL,
    as_json: JsonFlag = False,
) -> None:
    """Send what appears in a folder, for weeks, offline and through power cuts. Only reads the folder."""
    _read_access(url)
    path = journal or journal_path(folder)
    if not folder.is_dir():
        _exit_with(2, f"{show(folder)} is no folder")
    if path.resolve().is_relative_to(folder.resolve()):
        _exit_with(2, "the journal must not lie in the watched folder")
    quiet = _quiet_hours(quiet_hours)
    options = WatchOptions(folder, program, settle_s, poll_s, _ignoring(ignore), quiet=quiet, reports=True)
    rate_bytes_s = _rate(max_rate)
    with ExitStack() as stack:
        book = _open_journal(path, stack)
        stop = Stop()
        if threading.current_thread() is threading.main_thread():
            stop.listen()
        bucket = TokenBucket(rate_bytes_s, sleep=stop.pause) if rate_bytes_s else None
        code = _watch(options, book, url, (stop, bucket), EventLines(as_json=as_json), once=once)
    raise typer.Exit(code)


def _open_journal(path: Path, stack: ExitStack) -> Journal:
    """Return the journal, ours alone until ``stack`` is left; exits with 2 when it cannot be."""
    try:
        stack.enter_context(only_one(path))
        journal = Journal(path)
    except (JournalBusy, JournalTooNew) as error:
        _exit_with(2, str(error))
    except (sqlite3.Error, OSError) as error:
        _exit_with(2, f"the journal {show(path)} cannot be used: {error}")
    stack.callback(journal.close)
    return journal


def _watch(
    options: WatchOptions,
    journal: Journal,
    url: str,
    limits: tuple[Stop, TokenBucket | None],
    tell: EventLines,
    *,
    once: bool,
) -> int:
    if journal.was_damaged is not None:
        tell("journal-trouble", {"reason": f"the journal was damaged; it is kept as {journal.was_damaged}"})
    stop, bucket = limits
    observer = StopObserver(stop, QuietCheck(options.quiet))
    timing = Timing(tries=3, backoff=Backoff(base_s=0.5, cap_s=5.0), sleep=stop.pause, bucket=bucket)

    def connect() -> UploadClient:
        return open_client(url, read_key(), timing=timing, unfinished=journal, observer=observer)

    watcher = Watcher(options, journal, connect, tell, Clockwork(stop.pause), observer.hashing)
    try:
        journal.aim(f"{url.rstrip('/')} {options.program or ''}".rstrip())
        journal.note("folder", show(options.folder.resolve()))
        tell("watching", {"path": str(options.folder), "journal": show(journal.path)})
        if once:
            return watcher.drain()
        watcher.run()
    except Stopped:
        tell("stopped", {})
    except sqlite3.Error as error:
        _exit_with(2, f"the journal {show(journal.path)} cannot be used: {error}")
    finally:
        watcher.close()
    return 0


def status(
    journal: Annotated[
        list[Path] | None, typer.Option("--journal", envvar="FAULTLIGHT_JOURNAL", help="Instead of all in their place.")
    ] = None,
    url: UrlOption = DEFAULT_URL,
    as_json: JsonFlag = False,
) -> None:
    """Tell whether the service can be reached, and what the watched folders wait for. Exit 1: not reached."""
    try:
        service = _ask_service(check_url(url))
    except ValueError as error:
        _exit_with(2, str(error))
    summaries: list[Summary] = []
    damaged: dict[str, str] = {}
    for path in journal or list_journals():
        try:
            summaries.append(summarize(path, time.time()))
        except sqlite3.Error as error:
            damaged[show(path)] = str(error)
    if as_json:
        documents = [summary.to_document() for summary in summaries]
        print_json({"service": service, "journals": documents, "unreadable_journals": damaged})
    else:
        _print_status(service, summaries, damaged)
    raise typer.Exit(0 if service["reachable"] else 1)


def _ask_service(url: str) -> dict[str, Any]:
    """Return what the service says of itself and of the key."""
    document: dict[str, Any] = {"url": url, "reachable": True, "reason": None, "key": "not asked"}
    try:
        key = read_key()
    except ValueError:
        key = ""
        document["key"] = "none"
    with open_client(url, key) as client:
        try:
            client.check_ready()
            if key:
                document["key"] = "accepted"
                client.check_key()
        except Blocked as error:
            document |= {"key": "not accepted", "reason": str(error)}
        except ServiceUnreachable as error:
            document |= {"reachable": False, "reason": str(error)}
    return document


def _print_status(service: dict[str, Any], summaries: list[Summary], damaged: dict[str, str]) -> None:
    state = "ready" if service["reachable"] else "not reachable"
    reason = f" ({service['reason']})" if service["reason"] else ""
    print_line(f"service {service['url']}: {state}, key: {service['key']}{reason}")
    for each in summaries:
        print_line(f"{each.folder or each.journal}: {each.waiting} waiting, {each.sent} sent, {each.refused} refused")
        if each.oldest_waiting is not None and each.oldest_waiting_s is not None:
            print_line(f"  oldest waiting: {each.oldest_waiting}, for {format_duration(each.oldest_waiting_s)}")
        if each.trouble:
            print_line(f"  trouble: {each.trouble}")
        for text, count in each.waiting_reasons.items():
            print_line(f"  {count} waiting: {text}")
        for item in each.refused_items:
            print_line(f"  refused: {item.path}: {item.reason}")
        if each.lost:
            print_line(f"  left the folder before they were sent: {each.lost}")
    for path, text in damaged.items():
        print_line(f"{path}: cannot be read: {text}")
