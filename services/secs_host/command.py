"""The command ``secs-host``: exit 0 when told to stop, 1 when the host cannot run, 2 for a bad configuration."""

import sqlite3
from pathlib import Path

import typer

from services.secs_host.configuration import BadConfiguration, read_configuration
from services.secs_host.journal import JournalTooNew
from services.secs_host.service import configure_logging, run_service
from services.uploader.journal import JournalBusy


def run_command(path: Path, url: str | None) -> int:
    """Serve with the configuration at ``path`` and return the exit code."""
    configure_logging()
    try:
        run_service(read_configuration(path), url)
    except (BadConfiguration, ValueError) as error:
        typer.echo(f"error: {error}", err=True)
        return 2
    except (JournalBusy, JournalTooNew, OSError, sqlite3.Error) as error:
        typer.echo(f"error: {error}", err=True)
        return 1
    return 0
