"""The commands ``faultlight reliability risk …``: which units will fail in the field, offline."""

from pathlib import Path
from typing import Annotated, Any

import typer

from services.offline_answers import JsonFlag, answer_offline

app = typer.Typer(help="Which units will fail in the field.", no_args_is_help=True, add_completion=False)
Files = Annotated[
    list[Path], typer.Argument(help="Tables of unit evidence: unit_id, judged_at, outcome, modality.feature …")
]
Model = Annotated[Path, typer.Option(help="The model, as train wrote it.")]


@app.command()
def train(
    files: Files,
    out: Annotated[Path, typer.Option("--out", help="Where the model goes (safetensors).")],
    held_out_part: Annotated[float, typer.Option(help="The last part of the units, which judges the model.")] = 0.3,
    alpha: Annotated[float, typer.Option(help="Errors of the conformal sets, by class.")] = 0.1,
    trees: Annotated[int, typer.Option(help="Of forests; 0: logistic regressions only.")] = 200,
    seed: Annotated[int, typer.Option(help="Of the forests.")] = 0,
    as_json: JsonFlag = False,
) -> None:
    """Learn a model from units whose outcome is known, and judge it by the last of them."""
    from services.pipelines.latent_risk.risk_requests import ask_training
    from services.pipelines.latent_risk.risk_training import train_paths
    from services.presentation.latent_risk import print_training

    def compute() -> dict[str, Any]:
        asked = {"held_out_part": held_out_part, "alpha": alpha, "trees": trees, "seed": seed}
        learned = train_paths(files, ask_training(asked))
        out.write_bytes(learned.data)
        return learned.document | {"model": str(out)}

    answer_offline(compute, print_training, as_json=as_json)


@app.command()
def score(
    files: Files,
    model: Model,
    most_units: Annotated[int, typer.Option(help="The most suspected units are listed.")] = 1000,
    as_json: JsonFlag = False,
) -> None:
    """Say how probably each unit fails in the field, and what says so."""
    from services.pipelines.latent_risk.risk_requests import ScoringRequest
    from services.pipelines.latent_risk.risk_scoring import score_paths
    from services.presentation.latent_risk import print_scores

    answer_offline(
        lambda: score_paths(files, model, ScoringRequest(most_units=most_units)), print_scores, as_json=as_json
    )


@app.command()
def evaluate(files: Files, model: Model, as_json: JsonFlag = False) -> None:
    """Judge a model by units that were judged after those it was learned from, their outcomes known by now."""
    from services.pipelines.latent_risk.risk_scoring import evaluate_paths
    from services.presentation.latent_risk import print_evaluation

    answer_offline(lambda: evaluate_paths(files, model), print_evaluation, as_json=as_json)


@app.command()
def drift(files: Files, model: Model, as_json: JsonFlag = False) -> None:
    """Say whether units still look like those a model was learned from, and whether its probabilities come true."""
    from services.pipelines.latent_risk.risk_scoring import drift_paths
    from services.presentation.latent_risk import print_drift

    answer_offline(lambda: drift_paths(files, model), print_drift, as_json=as_json)
