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
    from services.demo.repair_presentation import print_handoff
    from services.pipelines.handoff import plan_path

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
    from services.demo.repair_presentation import print_learning
    from services.pipelines.repair_learning import learn_paths

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
    from services.demo.metrology_presentation import print_metrology
    from services.pipelines.mask_metrology import Convention, map_paths

    def compute() -> dict[str, Any]:
        return map_paths(files, Convention(scale, magnification, tone))  # type: ignore[arg-type]  # it checks the words

    answer_offline(compute, print_metrology, as_json=as_json)
