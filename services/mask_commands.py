"""The commands ``faultlight mask …``: layouts, offline on files; the work is in what each imports."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from services.offline_answers import JsonFlag, answer_offline

if TYPE_CHECKING:
    from services.pipelines.mask.printability_request import PrintabilityRequest

app = typer.Typer(help="Masks and layouts: nets, windows, defects.", no_args_is_help=True, add_completion=False)

LayoutArgument = Annotated[Path, typer.Argument(help="A GDSII or OASIS file.")]
ProcessOption = Annotated[
    str, typer.Option("--process", help="What conducts and what connects it: a faultlight.process/1 file, or sky130.")
]
CellOption = Annotated[str | None, typer.Option("--cell", help="The cell; needed where there is not one top cell.")]


@app.command()
def nets(
    layout: LayoutArgument,
    process: ProcessOption = "sky130",
    cell: CellOption = None,
    inner: Annotated[bool, typer.Option("--inner", help="The nets inside instances, too.")] = False,
    as_json: JsonFlag = False,
) -> None:
    """Trace the nets of a layout."""
    from services.pipelines.mask.layout_nets import trace_path
    from services.presentation.layout import print_nets

    answer_offline(lambda: trace_path(layout, process, cell, inner=inner), print_nets, as_json=as_json)


@app.command()
def at(
    layout: LayoutArgument,
    x_um: Annotated[float | None, typer.Argument(help="Place in the layout, micrometres.")] = None,
    y_um: Annotated[float | None, typer.Argument(help="Place in the layout, micrometres.")] = None,
    sigma_nm: Annotated[float, typer.Option("--sigma-nm", help="Standard deviation of the place in both axes.")] = 0.0,
    points: Annotated[
        Path | None, typer.Option("--points", help="CSV with x_um, y_um, sigma_x_nm, sigma_y_nm, correlation, name.")
    ] = None,
    process: ProcessOption = "sky130",
    cell: CellOption = None,
    as_json: JsonFlag = False,
) -> None:
    """Say which nets and cells lie under places of a layout, each with its probability over the error ellipse."""
    from services.pipelines.mask.layout_nets import Place, places_path, read_places
    from services.presentation.layout import print_places

    if (points is None) == (x_um is None or y_um is None):
        raise typer.BadParameter("give either a place, X_UM Y_UM, or --points FILE")

    def compute() -> dict[str, object]:
        if points is not None:
            return places_path(layout, read_places(points), process, cell)
        assert x_um is not None
        assert y_um is not None
        return places_path(layout, [Place(x_um, y_um, sigma_nm, sigma_nm)], process, cell)

    answer_offline(compute, print_places, as_json=as_json)


@app.command()
def window(
    layout: LayoutArgument,
    left_um: Annotated[float, typer.Argument(help="Left edge, micrometres.")],
    bottom_um: Annotated[float, typer.Argument(help="Lower edge, micrometres.")],
    right_um: Annotated[float, typer.Argument(help="Right edge, micrometres.")],
    top_um: Annotated[float, typer.Argument(help="Upper edge, micrometres.")],
    layers: Annotated[str | None, typer.Option("--layers", help="For example 68/20,69/20; all if not given.")] = None,
    whole: Annotated[bool, typer.Option("--whole", help="Polygons that touch the window, not cut at it.")] = False,
    cell: CellOption = None,
    as_json: JsonFlag = False,
) -> None:
    """Show what lies in a window of a layout, layer by layer."""
    from services.pipelines.mask.layout_window import window_path
    from services.presentation.layout import print_window

    edges = (left_um, bottom_um, right_um, top_um)
    answer_offline(lambda: window_path(layout, edges, layers, clip=not whole, cell=cell), print_window, as_json=as_json)


@app.command()
def overlay(
    layout: LayoutArgument,
    inspection: Annotated[Path, typer.Argument(help="Defects: a KLARF file.")],
    settings: Annotated[
        Path | None,
        typer.Option("--settings", help="How defects lie on the layout: a faultlight.defect-overlay/1 file."),
    ] = None,
    coordinates: Annotated[
        str | None, typer.Option("--coordinates", help="Which of the defects' coordinates: die, sample or layout.")
    ] = None,
    sigma_nm: Annotated[
        float | None, typer.Option("--sigma-nm", help="Standard deviation of a defect's place.")
    ] = None,
    layers: Annotated[str | None, typer.Option("--layers", help="Levels that defects may be on: met1,met2.")] = None,
    tone: Annotated[str | None, typer.Option("--tone", help="extra, missing or unknown material.")] = None,
    process: ProcessOption = "sky130",
    cell: CellOption = None,
    as_json: JsonFlag = False,
) -> None:
    """Say which nets defects lie on, touch, bridge and sever, how critical they are, and which are nuisance."""
    from services.pipelines.mask.defect_overlay import overlay_path
    from services.pipelines.mask.overlay_settings import choose_settings
    from services.presentation.defect import print_overlay

    def compute() -> dict[str, object]:
        chosen = choose_settings(settings, coordinates=coordinates, sigma_nm=sigma_nm, layers=layers, tone=tone)
        return overlay_path(layout, inspection, chosen, process, cell)

    answer_offline(compute, print_overlay, as_json=as_json)


@app.command(name="print")
def print_defects(
    layout: Annotated[Path, typer.Argument(help="A GDSII, OASIS or GLP file.")],
    question: Annotated[Path, typer.Argument(help="Optics, mask, resist and defects: faultlight.printability/1.")],
    inspection: Annotated[
        Path | None, typer.Option("--inspection", help="More defects: a KLARF file; --kind says what they are.")
    ] = None,
    settings: Annotated[
        Path | None,
        typer.Option("--settings", help="How the inspection lies on the layout: a faultlight.defect-overlay/1 file."),
    ] = None,
    kind: Annotated[
        str, typer.Option("--kind", help="Of the inspected defects: opaque, absorber or clear.")
    ] = "opaque",
    device: Annotated[str, typer.Option("--device", help="auto, cpu, cuda or cuda:<number>.")] = "auto",
    as_json: JsonFlag = False,
) -> None:
    """Say which defects of a mask print, and which repairs held, by imaging the mask with and without them."""
    from services.pipelines.mask.printability import print_path
    from services.presentation.printability import print_printability

    def compute() -> dict[str, object]:
        if inspection is None:
            return print_path(layout, question, device=device)
        from services.pipelines.mask.inspected_defects import add_inspection

        def added(request: "PrintabilityRequest") -> "PrintabilityRequest":
            return add_inspection(request, inspection, settings, kind)

        return print_path(layout, question, added, device)

    answer_offline(compute, print_printability, as_json=as_json)


@app.command()
def signatures(
    inspection: Annotated[Path, typer.Argument(help="Defects: a KLARF file.")],
    radius_um: Annotated[float | None, typer.Option("--radius-um", help="Of the inspected disc.")] = None,
    field_um: Annotated[
        tuple[float, float] | None, typer.Option("--field-um", help="Width and height of the reticle field.")
    ] = None,
    tolerance_um: Annotated[float, typer.Option("--tolerance-um", help="How far a repeater may be off.")] = 2.0,
    rate: Annotated[float, typer.Option("--rate", help="False-discovery rate.")] = 0.05,
    simulations: Annotated[int, typer.Option("--simulations", help="Maps by chance to compare with.")] = 399,
    as_json: JsonFlag = False,
) -> None:
    """Find clusters, rings, scratches and repeaters of an inspection, against chance."""
    from services.pipelines.mask.defect_signatures import SignatureOptions, signatures_path
    from services.presentation.defect import print_signatures

    options = SignatureOptions(radius_um, field_um, tolerance_um, rate, simulations)
    answer_offline(lambda: signatures_path(inspection, options), print_signatures, as_json=as_json)


@app.command()
def match(
    first: Annotated[Path, typer.Argument(help="Defects: a KLARF file.")],
    second: Annotated[Path, typer.Argument(help="Defects of the same sample: a KLARF file.")],
    sigma_nm: Annotated[
        tuple[float, float], typer.Option("--sigma-nm", help="Standard deviation of a place, in either inspection.")
    ],
    coordinates: Annotated[str, typer.Option("--coordinates", help="sample, die or layout.")] = "sample",
    area_mm2: Annotated[float | None, typer.Option("--area-mm2", help="That both inspections cover.")] = None,
    found_again: Annotated[float, typer.Option("--found-again", help="Chance of finding a defect again.")] = 0.8,
    align: Annotated[bool, typer.Option("--align", help="Fit a shift between the two to sure pairs.")] = False,
    as_json: JsonFlag = False,
) -> None:
    """Say which defects of two inspections are the same one, and how probable that is."""
    from services.pipelines.mask.defect_signatures import MatchOptions, match_paths
    from services.presentation.defect import print_matching

    options = MatchOptions(sigma_nm, coordinates, area_mm2, found_again, align)
    answer_offline(lambda: match_paths(first, second, options), print_matching, as_json=as_json)


@app.command()
def convert(
    frames: Annotated[Path, typer.Argument(help="Frames and the maps between them: a faultlight.frames/1 file.")],
    source: Annotated[str, typer.Argument(help="The frame that the place is in.")],
    target: Annotated[str, typer.Argument(help="The frame it is wanted in.")],
    x: Annotated[float, typer.Argument(help="In the source frame's unit.")],
    y: Annotated[float, typer.Argument(help="In the source frame's unit.")],
    sigma: Annotated[float, typer.Option("--sigma", help="Standard deviation of the place, in that unit.")] = 0.0,
    as_json: JsonFlag = False,
) -> None:
    """Convert a place between frames: mask, wafer, die, package, stage, image; its covariance comes with it."""
    from services.pipelines.mask.coordinate_frames import convert_path
    from services.presentation.layout import print_conversion

    answer_offline(lambda: convert_path(frames, (source, target), (x, y), sigma), print_conversion, as_json=as_json)


@app.command()
def tiles(
    layout: LayoutArgument,
    folder: Annotated[Path, typer.Argument(help="Where layer_datatype/level/x/y.png are written.")],
    layers: Annotated[str | None, typer.Option("--layers", help="For example 68/20,69/20; all if not given.")] = None,
    levels: Annotated[int, typer.Option("--levels", help="Levels of the pyramid, each twice as fine.")] = 4,
    cell: CellOption = None,
    as_json: JsonFlag = False,
) -> None:
    """Draw a layout's layers as tiles for a viewer."""
    from services.pipelines.mask.layout_tiles import tiles_path
    from services.presentation.layout import print_tiles

    answer_offline(lambda: tiles_path(layout, folder, layers, levels, cell), print_tiles, as_json=as_json)
