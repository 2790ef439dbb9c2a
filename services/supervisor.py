"""Keeps the processes of one machine running: starts them, restarts what dies, stops them all."""

import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType

from services.embedded import die_with_parent

RESTART_PAUSE_S = 1.0
STOP_TIMEOUT_S = 15.0


@dataclass
class Child:
    """One supervised process: the arguments of ``faultlight``, and how often it had to be started again."""

    name: str
    arguments: list[str]
    process: subprocess.Popen[bytes] | None = None
    restarts: int = 0
    not_before: float = field(default=0.0)


class Supervisor:
    """Runs ``faultlight`` subcommands as child processes, with their output in ``log_folder/<name>.log``."""

    def __init__(self, environment: dict[str, str], log_folder: Path) -> None:
        log_folder.mkdir(parents=True, exist_ok=True)
        self._environment = os.environ | environment
        self._log_folder = log_folder
        self._children: list[Child] = []

    def start(self, name: str, *arguments: str) -> None:
        """Start ``faultlight <arguments>`` and keep it running."""
        child = Child(name, list(arguments))
        self._children.append(child)
        self._spawn(child)

    def check(self) -> list[str]:
        """Restart every child that has died and return their names; call this now and then."""
        died = []
        for child in self._children:
            if child.process is not None and child.process.poll() is not None:
                died.append(child.name)
                child.process = None
                child.restarts += 1
                child.not_before = time.monotonic() + RESTART_PAUSE_S
            if child.process is None and time.monotonic() >= child.not_before:
                self._spawn(child)
        return died

    def kill(self, name: str) -> bool:
        """Kill the child ``name`` at once; return whether it was running. :meth:`check` starts it again."""
        for child in self._children:
            if child.name == name and child.process is not None and child.process.poll() is None:
                child.process.kill()
                return True
        return False

    def pid(self, name: str) -> int | None:
        """Return the process id of the child ``name``, ``None`` while it is down."""
        for child in self._children:
            if child.name == name and child.process is not None:
                return child.process.pid
        return None

    def log_tail(self, name: str, *, characters: int = 800) -> str:
        """Return the end of a child's log."""
        try:
            return (self._log_folder / f"{name}.log").read_text(errors="replace")[-characters:]
        except FileNotFoundError:
            return ""

    def stop(self) -> None:
        """Ask every child to end, wait, and kill what is left with all its descendants."""
        running = [child.process for child in reversed(self._children) if child.process is not None]
        for process in running:
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
        deadline = time.monotonic() + STOP_TIMEOUT_S
        for process in running:
            try:
                process.wait(max(0.1, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                _kill_group(process)
        self._children.clear()

    def __enter__(self) -> "Supervisor":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _spawn(self, child: Child) -> None:
        with (self._log_folder / f"{child.name}.log").open("ab") as log:
            child.process = subprocess.Popen(
                [sys.executable, "-m", "services.cli", *child.arguments],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=self._environment,
                start_new_session=True,
                preexec_fn=die_with_parent,
            )


def _kill_group(process: subprocess.Popen[bytes]) -> None:
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        return
    process.wait(10)
