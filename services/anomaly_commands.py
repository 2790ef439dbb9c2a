"""The commands ``faultlight anomaly …``: golden dies, populations, process traces; the work is in what each imports."""

from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from services.offline_answers import JsonFlag, answer_offline

COMPARE = "compare"


class _ComparesByDefault(TyperGroup):
    """``faultlight anomaly SUSPECT --golden GOLDEN`` is ``faultlight anomaly compare SUSPECT --golden GOLDEN``."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Put the name of the comparison before arguments that begin with no command."""
        if args and args[0] not in self.commands and args[0] != "--help":
            args = [COMPARE, *args]
        return list(super().parse_args(ctx, args))


app = typer.Typer(
    cls=_ComparesByDefault,
    help="Anomalies without a simulation. Without a command's name: compare SUSPECT --golden GOLDEN.",
    no_args_is_help=True,
    add_completion=False,
)


@app.command(name=COMPARE)
def compare(
    suspect: Annotated[Path, typer.Argument(help="The suspect's probing session: a folder or .zip.")],
    golden: Annotated[
        list[Path] | None,
        typer.Option("--golden", help="A session with role golden; may be repeated; a scan chain needs none."),
    ] = None,
    as_json: JsonFlag = False,
) -> None:
    """Compare a suspect's waveforms, maps and scan chain with golden dies', offline and without a simulation."""
    from services.pipelines.probing.golden_comparison import compare_paths
    from services.presentation.comparison import print_comparison

    answer_offline(lambda: compare_paths(suspect, golden or []), print_comparison, as_json=as_json)


@app.command()
def population(
    sessions: Annotated[list[Path], typer.Argument(help="Probing sessions of many dies: folders or .zip files.")],
    reference: Annotated[
        list[Path] | None, typer.Option("--reference", help="A session of a die known to be good; may be repeated.")
    ] = None,
    net: Annotated[
        list[str] | None, typer.Option("--net", help="A net to compare; default: all that every die was probed on.")
    ] = None,
    class_by: Annotated[str, typer.Option(help="none, product, lot or wafer: the rate is kept in each.")] = "none",
    false_alarms: Annotated[float, typer.Option(help="Part of the good dies that may be alarms.")] = 0.05,
    as_json: JsonFlag = False,
) -> None:
    """Say which of many dies stand out by their waveforms on the same nets, offline and without a simulation."""
    from services.pipelines.probing.population_outliers import find_outliers_in_paths
    from services.pipelines.probing.population_request import ask_population
    from services.presentation.population import print_population

    def compute() -> dict[str, Any]:
        asked = ask_population({"nets": net or [], "class_by": class_by, "false_alarms": false_alarms})
        return find_outliers_in_paths(sessions, reference or [], asked)

    answer_offline(compute, print_population, as_json=as_json)


@app.command()
def process(
    journals: Annotated[list[Path], typer.Argument(help="Journals of equipment's messages with traces (S6F1).")],
    since: Annotated[
        str | None, typer.Option(help="Judge from then on (ISO 8601, UTC if bare); default: the file that begins last.")
    ] = None,
    context: Annotated[
        list[str] | None, typer.Option("--context", help="A variable that says what runs: recipe, step; several.")
    ] = None,
    parameter: Annotated[
        list[str] | None, typer.Option("--parameter", help="A variable to check; default: all that are numbers.")
    ] = None,
    false_alarms: Annotated[float, typer.Option(help="Part of the good runs that may be alarms.")] = 0.05,
    window: Annotated[int | None, typer.Option(help="Samples of a window; default: a third of a run.")] = None,
    as_json: JsonFlag = False,
) -> None:
    """Say which runs of a process are unlike the runs of the same step before them, offline."""
    from services.pipelines.probing.process_traces import check_paths
    from services.pipelines.probing.trace_request import ask_traces
    from services.presentation.process_traces import print_traces

    def compute() -> dict[str, Any]:
        asked = {"since": since, "context": context or [], "parameters": parameter or []}
        return check_paths(journals, ask_traces(asked | {"false_alarms": false_alarms, "window": window}))

    answer_offline(compute, print_traces, as_json=as_json)
