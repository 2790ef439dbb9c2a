"""The commands ``faultlight repair …``: laser and ion beam, offline on files; the work is in what each imports."""

from pathlib import Path
from typing import Annotated, Any

import typer

from services.offline_answers import JsonFlag, answer_offline

app = typer.Typer(help="Laser, ion-beam and electron-beam repair.", no_args_is_help=True, add_completion=False)
ConstantsOption = Annotated[
    Path | None, typer.Option("--constants", help="The laboratory's own constants, a .toml or .json file.")
]


@app.command()
def handoff(
    request: Annotated[Path, typer.Argument(help="The question, faultlight.handoff/1, a .toml or .json file.")],
    constants: ConstantsOption = None,
    as_json: JsonFlag = False,
) -> None:
    """Say how deep the laser may cut before the ion beam takes over, how far beside, and what that saves."""
    from services.pipelines.repair.handoff import plan_path
    from services.presentation.repair import print_handoff

    answer_offline(lambda: plan_path(request, constants), print_handoff, as_json=as_json)


@app.command()
def learn(
    logs: Annotated[list[Path], typer.Argument(help="Logs of laser and ion-beam steps with measured depths.")],
    material: Annotated[str | None, typer.Option(help="Of the steps whose log names none.")] = None,
    constants: ConstantsOption = None,
    write: Annotated[Path | None, typer.Option("--write", help="Write what was learned, for --constants.")] = None,
    as_json: JsonFlag = False,
) -> None:
    """Learn the constants of the laser and the ion beam from the laboratory's own runs."""
    from services.pipelines.repair.repair_learning import learn_paths
    from services.presentation.repair import print_learning

    answer_offline(lambda: learn_paths(logs, material, constants, write), print_learning, as_json=as_json)


@app.command()
def metrology(
    files: Annotated[list[Path], typer.Argument(help="Tables of widths or registration errors.")],
    scale: Annotated[str | None, typer.Option(help="mask or wafer: of files that do not state theirs.")] = None,
    magnification: Annotated[float | None, typer.Option(help="Wafer to mask; 4 for most scanners.")] = None,
    tone: Annotated[str | None, typer.Option(help="clear or opaque: of widths that do not state theirs.")] = None,
    as_json: JsonFlag = False,
) -> None:
    """Map widths and registration of masks, raw and with what a scanner corrects removed, and their trends."""
    from services.pipelines.mask.mask_metrology import Convention, map_paths
    from services.presentation.metrology import print_metrology

    def compute() -> dict[str, Any]:
        return map_paths(files, Convention(scale, magnification, tone))  # type: ignore[arg-type]  # it checks the words

    answer_offline(compute, print_metrology, as_json=as_json)


@app.command()
def outcome(  # noqa: PLR0913, PLR0917 - the options of a command are its arguments
    logs: Annotated[list[Path], typer.Argument(help="Logs of laser, ion-beam and electron-beam repairs.")],
    defects: Annotated[Path | None, typer.Option(help="The inspection that the repairs answer, a KLARF file.")] = None,
    after: Annotated[Path | None, typer.Option(help="A second inspection of the same sample, after them.")] = None,
    same_frame: Annotated[
        bool, typer.Option("--same-frame", help="The tool's positions are in the frame of the defects.")
    ] = False,
    sigma_um: Annotated[float, typer.Option(help="Standard deviation of positions whose file states none.")] = 1.0,
    criteria: Annotated[Path | None, typer.Option(help="When a repair has held, a .toml or .json file.")] = None,
    printability: Annotated[
        list[Path] | None, typer.Option(help="What mask print --json said of what repairs left; may be repeated.")
    ] = None,
    as_json: JsonFlag = False,
) -> None:
    """Join repairs to their defects and say how probably tools and recipes succeed."""
    from services.pipelines.repair.repair_outcomes import Frame, JudgedBy, judge_paths
    from services.presentation.outcome import print_outcome

    def compute() -> dict[str, Any]:
        by = JudgedBy(criteria, printability or ())
        return judge_paths(logs, defects, after, Frame(same_frame, sigma_um, sigma_um), by)

    answer_offline(compute, print_outcome, as_json=as_json)


@app.command()
def advise(
    defect_type: Annotated[str | None, typer.Option("--type", help="bridge, extension, pinhole, break, …")] = None,
    size_nm: Annotated[float | None, typer.Option(help="Of the defect, at mask scale.")] = None,
    tone: Annotated[str | None, typer.Option(help="clear or opaque: what the defect adds.")] = None,
    layer: Annotated[str | None, typer.Option(help="The material: chromium, mosi, quartz, …")] = None,
    rules: Annotated[Path | None, typer.Option(help="Rules of your own, faultlight.repair-rules/1.")] = None,
    record: Annotated[Path | None, typer.Option(help="What repair outcome --json said.")] = None,
    as_json: JsonFlag = False,
) -> None:
    """Say whether laser, ion beam or electron beam suits a defect, and why; or that nothing supports any."""
    from analysis.repair.advice import Question
    from services.pipelines.repair.repair_advice import advise_on, read_basis
    from services.presentation.outcome import print_advice

    question = Question(defect_type, size_nm, tone, layer)
    answer_offline(lambda: advise_on(question, read_basis(rules, record)), print_advice, as_json=as_json)
