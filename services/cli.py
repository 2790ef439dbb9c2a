"""The command ``faultlight``: one line per command; the work is in the module each command imports.

Exit codes: 0 ok, 1 the service cannot be reached or failed, 2 bad input.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer

from services import anomaly_commands, mask_commands, reliability_commands, repair_commands
from services.offline_answers import JsonFlag, answer_offline, print_json, print_refusal, refusal_of
from services.uploader import commands as uploader

app = typer.Typer(
    help="Faultlight: from an instrument's file to the failing gate.", no_args_is_help=True, add_completion=False
)
WORKER_SILENCE_S = 120.0


@contextmanager
def _told_plainly() -> Iterator[None]:
    """Tell in one line what an operator can mend: a setting that is wrong (exit 2), a server that is away (exit 1)."""
    from pydantic import ValidationError
    from sqlalchemy.exc import OperationalError

    from services.stores import ConfigurationError

    try:
        yield
    except ConfigurationError as error:
        typer.echo(f"error: {error}", err=True)
        raise typer.Exit(2) from error
    except ValidationError as error:
        for each in error.errors():
            variable = "FAULTLIGHT_" + "_".join(str(part) for part in each["loc"]).upper()
            typer.echo(f"error: {variable}: {each['msg']}", err=True)
        raise typer.Exit(2) from error
    except OperationalError as error:
        typer.echo(f"error: the database: {str(error.orig).strip().splitlines()[0]}", err=True)
        raise typer.Exit(1) from error


@app.command()
def run(
    demo: Annotated[
        bool, typer.Option("--demo", help="On a throw-away data folder; exit 0 if the fault was found.")
    ] = False,
    demonstration: Annotated[bool, typer.Option(help="Load the demonstration die at the first start.")] = True,
) -> None:
    """Start everything on this machine, load the demonstration once, run until Ctrl-C."""
    from services.run import run_demo, run_until_interrupted

    raise typer.Exit(run_demo() if demo else run_until_interrupted(demonstration=demonstration))


@app.command()
def api() -> None:
    """Serve the REST API."""
    from services.run import serve_api

    with _told_plainly():
        serve_api()


@app.command()
def worker(
    queue: Annotated[list[str] | None, typer.Option("--queue", help="ingest, cpu or gpu; may be repeated.")] = None,
    name: Annotated[str, typer.Option(help="How this worker is called in logs and rows.")] = "worker",
) -> None:
    """Claim and run jobs of the given queues (default: ingest and cpu)."""
    from services.settings import get_settings
    from services.workers.main import run_worker

    with _told_plainly():
        run_worker(get_settings(), queue or ["ingest", "cpu"], name)


@app.command()
def scheduler() -> None:
    """Run the reconciler and everything that happens on time."""
    from services.scheduler.main import run_scheduler
    from services.settings import get_settings

    with _told_plainly():
        run_scheduler(get_settings())


@app.command()
def migrate() -> None:
    """Bring the configured database to this version's schema."""
    from db.migration import current_revision, upgrade
    from services.settings import get_settings
    from services.stores import open_engine

    with _told_plainly():
        engine = open_engine(get_settings())
        before = current_revision(engine)
        upgrade(engine)
        typer.echo(f"schema: {before or 'empty'} -> {current_revision(engine)}")


@app.command(name="sign-in-link")
def sign_in_link(
    name: Annotated[str, typer.Argument(help="The account; it is made when there is none.")] = "admin",
    administrator: Annotated[
        bool, typer.Option("--administrator", help="Let the account administer the installation.")
    ] = False,
) -> None:
    """Print a link that signs an account in to the console, once; it sets its password there."""
    from db.repositories.console_access import issue_link_by_name
    from services.settings import get_settings
    from services.stores import open_engine

    with _told_plainly():
        settings = get_settings()
        with open_engine(settings).begin() as connection:
            token = issue_link_by_name(connection, name, settings.sign_in_link_s, administrator=administrator)
        url = settings.public_url or f"http://{settings.api_host}:{settings.api_port}"
        typer.echo(f"{url}/sign-in/once/{token}")


@app.command(name="create-admin")
def create_admin() -> None:
    """Print a new key of the installation's administrator; it is shown once and not kept."""
    from db.repositories.access import bootstrap_admin
    from services.settings import get_settings
    from services.stores import open_engine

    with _told_plainly():
        with open_engine(get_settings()).begin() as connection:
            key = bootstrap_admin(connection)
        typer.echo(key)


@app.command(name="worker-health")
def worker_health() -> None:
    """Exit 0 while the worker or scheduler on this machine shows signs of life, 1 otherwise."""
    from services.settings import get_settings
    from services.telemetry import seconds_since_last_sign_of_life

    age_s = seconds_since_last_sign_of_life(get_settings())
    if age_s is None or age_s > WORKER_SILENCE_S:
        typer.echo("no sign of life" if age_s is None else f"the last sign of life was {age_s:.0f} s ago", err=True)
        raise typer.Exit(1)


@app.command()
def read(
    files: Annotated[list[Path], typer.Argument(help="Files, folders of a bundle, or .zip archives.")],
    format_name: Annotated[str | None, typer.Option("--format", help="Adapter to use; bypasses sniffing.")] = None,
    header: Annotated[
        bool, typer.Option("--header", help="Look at no sample where the format allows it: no ranges, any size.")
    ] = False,
    as_json: JsonFlag = False,
) -> None:
    """Read files offline and show what they hold, or why they are refused (exit 2)."""
    from instruments.errors import InstrumentError
    from services.pipelines.ingestion.reading import open_sandbox, read_document

    refused = False
    with open_sandbox() as sandbox:
        for path in files:
            try:
                document = read_document(path, format_name, sandbox, header=header)
            except (InstrumentError, FileNotFoundError, PermissionError) as error:
                refused = True
                print_refusal(refusal_of(error), as_json=as_json)
                continue
            if as_json:
                print_json(document)
            else:
                _print_reading(document)
    raise typer.Exit(2 if refused else 0)


@app.command()
def localize(
    session: Annotated[Path, typer.Argument(help="A probing session: a folder or .zip with session.json.")],
    at_power: Annotated[
        list[Path] | None,
        typer.Option("--at-power", help="Another session of the unit, at another laser power; may be repeated."),
    ] = None,
    heat_map: Annotated[
        Path | None, typer.Option("--heat-map", help="Draw the suspects on the die into this .svg or .png.")
    ] = None,
    as_json: JsonFlag = False,
) -> None:
    """Find the failing gate of a probing session, offline."""
    from services.demo.presentation import print_localization
    from services.pipelines.probing.localization import localize_path

    def compute() -> dict[str, Any]:
        if heat_map is None:
            return localize_path(session, at_power or ()).to_document()
        from services.pipelines.probing.heat_map_picture import check_picture_name, draw_heat_map

        check_picture_name(heat_map)
        document = localize_path(session, at_power or ()).to_document()
        draw_heat_map(document, heat_map)
        return document

    answer_offline(compute, print_localization, as_json=as_json)


@app.command(name="localize-batch")
def localize_batch(
    dies: Annotated[
        list[Path],
        typer.Argument(
            help="Dies of one product: sessions, the first with netlist and patterns, and fail logs (.csv)."
        ),
    ],
    rate: Annotated[float, typer.Option("--false-discovery-rate", help="Of the nets called recurring.")] = 0.05,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or cuda:<number>.")] = "auto",
    as_json: JsonFlag = False,
) -> None:
    """Say from the fail logs alone what each of many dies is suspected of, and which nets recur, offline."""
    from services.pipelines.probing.batch_localization import localize_batch_paths
    from services.presentation.batch import print_batch

    answer_offline(lambda: localize_batch_paths(dies, rate, device), print_batch, as_json=as_json)


@app.command()
def averaging(
    session: Annotated[Path, typer.Argument(help="A probing session: a folder or .zip with session.json.")],
    wrong: Annotated[float, typer.Option(help="Most probability of a wrong decision.")] = 0.02,
    as_json: JsonFlag = False,
) -> None:
    """Say which probes of a session need more averages, and how many, offline."""
    from services.pipelines.probing.averaging import judge_path
    from services.presentation.averaging import print_averaging

    answer_offline(lambda: judge_path(session, wrong), print_averaging, as_json=as_json)


@app.command(name="secs-host")
def secs_host(
    configuration: Annotated[Path, typer.Argument(help="The host's configuration, faultlight.secs-host/1.")],
    url: Annotated[
        str | None,
        typer.Option("--url", envvar="FAULTLIGHT_URL", help="Where to upload; unset: files stay in the outbox."),
    ] = None,
) -> None:
    """Take events, alarms and traces from equipment (SECS/GEM over HSMS), keep them, upload them, until Ctrl-C."""
    from services.secs_host.command import run_command

    raise typer.Exit(run_command(configuration, url))


app.command(name="upload")(uploader.upload)
app.command(name="watch")(uploader.watch)
app.command(name="status")(uploader.status)
app.add_typer(anomaly_commands.app, name="anomaly")
app.add_typer(mask_commands.app, name="mask")
app.add_typer(reliability_commands.app, name="reliability")
app.add_typer(repair_commands.app, name="repair")


def _print_reading(document: dict[str, Any]) -> None:
    typer.echo(f"{document['file']}: {document['format']} (adapter version {document['adapter_version']})")
    for record in document["records"]:
        times = "" if record.get("dt_s") is None else f", dt {record['dt_s']:.6g} s"
        segments = "" if (record.get("segments") or 1) == 1 else f", {record['segments']} segments"
        unit = record.get("unit") or ""
        amount = f"{record['count']} samples in {unit}" if record["kind"] == "waveform" else f"{record['count']} {unit}"
        typer.echo(f"  {record['kind']} {record['name']}: {amount}{times}{segments}")
    for warning in document["warnings"]:
        typer.echo(f"  warning: {warning}")


def main() -> None:
    """Run the command line."""
    app()


if __name__ == "__main__":
    main()
