"""The whole service on one machine: servers where none are configured, schema, first key, processes."""

import os
import socket
import time
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType

import httpx
from pydantic import SecretStr

from db.migration import upgrade
from db.repositories.access import bootstrap_admin
from db.repositories.console_access import issue_administrator_link
from services.embedded import EmbeddedBroker, EmbeddedPostgres, free_port
from services.settings import Settings
from services.stores import open_engine
from services.supervisor import Supervisor

READY_TIMEOUT_S = 90.0


class StackError(Exception):
    """The service did not come up; the message says which part and shows the end of its log."""


class Stack:
    """PostgreSQL, broker, API, workers and scheduler, started in order and stopped in the reverse order.

    Args:
        settings: a configured ``database_url`` or ``broker_url`` is used as it is; what is missing is embedded.
    """

    def __init__(self, settings: Settings) -> None:
        data_dir = settings.data_dir.resolve()
        port = settings.api_port
        if port == 0 or not _port_is_free(settings.api_host, port):
            port = free_port()
        self.settings = settings.model_copy(update={"data_dir": data_dir, "api_port": port})
        self.postgres: EmbeddedPostgres | None = None
        self.broker: EmbeddedBroker | None = None
        self.supervisor: Supervisor
        self._resources = ExitStack()

    @property
    def url(self) -> str:
        """Where the API answers."""
        return self.settings.public_url or f"http://{self.settings.api_host}:{self.settings.api_port}"

    @property
    def key_file(self) -> Path:
        """The file with the key of the installation's first administrator, readable by its owner alone."""
        return self.settings.data_dir / "admin.key"

    @property
    def key(self) -> str:
        """The key of the installation's first administrator."""
        return self.key_file.read_text().strip()

    def start(self) -> None:
        """Start everything and wait until the API is ready.

        Raises:
            StackError: a part does not come up.
        """
        self.settings.data_dir.mkdir(parents=True, exist_ok=True)
        self._start_servers()
        self._prepare_database()
        self.supervisor = self._resources.enter_context(Supervisor(self._environment(), self.log_folder))
        self.supervisor.start("api", "api")
        self.supervisor.start("ingest-worker", "worker", "--queue", "ingest", "--name", "ingest-worker")
        self.supervisor.start("cpu-worker", "worker", "--queue", "cpu", "--queue", "gpu", "--name", "cpu-worker")
        self.supervisor.start("scheduler", "scheduler")
        self._wait_until_ready()

    @property
    def log_folder(self) -> Path:
        """Where each process writes its log."""
        return self.settings.data_dir / "logs"

    def check(self) -> list[str]:
        """Start every server and process again that has died and return their names; call this now and then.

        To be called from the thread that started the stack: on Linux the servers end with that thread.

        Raises:
            EmbeddedServerError: a server does not come back.
        """
        died = []
        for name, server in (("postgres", self.postgres), ("broker", self.broker)):
            if server is not None and not server.running:
                server.start()
                died.append(name)
        return died + self.supervisor.check()

    def stop(self) -> None:
        """Stop every process and server."""
        self._resources.close()

    def __enter__(self) -> "Stack":
        try:
            self.start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def issue_sign_in_link(self) -> str:
        """Return the address at which the installation's first administrator signs in to the console, once."""
        engine = open_engine(self.settings)
        try:
            with engine.begin() as connection:
                token = issue_administrator_link(connection, self.settings.sign_in_link_s)
        finally:
            engine.dispose()
        return f"{self.url}/sign-in/once/{token}"

    def _start_servers(self) -> None:
        updates: dict[str, SecretStr] = {}
        if self.settings.database_url is None:
            self.postgres = self._resources.enter_context(EmbeddedPostgres(self.settings.data_dir / "postgres"))
            self.postgres.ensure_database("faultlight")
            updates["database_url"] = SecretStr(self.postgres.sqlalchemy_url("faultlight"))
        if self.settings.broker_url is None:
            self.broker = self._resources.enter_context(EmbeddedBroker(self.settings.data_dir / "broker"))
            updates["broker_url"] = SecretStr(self.broker.url)
        self.settings = self.settings.model_copy(update=updates)

    def _prepare_database(self) -> None:
        engine = open_engine(self.settings)
        try:
            upgrade(engine)
            if not self.key_file.exists():
                with engine.begin() as connection:
                    key = bootstrap_admin(connection)
                descriptor = os.open(self.key_file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
                with os.fdopen(descriptor, "w") as file:
                    file.write(key + "\n")
        finally:
            engine.dispose()

    def _environment(self) -> dict[str, str]:
        """Return the settings of this stack as the environment of its processes."""
        environment = {}
        for name in Settings.model_fields:
            value = getattr(self.settings, name)
            if value is not None:
                text = value.get_secret_value() if isinstance(value, SecretStr) else str(value)
                environment[f"FAULTLIGHT_{name.upper()}"] = text
        return environment

    def _wait_until_ready(self) -> None:
        deadline = time.monotonic() + READY_TIMEOUT_S
        while time.monotonic() < deadline:
            if self.supervisor.check():
                break
            try:
                if httpx.get(f"http://127.0.0.1:{self.settings.api_port}/readyz", timeout=2).is_success:
                    return
            except httpx.HTTPError:
                pass
            time.sleep(0.05)
        raise StackError(f"the service did not get ready; the API's log ends:\n{self.supervisor.log_tail('api')}")


def _port_is_free(host: str, port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return False
    return True
