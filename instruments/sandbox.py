"""Reading in a process of its own, with limits: a hostile or broken file harms its own reading and nothing else.

A warm server process (``python -m instruments.sandbox``) has every adapter loaded, and the libraries that readings
before have needed, and forks one child per file. It has a single thread, so forking is safe. The child sets its limits,
reads, packs, and ends; its answer is JSON.
"""

import contextlib
import ctypes
import errno
import json
import os
import resource
import select
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType
from typing import IO, Any

from instruments import errors
from instruments.errors import InstrumentError, ReaderCrashed, ReadingLimit, is_machine_trouble
from instruments.packing import PackedReading
from instruments.preloading import ENVIRONMENT, NeededLibraries, freeze

REFUSAL = "refusal.json"
DESCRIPTION = "description.json"
_PR_SET_PDEATHSIG = 1
_PR_SET_NO_NEW_PRIVS = 38
_REPLY_GRACE_S = 15.0
_WATCH_INTERVAL_S = 0.2
_MACHINE = 75
_STATUSES = {0: "read", 3: "refused", _MACHINE: "machine"}
"""What the exit status of a reading process says; 75 is EX_TEMPFAIL of sysexits.h."""


@dataclass(frozen=True)
class SandboxLimits:
    """What one reading may use: seconds by the wall clock, bytes of private memory, bytes written to any one file."""

    wall_s: float = 600.0
    memory_bytes: int = 2 << 30
    output_bytes: int = 64 << 30


class Sandbox:
    """Reads files in limited child processes of a warm server; safe to call from several threads, one at a time."""

    def __init__(self, limits: SandboxLimits | None = None) -> None:
        self._limits = limits or SandboxLimits()
        self._lock = threading.Lock()
        self._server: subprocess.Popen[bytes] | None = None

    def read(
        self,
        path: Path,
        name: str,
        workdir: Path,
        adapter_name: str | None = None,
        watch: Callable[[], None] | None = None,
    ) -> PackedReading:
        """Read the file, folder or archive ``path``, called ``name``, and leave the packed records in ``workdir``.

        ``watch`` is called while the reading goes on; what it raises ends the reading process and is raised here.

        Raises:
            InstrumentError: the file is refused; the error is the one that the reading process met.
            ReadingLimit: it took too long, or too much memory or space.
            ReaderCrashed: the reading process died.
            OSError: this machine's disk is full or broken; nothing is known of the file.
        """
        self._perform("read", (path, name, workdir), adapter_name, watch)
        return PackedReading.load(workdir)

    def describe(self, path: Path, name: str, workdir: Path, adapter_name: str | None = None) -> dict[str, Any]:
        """Return what ``path`` holds without its samples: :meth:`instruments.description.FileDescription.to_document`.

        Raises:
            InstrumentError, ReadingLimit, ReaderCrashed, OSError: as ``read``.
        """
        self._perform("describe", (path, name, workdir), adapter_name, None)
        document: dict[str, Any] = json.loads((workdir / DESCRIPTION).read_text(encoding="utf-8"))
        return document

    def _perform(
        self,
        task: str,
        what: tuple[Path, str, Path],
        adapter_name: str | None,
        watch: Callable[[], None] | None,
    ) -> None:
        path, name, workdir = what
        workdir.mkdir(parents=True, exist_ok=True)
        request = {
            "task": task,
            "path": str(path.absolute()),
            "name": name,
            "workdir": str(workdir.absolute()),
            "adapter": adapter_name,
            "limits": asdict(self._limits),
        }
        with self._lock:
            answer = self._ask(request, watch)
        _raise_unless_read(answer, name, workdir, self._limits)

    def close(self) -> None:
        """End the server."""
        with self._lock:
            self._stop()

    def __enter__(self) -> "Sandbox":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _ask(self, request: dict[str, Any], watch: Callable[[], None] | None) -> dict[str, Any]:
        """Send the request; a server that was killed meanwhile is started again, once."""
        line = json.dumps(request).encode() + b"\n"
        for _ in range(2):
            server = self._running_server()
            if server.stdin is None or server.stdout is None:
                break
            try:
                server.stdin.write(line)
                server.stdin.flush()
                reply = server.stdout.readline() if self._await_reply(server.stdout, watch) else b""
            except BrokenPipeError:
                reply = b""
            except BaseException:
                self._stop()
                raise
            if reply:
                document: dict[str, Any] = json.loads(reply)
                return document
            self._stop()
        return {"status": "crashed", "detail": "the reading server ended twice"}

    def _await_reply(self, stream: IO[bytes], watch: Callable[[], None] | None) -> bool:
        """Return whether the server has answered in time."""
        deadline = time.monotonic() + self._limits.wall_s + _REPLY_GRACE_S
        while (left_s := deadline - time.monotonic()) > 0:
            ready, _, _ = select.select([stream], [], [], left_s if watch is None else min(left_s, _WATCH_INTERVAL_S))
            if ready:
                return True
            if watch is not None:
                watch()
        return False

    def _running_server(self) -> subprocess.Popen[bytes]:
        if self._server is None or self._server.poll() is not None:
            self._server = subprocess.Popen(
                [sys.executable, "-m", "instruments.sandbox"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                env=os.environ | ENVIRONMENT,
                start_new_session=True,
            )
        return self._server

    def _stop(self) -> None:
        if self._server is None:
            return
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._server.pid, signal.SIGKILL)
        self._server.wait()
        for stream in (self._server.stdin, self._server.stdout):
            if stream is not None:
                with contextlib.suppress(BrokenPipeError):
                    stream.close()
        self._server = None


def _raise_unless_read(answer: dict[str, Any], name: str, workdir: Path, limits: SandboxLimits) -> None:
    status = answer["status"]
    if status == "read":
        return
    if status == "refused":
        raise rebuild_error(json.loads((workdir / REFUSAL).read_text(encoding="utf-8")))
    if status == "machine":
        raise OSError(errno.ENOSPC, f"no room, or a broken disk, while {name} was read")
    if status == "timeout":
        raise ReadingLimit(f"reading took longer than {limits.wall_s:g} s", file=name)
    detail = str(answer.get("detail", ""))
    if detail in ("SIGXCPU", "SIGKILL", "SIGXFSZ"):
        raise ReadingLimit(f"reading used more than it may (ended by {detail})", file=name)
    raise ReaderCrashed(f"the reading process died ({detail})", file=name)


def rebuild_error(document: dict[str, Any]) -> InstrumentError:
    """Return the error that a reading process described in JSON; an unknown type becomes ReaderCrashed."""
    kind = getattr(errors, str(document["type"]), ReaderCrashed)
    if not (isinstance(kind, type) and issubclass(kind, InstrumentError)):
        kind = ReaderCrashed
    error: InstrumentError = kind.__new__(kind)
    InstrumentError.__init__(
        error,
        str(document["bare_message"]),
        file=str(document["file"]),
        offset=document["offset"],
        expected=document["expected"],
        found=document["found"],
        offset_unit=str(document["offset_unit"]),
    )
    error.reasons = [dict(item) for item in document.get("reasons", ())]
    return error


def describe_error(error: InstrumentError) -> dict[str, Any]:
    """Return everything that :func:`rebuild_error` needs of ``error``."""
    extra = {"bare_message": error.message, "file": error.file, "offset_unit": error.offset_unit}
    return error.to_document() | extra


def serve() -> None:
    """Answer requests on standard input until it ends; each in a forked child."""
    from instruments.registry import Registry  # noqa: PLC0415

    registry = Registry.load()
    libraries = NeededLibraries()
    freeze()
    while line := sys.stdin.buffer.readline():
        request = json.loads(line)
        child = os.fork()
        if child == 0:
            _run_child(request, registry, libraries)
        answer = _await_child(child, float(request["limits"]["wall_s"]))
        sys.stdout.buffer.write(json.dumps(answer).encode() + b"\n")
        sys.stdout.buffer.flush()
        libraries.load()


def _await_child(child: int, wall_s: float) -> dict[str, Any]:
    """Wait for the child; kill its group when time is up, or when the caller is gone."""
    if not _ends(child, wall_s):
        _kill_group(child)
        os.waitpid(child, 0)
        return {"status": "timeout"}
    _, status = os.waitpid(child, 0)
    _kill_group(child)
    code = os.waitstatus_to_exitcode(status)
    if code in _STATUSES:
        return {"status": _STATUSES[code]}
    detail = signal.Signals(-code).name if code < 0 else f"exit status {code}"
    return {"status": "crashed", "detail": detail}


def _ends(child: int, wall_s: float) -> bool:
    """Wait until the child has ended; ``False`` when time is up or the caller is gone."""
    poll = select.poll()
    poll.register(sys.stdin.fileno(), 0)
    if sys.platform != "linux":
        return _ends_by_looking(child, wall_s, poll)
    descriptor = os.pidfd_open(child)
    try:
        poll.register(descriptor, select.POLLIN)
        return descriptor in dict(poll.poll(wall_s * 1000))
    finally:
        os.close(descriptor)


def _ends_by_looking(child: int, wall_s: float, caller: select.poll) -> bool:
    """Do the same where the system cannot wait for two things at once."""
    deadline = time.monotonic() + wall_s
    while os.waitid(os.P_PID, child, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None:
        if time.monotonic() > deadline or caller.poll(5):
            return False
    return True


def _kill_group(child: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(child, signal.SIGKILL)


def _run_child(request: dict[str, Any], registry: Any, libraries: NeededLibraries) -> None:
    """Read one file under limits; exit status 0 when packed, 3 when refused, 75 where the disk fails. Never returns."""
    status = 70
    workdir = Path(request["workdir"])
    try:
        _confine(SandboxLimits(**request["limits"]))
        status = _perform_request(request, registry, workdir)
    except InstrumentError as error:
        status = _refuse(error, workdir)
    except MemoryError:
        status = _refuse(ReadingLimit("reading needs more memory than it may have", file=request["name"]), workdir)
    except OSError as error:
        # Where the disk is full a refusal cannot be written either, and would be one of the wrong thing.
        status = _MACHINE
        if not is_machine_trouble(error):
            status = _refuse(ReadingLimit(f"reading was stopped by the system: {error}", file=request["name"]), workdir)
    except BaseException as error:
        message = f"the reader failed: {type(error).__name__}: {error}"
        status = _refuse(ReaderCrashed(message, file=request["name"]), workdir)
    finally:
        libraries.note()
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)


def _confine(limits: SandboxLimits) -> None:
    os.setsid()
    null = os.open(os.devnull, os.O_RDWR)
    os.dup2(null, 0)
    os.dup2(null, 1)
    if sys.platform == "linux":
        library = ctypes.CDLL(None, use_errno=True)
        library.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        library.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    seconds = int(limits.wall_s) + 2
    for kind, limit in (
        (resource.RLIMIT_DATA, limits.memory_bytes),
        (resource.RLIMIT_CPU, seconds),
        (resource.RLIMIT_FSIZE, limits.output_bytes),
        (resource.RLIMIT_NOFILE, 256),
        (resource.RLIMIT_CORE, 0),
    ):
        resource.setrlimit(kind, (limit, limit))


def _perform_request(request: dict[str, Any], registry: Any, workdir: Path) -> int:
    from instruments.bundle import open_source  # noqa: PLC0415
    from instruments.packing import pack  # noqa: PLC0415
    from instruments.registry import describe_source, read_source  # noqa: PLC0415

    scratch = workdir / "members"
    try:
        source = open_source(Path(request["path"]), request["name"], scratch=scratch)
        if request["task"] == "describe":
            document = describe_source(source, registry, request["adapter"]).to_document()
            text = json.dumps(document, ensure_ascii=False, allow_nan=False)
            (workdir / DESCRIPTION).write_text(text, encoding="utf-8")
        else:
            pack(read_source(source, registry, request["adapter"]), workdir)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    return 0


def _refuse(error: InstrumentError, workdir: Path) -> int:
    (workdir / REFUSAL).write_text(json.dumps(describe_error(error), default=str), encoding="utf-8")
    return 3


if __name__ == "__main__":
    serve()
