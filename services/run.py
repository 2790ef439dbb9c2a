"""What ``faultlight run`` and ``faultlight api`` do."""

import shutil
import signal
import sys
import tempfile
import threading
import time
from pathlib import Path
from types import FrameType

import uvicorn
from rich.console import Console

from services.demo.demonstration import Demonstration, DemonstrationFailed
from services.demo.fab import FabDemonstration
from services.embedded import EmbeddedServerError
from services.settings import Settings, get_settings
from services.stack import Stack, StackError

CHECK_INTERVAL_S = 0.5


def serve_api() -> None:
    """Serve the REST API in this process until it is told to stop."""
    settings = get_settings()
    uvicorn.run(
        "services.api.app:create_app",
        factory=True,
        host=settings.api_host,
        port=settings.api_port,
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=20,
        lifespan="on",
    )


def run_until_interrupted(*, demonstration: bool) -> int:
    """Run the whole service on this machine until Ctrl-C or SIGTERM; return the exit code."""
    console = Console()
    _stop_on_signals()
    try:
        console.print("Starting PostgreSQL, broker, API, workers and scheduler …")
        with Stack(get_settings()) as stack:
            if demonstration:
                _show_demonstration(stack, console)
            _show_addresses(stack, console)
            if demonstration:
                _load_fab(stack, console)
            while True:
                for name in stack.check():
                    console.print(f"[yellow]{name} ended and is started again (logs in {stack.log_folder})")
                time.sleep(CHECK_INTERVAL_S)
    except KeyboardInterrupt:
        console.print("Stopped every process; the data stays for the next start.")
        return 0
    except (StackError, EmbeddedServerError) as error:
        console.print(f"[red]{error}", soft_wrap=True)
        return 1


def run_demo() -> int:
    """Run the demonstration on a throw-away data folder; return 0 only if the hidden fault was found."""
    console = Console()
    _stop_on_signals()
    folder = Path(tempfile.mkdtemp(prefix="faultlight-demo-"))
    stack = Stack(Settings(data_dir=folder, api_port=0, database_url=None, broker_url=None, blob_url=None))
    try:
        console.print("Starting PostgreSQL, broker, API, workers and scheduler on a throw-away folder …")
        with stack:
            found = Demonstration(stack.url, stack.key, folder / "demonstration", console).load_and_show()
        console.print("[green]The hidden fault was found." if found else "[red]The hidden fault was NOT found.")
        return 0 if found else 1
    except KeyboardInterrupt:
        console.print("Interrupted.")
        return 130
    except (StackError, EmbeddedServerError, DemonstrationFailed) as error:
        console.print(f"[red]{error}", soft_wrap=True)
        return 1
    finally:
        if stack.postgres is not None:
            stack.postgres.destroy()
        shutil.rmtree(folder, ignore_errors=True)


def _show_demonstration(stack: Stack, console: Console) -> None:
    try:
        Demonstration(stack.url, stack.key, stack.settings.data_dir / "demonstration", console).load_and_show()
    except DemonstrationFailed as error:
        console.print(f"[red]The demonstration did not finish: {error}", soft_wrap=True)


def _load_fab(stack: Stack, console: Console) -> None:
    """Load the rest of the demonstration beside everything else, so that nobody waits for it."""

    def load() -> None:
        try:
            FabDemonstration(stack.url, stack.key, stack.settings.data_dir / "demonstration-fab").load()
            console.print("The demonstration has its lots, layout, charts, case, model and report too: all SIMULATED.")
        except DemonstrationFailed as error:
            console.print(f"[yellow]The rest of the demonstration was not loaded: {error}", soft_wrap=True)

    console.print("Lots, a layout, control charts, a case, a model and a report follow within minutes.")
    threading.Thread(target=load, name="demonstration-fab", daemon=True).start()


def _show_addresses(stack: Stack, console: Console) -> None:
    console.print(f"\nConsole        {stack.url}/")
    console.print(f"Sign in once   {stack.issue_sign_in_link()}", soft_wrap=True)
    console.print(f"API            {stack.url}/api/v1")
    console.print(f"API docs       {stack.url}/docs")
    console.print(f"Key            in {stack.key_file}")
    console.print(f"Logs           in {stack.log_folder}")
    console.print("Ctrl-C stops everything; the data stays.")
    sys.stdout.flush()


def _stop_on_signals() -> None:
    def stop(_number: int, _frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    if hasattr(signal, "SIGHUP"):
        signal.signal(signal.SIGHUP, stop)
