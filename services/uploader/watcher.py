"""Watching a folder for weeks: look, wait until files are finished, hash, send; offline as long as it takes."""

import sqlite3
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from services.uploader.backoff import Backoff
from services.uploader.client import Outcome, UploadClient
from services.uploader.delays import Delay, Troubles
from services.uploader.errors import BadInput, Blocked, FileChanged, Refused, ServiceUnreachable, UploadFailed
from services.uploader.folder import Ignoring, check_session
from services.uploader.health import HealthReporter
from services.uploader.journal import FINAL, Item, Journal, Sighting, State
from services.uploader.prepared import Prepared, prepare_bundle, prepare_file
from services.uploader.quiet_hours import QuietBegins, QuietCheck, QuietHours
from services.uploader.scan import Look, Scan
from services.uploader.stability import Stability

PRUNE_INTERVAL_S = 86400.0
IDLE_RATIO = 10.0  # a look that takes long, into a folder of very many files, is taken less often
FAILING_FILES = 3
"""So many different files in a row that the service fails on are the service's trouble, and not the files'."""
_SERVICE = ""  # no file is called so

Tell = Callable[[str, Mapping[str, Any]], None]
Connect = Callable[[], UploadClient]
HashingTell = Callable[[str, int, int], None]


@dataclass(frozen=True)
class WatchOptions:
    """What is watched and how.

    ``settle_s``: a file is finished when it has not changed for so long; ``poll_s``: between two looks; ``backoff``:
    between two tries when the service cannot be reached; ``quiet``: when nothing is sent; ``reports``: whether the
    service is told how the agent is doing.
    """

    folder: Path
    program: str | None = None
    settle_s: float = 10.0
    poll_s: float = 5.0
    ignoring: Ignoring = field(default_factory=Ignoring)
    backoff: Backoff = field(default_factory=lambda: Backoff(base_s=4.0, cap_s=300.0))
    quiet: QuietHours = field(default_factory=QuietHours)
    reports: bool = False


@dataclass(frozen=True)
class Clockwork:
    """Monotonic seconds, a pause of some seconds that raises ``Stopped`` when the watch is to end, and the wall clock.

    ``wall`` gives seconds since the epoch and ``local`` the local time, as the PC has them: right or not.
    """

    pause: Callable[[float], None]
    clock: Callable[[], float] = time.monotonic
    wall: Callable[[], float] = time.time
    local: Callable[[], datetime] = datetime.now


class Watcher:
    """Sends what appears in a folder; ``journal`` remembers, ``connect`` makes a client, ``tell`` hears every event.

    ``observe`` hears how far hashing has come, and may raise ``Stopped``.
    """

    def __init__(
        self,
        options: WatchOptions,
        journal: Journal,
        connect: Connect,
        tell: Tell,
        clockwork: Clockwork,
        observe: HashingTell | None = None,
    ) -> None:
        self._options = options
        self._journal = journal
        self._connect = connect
        self._tell = tell
        self._pause, self._clock = clockwork.pause, clockwork.clock
        self._observe = observe
        self._stability = Stability(options.settle_s, self._clock)
        self._client: UploadClient | None = None
        self._service = Delay()
        self._delays: dict[str, Delay] = {}
        self._failing: set[str] = set()
        self._hashed: set[str] = set()
        self._skipped: dict[str, str] = {}
        self._troubles = Troubles(self._clock)
        self._quiet = QuietCheck(options.quiet, clockwork.local)
        self._is_quiet = False
        self._health = HealthReporter(journal, self._clock, clockwork.wall) if options.reports else None
        self._pruned_at = float("-inf")
        self._journal_failures = 0
        self._failed: dict[str, int] = {}
        self._look_s = 0.0

    def close(self) -> None:
        """Close the connections."""
        if self._client is not None:
            self._client.close()
            self._client = None

    def run(self) -> None:
        """Watch until ``Stopped`` is raised by the pause. Nothing else ends it, a full disk neither."""
        while True:
            try:
                self.step()
                if self._journal_failures:
                    self._journal_failures = 0
                    self._tell("journal-works", {})
                wait_s = max(self._options.poll_s, IDLE_RATIO * self._look_s)
            except sqlite3.Error as error:
                self._journal_failures += 1
                wait_s = self._options.backoff.wait_s(self._journal_failures, self._options.poll_s)
                reason = f"the journal cannot be written, nothing is lost and it is tried again: {error}"
                if self._troubles.is_news(reason):
                    self._tell("journal-trouble", {"reason": reason, "wait_s": round(wait_s, 1)})
            self._pause(wait_s)

    def drain(self) -> int:
        """Send what is finished now and return the exit code; files that are still being written are left."""
        self.step()
        self._pause(self._options.settle_s)
        self.step()
        codes = set(self._failed.values())
        return 1 if 1 in codes else max(codes, default=0)

    def step(self) -> None:
        """Look once, and do what can be done."""
        now = self._clock()
        if now - self._pruned_at > PRUNE_INTERVAL_S:
            self._journal.prune()
            self._pruned_at = now
        try:
            begun_s = self._clock()
            look = Scan(self._options.folder, self._options.ignoring).run()
        except OSError as error:
            self._note_trouble(".", f"cannot be read: {error.strerror or error}")
            return
        due = self._take_in(look)
        self._look_s = self._clock() - begun_s
        self._note_quiet()
        self._report()
        for sighting in due:
            self._advance(sighting)
            self._report()

    def _take_in(self, look: Look) -> list[Sighting]:
        """Bring the journal up to what was seen; returns what is finished and not sent, the oldest first."""
        known = self._journal.known()
        here = {sighting.path: sighting for sighting in look.sightings}
        fresh = [each for each in look.sightings if not _is_same(known.get(each.path), each)]
        self._journal.see(fresh)
        for sighting in fresh:
            self._delays.pop(sighting.path, None)
            if sighting.path not in known:
                self._tell("seen", {"path": sighting.path})
        self._journal.back(path for path in here if (item := known.get(path)) and item.gone_at is not None)
        self._note_absent(look, known)
        for path in self._skipped.keys() - look.troubles.keys():
            del self._skipped[path]
            self._failed.pop(path, None)
        for path, reason in look.troubles.items():
            self._note_trouble(path, reason)
        self._stability.keep(here)
        order = [*(path for path in known if path in here), *(path for path in here if path not in known)]
        due = [here[path] for path in order if self._is_due(known.get(path), here[path])]
        self._hashed = {each.path for each in due if (item := known.get(each.path)) and _is_hashed(item, each)}
        return sorted(due, key=lambda each: self._delays[each.path].failures if each.path in self._delays else 0)

    def _is_due(self, item: Item | None, sighting: Sighting) -> bool:
        stable = self._stability.is_stable(sighting)
        if item is None or item.signature != sighting.signature:
            return stable
        return item.state not in FINAL and (stable or item.state is not State.SEEN)

    def _note_absent(self, look: Look, known: Mapping[str, Item]) -> None:
        bundles = [f"{each.path}/" if each.path != "." else "" for each in look.sightings if each.is_bundle]
        here = {each.path for each in look.sightings}
        absent = [item for item in known.values() if item.path not in here and item.gone_at is None]
        absent = [item for item in absent if not look.hides(item.path)]
        members = [item.path for item in absent if item.path.startswith(tuple(bundles))]
        self._journal.drop(members)
        gone = [item for item in absent if item.path not in set(members)]
        self._journal.gone(item.path for item in gone)
        for item in absent:
            self._delays.pop(item.path, None)
            self._failed.pop(item.path, None)
        for item in gone:
            if item.state not in FINAL:
                self._tell("gone", {"path": item.path, "reason": "left the folder before it was sent"})

    def _note_trouble(self, path: str, reason: str) -> None:
        if self._skipped.get(path) != reason:
            self._skipped[path] = reason
            self._failed[path] = BadInput.exit_code
            self._tell("skipped", {"path": path, "reason": reason})

    def _advance(self, sighting: Sighting) -> None:
        """Take one file or bundle as far as it goes; one that is hashed has nowhere to go while nothing can be sent."""
        delay = self._delays.get(sighting.path)
        if delay is not None and self._clock() < delay.until:
            return
        if sighting.path in self._hashed and (self._clock() < self._service.until or self._note_quiet()):
            return
        try:
            prepared = self._prepare(sighting)
            if self._clock() < self._service.until or self._note_quiet():
                return
            self._journal.uploading(sighting)
            outcome = self._connected().send(prepared, self._options.program)
        except QuietBegins:
            self._note_quiet()
        except FileChanged as error:
            self._journal.see([sighting])
            self._stability.restart(sighting.path)
            self._tell("changed", {"path": sighting.path, "reason": str(error)})
        except BadInput as error:
            self._delay(sighting, error)
        except Refused as error:
            self._service_answers()
            self._journal.refused(sighting, str(error))
            self._failed[sighting.path] = error.exit_code
            self._tell("refused", {"path": sighting.path, **error.to_document()})
        except Blocked as error:
            self._suspend("blocked", error)
        except ServiceUnreachable as error:
            self._judge_failure(sighting, error)
        else:
            self._service_answers()
            self._finish(sighting, outcome)

    def _prepare(self, sighting: Sighting) -> Prepared:
        """Return what was hashed before, or hash it now."""
        path = self._options.folder / sighting.path
        item = self._journal.find(sighting.path)
        if item is not None and item.signature == sighting.signature and item.prepared is not None:
            return Prepared.from_text(item.prepared, lambda member: path / member if item.is_bundle else path)
        if sighting.is_bundle:
            check_session(path, self._options.ignoring)
            prepared = prepare_bundle(path, self._options.ignoring, self._observe)
        else:
            prepared = prepare_file(path, self._observe)
        if prepared.signature() != sighting.signature:
            raise FileChanged(path, sighting.signature, prepared.signature())
        self._journal.hashed(sighting, prepared.to_text(), prepared.sha256, prepared.size_bytes)
        return prepared

    def _connected(self) -> UploadClient:
        if self._client is None:
            try:
                self._client = self._connect()
            except ValueError as error:
                raise Blocked(0, "no-key", str(error)) from error
        return self._client

    def _finish(self, sighting: Sighting, outcome: Outcome) -> None:
        self._journal.done(sighting, str(outcome.bundle_id or outcome.raw_file_id), outcome.job_id)
        self._delays.pop(sighting.path, None)
        self._failed.pop(sighting.path, None)
        self._tell("known" if outcome.known else "sent", {"path": sighting.path, **outcome.to_document()})

    def _judge_failure(self, sighting: Sighting, error: ServiceUnreachable) -> None:
        """One file that the service fails on must not hold up the others: ask whether it is the service at all."""
        try:
            self._connected().check_ready()
        except UploadFailed:
            self._suspend("unreachable", error, error.retry_after_s)
        else:
            self._failing.add(sighting.path)
            self._delay(sighting, error, error.retry_after_s)
            if len(self._failing) >= FAILING_FILES:
                self._suspend("unreachable", error, error.retry_after_s)

    def _delay(self, sighting: Sighting, error: UploadFailed, asked_s: float | None = None) -> None:
        """Try this one again later."""
        self._failed[sighting.path] = error.exit_code
        delay = self._delays.setdefault(sighting.path, Delay())
        delay.failures += 1
        wait_s = self._options.backoff.wait_s(delay.failures, asked_s)
        delay.until = self._clock() + wait_s
        item = self._journal.find(sighting.path)
        reason = error.reason if isinstance(error, BadInput) else str(error)
        if item is None or item.reason != reason:
            self._journal.waits(sighting, reason)
            self._tell("waiting", {"path": sighting.path, "wait_s": round(wait_s, 1), **error.to_document()})

    def _suspend(self, event: str, error: UploadFailed, asked_s: float | None = None) -> None:
        """Send nothing for a while. The client is made anew then, with the key as it is by then."""
        self.close()
        self._failed[_SERVICE] = error.exit_code
        self._service.failures += 1
        wait_s = self._options.backoff.wait_s(self._service.failures, asked_s)
        self._service.until = self._clock() + wait_s
        if self._troubles.is_news(str(error)):
            self._journal.note("trouble", str(error))
            self._tell(event, {"wait_s": round(wait_s, 1), **error.to_document()})

    def _note_quiet(self) -> bool:
        """Return whether nothing may be sent now; tells when that begins and ends."""
        is_quiet = self._quiet.is_quiet()
        if is_quiet != self._is_quiet:
            self._is_quiet = is_quiet
            self._tell("quiet", {"until": self._quiet.ends()}) if is_quiet else self._tell("awake", {})
        return is_quiet

    def _report(self) -> None:
        """Tell the service how it goes, when it is time. No report is worth a word when it fails."""
        if self._health is not None and self._health.is_due():
            self._health.report(self._connected)

    def _service_answers(self) -> None:
        self._failing.clear()
        if self._service.failures:
            self._failed.pop(_SERVICE, None)
            self._service = Delay()
            self._troubles.settle()
            self._journal.note("trouble", "")
            self._tell("reachable", {})


def _is_same(item: Item | None, sighting: Sighting) -> bool:
    return item is not None and item.signature == sighting.signature and item.is_bundle == sighting.is_bundle


def _is_hashed(item: Item, sighting: Sighting) -> bool:
    return item.state in {State.HASHED, State.UPLOADING} and item.signature == sighting.signature
