"""The embedded servers start, survive being killed, keep committed data, and stop."""

import os
from pathlib import Path

import psutil
import psycopg
import pytest
import redis

from services.embedded import EmbeddedBroker, EmbeddedPostgres, EmbeddedServerError


def test_postgres_keeps_committed_rows_over_a_kill_and_a_restart(tmp_path: Path) -> None:
    """A row committed before SIGKILL of the postmaster is there afterwards, under the same URL."""
    server = EmbeddedPostgres(tmp_path / "postgres")
    server.start()
    try:
        url = server.libpq_url("postgres")
        with psycopg.connect(url) as connection:
            connection.execute("CREATE TABLE kept AS SELECT 42 AS value")
        server.kill()
        server.start()
        assert server.libpq_url("postgres") == url
        with psycopg.connect(url) as connection:
            assert connection.execute("SELECT value FROM kept").fetchone() == (42,)
        server.stop()
        server.start()
        with psycopg.connect(server.libpq_url("postgres")) as connection:
            assert connection.execute("SELECT value FROM kept").fetchone() == (42,)
    finally:
        server.destroy()
    assert not server.home.exists()


def test_a_leftover_postgres_is_stopped_before_a_new_one_starts(tmp_path: Path) -> None:
    """A second launcher on the same cluster takes it over from one that was never stopped."""
    first = EmbeddedPostgres(tmp_path / "postgres")
    first.start()
    second = EmbeddedPostgres(tmp_path / "postgres")
    try:
        old = first.pid
        second.start()
        assert second.pid != old
        assert psutil.Process(second.pid).is_running()
        with psycopg.connect(second.libpq_url("postgres")) as connection:
            assert connection.execute("SELECT 1").fetchone() == (1,)
    finally:
        first.stop()
        second.destroy()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root drops privileges")
def test_postgres_never_runs_as_root(tmp_path: Path) -> None:
    """As root the server belongs to an unprivileged user, and its socket folder is closed to others."""
    server = EmbeddedPostgres(tmp_path / "postgres")
    server.start()
    try:
        assert psutil.Process(server.pid).uids().real != 0
        sockets = Path(server.libpq_url("x").rpartition("host=")[2])
        assert sockets.stat().st_mode & 0o077 == 0
    finally:
        server.destroy()


def test_ensure_database_can_be_asked_twice(tmp_path: Path) -> None:
    """The second call finds the database of the first."""
    server = EmbeddedPostgres(tmp_path / "postgres", durable=False)
    with server:
        server.ensure_database("made")
        server.ensure_database("made")
        with psycopg.connect(server.libpq_url("made")) as connection:
            assert connection.execute("SELECT current_database()").fetchone() == ("made",)


@pytest.mark.parametrize("kind", [None, "fakeredis"])
def test_broker_answers_and_forgets_everything_when_killed(tmp_path: Path, kind: str | None) -> None:
    """Both the real server and fakeredis come back empty under the same URL."""
    with EmbeddedBroker(tmp_path / "broker", kind=kind) as broker:
        client = redis.Redis.from_url(broker.url)
        client.lpush("queue", "job")
        url = broker.url
        broker.kill()
        broker.start()
        assert broker.url == url
        assert redis.Redis.from_url(url).llen("queue") == 0


def test_a_real_broker_asks_for_its_password(tmp_path: Path) -> None:
    """Another user of the machine cannot ring the doorbell."""
    with EmbeddedBroker(tmp_path / "broker") as broker:
        if broker.kind == "fakeredis":
            pytest.skip("fakeredis knows no password")
        port = int(broker.url.rsplit(":", 1)[1].split("/")[0])
        with pytest.raises(redis.AuthenticationError):
            redis.Redis(port=port).ping()


def test_a_server_that_does_not_start_says_why(tmp_path: Path) -> None:
    """The error carries the end of the server's own log."""
    server = EmbeddedPostgres(tmp_path / "postgres", durable=False)
    with server:
        home = server.home
        server.stop()
        (home / "cluster" / "postgresql.auto.conf").write_text("nonsense_setting = 1\n")
        with pytest.raises(EmbeddedServerError, match="nonsense_setting"):
            server.start()
