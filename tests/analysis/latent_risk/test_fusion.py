"""The fused model on SIMULATED units: nothing leaks, nothing is worse than its best part, and sums are sums."""

from dataclasses import replace
from itertools import combinations
from typing import Any

import numpy as np
import pytest

from analysis.latent_risk.baselines import fit_baselines
from analysis.latent_risk.calibration import Calibrator
from analysis.latent_risk.evaluation import evaluate_model
from analysis.latent_risk.evidence import BadEvidence, Evidence, EvidenceError, Modality, TooFewOutcomes
from analysis.latent_risk.folds import TimeBlocks, hold_out_last, make_blocks
from analysis.latent_risk.heads import HeadKind, fit_head
from analysis.latent_risk.measures import area_under_roc, log_losses
from analysis.latent_risk.model_file import DamagedModel, pack_model, read_card, unpack_model
from analysis.latent_risk.patterns import HeldOut, choose_fusions
from analysis.latent_risk.risk_model import NOTHING_PRESENT, WrongFeatures, score_units, unknown_features
from analysis.latent_risk.stacking import Stack
from analysis.latent_risk.training import STRETCHES, Trained, TrainingSettings, held_out_scores, train_model
from tests.analysis.latent_risk.simulated_units import DAY_S, simulate

SETTINGS = TrainingSettings(trees=0)


@pytest.fixture(scope="module")
def trained() -> Trained:
    return train_model(simulate(900), SETTINGS)


@pytest.fixture(scope="module")
def packed(trained: Trained) -> bytes:
    return pack_model(trained.model, {"algorithm": "a"})


def test_nothing_of_the_held_out_units_or_of_later_outcomes_is_learned_from(trained: Trained) -> None:
    evidence = simulate(900)
    flipped = evidence.outcome.copy()
    later = evidence.time_s >= trained.held_out.time_s[0]
    flipped[later] = 1 - flipped[later]
    again = train_model(replace(evidence, outcome=flipped), SETTINGS)
    assert pack_model(again.model, {}) == pack_model(trained.model, {})
    # The last day of what is learned from has outcomes that are known only after the held-out part begins.
    assert trained.left_out == 23
    assert (trained.development.known_at_s <= trained.held_out.time_s[0]).all()


def test_a_block_is_scored_by_what_was_known_before_it() -> None:
    evidence = simulate(600).known()
    blocks = make_blocks(evidence)
    modality = evidence.modalities[0]
    failed = evidence.outcome == 1
    kind = HeadKind("logistic", 0.1)
    before = held_out_scores(modality, failed, blocks, kind)
    assert np.isnan(before[(blocks.block == 0) & ~blocks.known_before(1)]).all()
    number = 3
    not_known = ~blocks.known_before(number)
    assert (not_known & (blocks.block < number)).any()
    other = held_out_scores(modality, np.where(not_known, ~failed, failed), blocks, kind)
    rows = (blocks.block <= number) & np.isfinite(before)
    assert rows.any()
    assert (before[rows] == other[rows]).all()


def test_stretches_of_the_first_block_are_scored_by_the_others_and_count_for_the_calibration(trained: Trained) -> None:
    evidence = simulate(600, missing=0.0).known()
    blocks = make_blocks(evidence)
    failed = evidence.outcome == 1
    kind = HeadKind("logistic", 0.1)
    before = held_out_scores(evidence.modalities[0], failed, blocks, kind)
    first = np.flatnonzero(blocks.known_before(1))
    own = np.array_split(first, STRETCHES)[1]
    flipped = failed.copy()
    flipped[own] = ~failed[own]
    after = held_out_scores(evidence.modalities[0], flipped, blocks, kind)
    assert (before[own] == after[own]).all()
    others = np.setdiff1d(first, own)
    assert (before[others] != after[others]).all()
    known = trained.model.fusions[(0,)]
    later = trained.development.modalities[0].present & (trained.blocks.block > 0)
    assert known.population == "superset"
    # Sets are made from later units only.
    assert known.known_odds.size == later.sum()
    assert known.calibrator.limit < 1 / (later.sum() + 2)


def test_a_trace_is_taken_as_it_is_unless_its_description_scores_better() -> None:
    generator = np.random.default_rng(3)
    count, samples = 900, 24
    failed = generator.uniform(size=count) < 0.3
    moved = generator.normal(size=(count, samples))
    # An event that comes anywhere, and a level at a place of its own.
    moved[np.flatnonzero(failed), generator.integers(samples, size=int(failed.sum()))] += 6.0
    still = generator.normal(size=(count, samples))
    still[:, 3] += 2.0 * failed
    names = tuple(f"trace_{number}" for number in range(samples))
    order = np.arange(count, dtype=np.float64)
    evidence = Evidence(tuple(f"U{number}" for number in range(count)), order, failed.astype(np.int8), order,
                        (Modality("moved", names, moved), Modality("still", names, still)))  # fmt: skip
    made = train_model(evidence, SETTINGS)
    kinds = [choice.kind for choice in made.choices]
    assert [kind.samples_only for kind in kinds if kind] == [False, True]
    again, _ = unpack_model(pack_model(made.model, {}))
    assert score_units(again, evidence).probability == pytest.approx(score_units(made.model, evidence).probability)


def test_equal_times_are_never_parted() -> None:
    evidence = simulate(300)
    coarse = replace(evidence, time_s=np.floor(evidence.time_s / DAY_S / 3), known_at_s=evidence.known_at_s * 0 + 99)
    blocks = make_blocks(coarse)
    assert all(len(set(blocks.block[coarse.time_s == time])) == 1 for time in np.unique(coarse.time_s))
    early, later, _ = hold_out_last(replace(coarse, known_at_s=coarse.time_s), 0.3)
    assert early.time_s.max() < later.time_s.min()
    with pytest.raises(EvidenceError, match="too few different times"):
        train_model(
            replace(evidence, time_s=(evidence.time_s > 5e5) * 1.0, known_at_s=evidence.time_s * 0 + 1), SETTINGS
        )


def test_no_fusion_is_worse_on_held_out_units_than_its_best_modality(trained: Trained) -> None:
    model = trained.model
    assert set(model.fusions) == {each for size in (1, 2, 3) for each in combinations(range(3), size)}
    for fusion in model.fusions.values():
        assert fusion.log_loss <= fusion.best_single_log_loss
        assert fusion.area >= fusion.best_single_area
        assert fusion.reason
    assert set(model.fusions[(0, 1)].used) == {0, 1}
    evaluation = evaluate_model(model, trained.held_out)
    assert evaluation is not None
    for each in evaluation.patterns:
        if each.best_single is not None:
            assert each.performance.log_loss <= each.best_single.log_loss + 0.01


def test_a_modality_that_spoils_the_answer_is_left_out_and_the_reason_told() -> None:
    generator = np.random.default_rng(3)
    count = 800
    failed = generator.uniform(size=count) < 0.3
    # The second modality says the truth at first and lies later: a stack that trusted it would pay for it.
    good = np.where(failed, 1.0, -1.0) + generator.normal(size=count)
    turned = np.where(np.arange(count) < 560, 1, -1) * np.where(failed, 3.0, -3.0)
    evidence = simulate(count)
    blocks = make_blocks(replace(evidence, known_at_s=evidence.time_s))
    held = HeldOut(np.stack([good, turned], axis=1), np.ones((count, 2), np.bool_), failed, blocks)
    fusions = choose_fusions(held, ("good", "turned"))
    assert fusions[(0, 1)].used == (0,)
    assert fusions[(0, 1)].reason.startswith("fallback")


def test_contributions_add_up_and_a_missing_modality_has_none(trained: Trained) -> None:
    hidden = trained.held_out.without(["mask"])
    scores = score_units(trained.model, hidden)
    answered = np.isfinite(scores.probability)
    odds = scores.base + scores.contributions.sum(axis=1) + scores.calibration
    assert 1 / (1 + np.exp(-odds[answered])) == pytest.approx(scores.probability[answered], abs=1e-12)
    assert (scores.contributions[:, 1] == 0).all()
    assert (scores.low[answered] <= scores.probability[answered]).all()
    assert (scores.probability[answered] <= scores.high[answered]).all()


def test_probabilities_are_calibrated_and_sets_keep_their_promise_in_each_class(trained: Trained) -> None:
    later = simulate(2000, seed=9)
    evaluation = evaluate_model(trained.model, later)
    assert evaluation is not None
    assert evaluation.calibration.error < evaluation.calibration.error_by_chance + 0.04
    for coverage in evaluation.coverage:
        assert coverage.covered >= 0.82
    scores = score_units(trained.model, later)
    rows = np.isfinite(scores.probability)
    failed = later.outcome == 1
    assert area_under_roc(scores.probability[rows], failed[rows]) > 0.75
    rate = np.full(later.outcome.size, (trained.development.outcome == 1).mean())
    assert (
        log_losses(scores.probability[rows], failed[rows]).mean() < log_losses(rate[rows], failed[rows]).mean() - 0.05
    )


def test_a_unit_of_which_nothing_is_known_or_believed_is_refused(trained: Trained) -> None:
    asked = trained.held_out.select(np.arange(5))
    nothing = score_units(trained.model, asked.without(trained.model.modalities))
    assert set(nothing.refusal) == {NOTHING_PRESENT}
    assert np.isnan(nothing.probability).all()
    only = asked.without(["mask", "repair"])
    values = np.full((5, 2), 1e6)
    outside = replace(only, modalities=(replace(only.modalities[0], values=values), *only.modalities[1:]))
    found = score_units(trained.model, outside)
    assert set(found.refusal) == {"electrical.f0 lies far outside what the model has seen"}
    both = replace(asked, modalities=(replace(asked.modalities[0], values=values), *asked.modalities[1:]))
    told = score_units(trained.model, both)
    answered = np.isfinite(told.probability)
    assert answered.any()
    assert (told.contributions[answered, 0] == 0).all()


def test_features_are_found_by_name_and_a_missing_one_is_refused(trained: Trained) -> None:
    asked = trained.held_out
    electrical = asked.modalities[0]
    turned = replace(electrical, features=electrical.features[::-1], values=electrical.values[:, ::-1])
    again = score_units(trained.model, replace(asked, modalities=(*asked.modalities[1:], turned)))
    plain = score_units(trained.model, asked)
    assert np.array_equal(again.probability, plain.probability, equal_nan=True)
    lacking = replace(electrical, features=electrical.features[:1], values=electrical.values[:, :1])
    with pytest.raises(WrongFeatures, match="electrical lacks f1"):
        score_units(trained.model, replace(asked, modalities=(lacking,)))
    extra = replace(electrical, name="lvp")
    assert unknown_features(trained.model, replace(asked, modalities=(extra,))) == ["lvp.f0", "lvp.f1"]


def test_a_model_is_the_same_after_it_was_kept(trained: Trained, packed: bytes) -> None:
    model, card = unpack_model(packed)
    assert card["algorithm"] == "a"
    assert read_card(packed) == card
    kept, fresh = score_units(model, trained.held_out), score_units(trained.model, trained.held_out)
    for name in ("probability", "low", "high", "contributions", "may_fail", "may_survive"):
        assert np.array_equal(getattr(kept, name), getattr(fresh, name), equal_nan=True)
    assert pack_model(model, {"algorithm": "a"}) == packed


def test_heads_of_fewer_units_spread_scores_as_the_final_one_does() -> None:
    """The same units in every block: what was held out was scored as the final head scores it."""
    once = simulate(150, missing=0.0).modalities[0]
    failed = np.tile(simulate(150, missing=0.0).outcome == 1, 3)
    modality = replace(once, values=np.tile(once.values, (3, 1)))
    starts = np.asarray([0.0, 1.0, 2.0])
    blocks = TimeBlocks(np.repeat(np.arange(3), 150), starts, np.repeat(starts, 150))
    kind = HeadKind("logistic", 0.01)
    final = fit_head(kind, modality.features, modality.values, failed).score(once.values)
    found = held_out_scores(modality, failed, blocks, kind)
    assert found[150:300] == pytest.approx(final, abs=1e-5)
    assert found[300:] == pytest.approx(final, abs=1e-5)


@pytest.mark.parametrize("at", [0.02, 0.5, 0.97])
def test_a_damaged_model_is_refused(packed: bytes, at: float) -> None:
    place = int(at * len(packed))
    damaged = packed[:place] + bytes([packed[place] ^ 1]) + packed[place + 1 :]
    with pytest.raises(DamagedModel):
        unpack_model(damaged)
    with pytest.raises(DamagedModel):
        unpack_model(packed[:place])


def test_a_model_that_would_look_elsewhere_is_refused(trained: Trained) -> None:
    head = trained.model.heads[0]
    assert head is not None
    kept = head.preparation.kept + 1
    wrong = replace(head, preparation=replace(head.preparation, kept=kept))
    with pytest.raises(DamagedModel, match="keeps features that there are not"):
        unpack_model(pack_model(replace(trained.model, heads=(wrong, *trained.model.heads[1:])), {}))
    with pytest.raises(DamagedModel, match="alpha"):
        unpack_model(pack_model(replace(trained.model, alpha=1.5), {}))
    only = {each: fusion for each, fusion in trained.model.fusions.items() if each == (0,)}
    headless = replace(trained.model, heads=(None, *trained.model.heads[1:]), fusions=only)
    with pytest.raises(DamagedModel, match="has no head"):
        unpack_model(pack_model(headless, {}))


ISOTONIC = Calibrator("isotonic", knots=np.asarray([[0.0, 1.0], [0.1, 0.9]]), limit=0.01)


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"calibrator": replace(ISOTONIC, knots=ISOTONIC.knots[::-1] * [[1], [-1]])}, "falls"),
        ({"calibrator": replace(ISOTONIC, knots=ISOTONIC.knots[:, ::-1])}, "falls"),
        ({"calibrator": replace(ISOTONIC, knots=ISOTONIC.knots * 7)}, "leaves 0..1"),
        ({"calibrator": replace(ISOTONIC, knots=ISOTONIC.knots[0])}, "knots is"),
        ({"calibrator": replace(ISOTONIC, limit=0.0)}, "impossible limit"),
        ({"calibrator": Calibrator("platt", np.asarray([-1.0, 0.0]), limit=0.01)}, "falls"),
        ({"known_odds": np.zeros(0), "known_failed": np.zeros(0, np.bool_)}, "no held-out units"),
        ({"known_odds": np.zeros((2, 2)), "known_failed": np.zeros((2, 2), np.bool_)}, "known_odds is"),
        ({"members": (0, 0)}, "does not have"),
        ({"used": (0, 0), "stack": Stack(0.0, np.ones(2)), "mean_scores": np.zeros(2)}, "twice"),
        ({"used": (), "stack": Stack(0.0, np.zeros(0)), "mean_scores": np.zeros(0)}, "uses no modality"),
    ],
)
def test_a_fusion_that_would_answer_wrongly_is_refused(trained: Trained, change: dict[str, Any], why: str) -> None:
    fusion = trained.model.fusions[(0,)]
    unpack_model(pack_model(replace(trained.model, fusions={(0,): replace(fusion, calibrator=ISOTONIC)}), {}))
    with pytest.raises(DamagedModel, match=why):
        unpack_model(pack_model(replace(trained.model, fusions={(0,): replace(fusion, **change)}), {}))


def test_what_is_no_model_is_refused() -> None:
    with pytest.raises(DamagedModel, match="no safetensors file"):
        unpack_model(b"\x80\x04\x95 a pickle, which would be executed")
    with pytest.raises(DamagedModel, match="no card"):
        unpack_model((2).to_bytes(8, "little") + b"{}")


def test_plain_models_stand_beside_and_too_few_outcomes_are_refused(trained: Trained) -> None:
    baselines = fit_baselines(trained.development, trained.blocks, 0, 0)
    evaluation = evaluate_model(trained.model, trained.held_out, baselines)
    assert evaluation is not None
    names = [each.name for each in evaluation.comparisons]
    assert names == ["constant rate", "logistic regression"]
    assert evaluation.comparisons[0].beaten
    assert evaluation.comparisons[0].performance.area == 0.5
    few = simulate(60, base=-6)
    with pytest.raises(TooFewOutcomes, match="units failed and"):
        train_model(few, SETTINGS)


def test_a_unit_that_stands_twice_is_refused() -> None:
    evidence = simulate(400)
    twice: Evidence = replace(evidence, units=("U1", *evidence.units[1:]))
    with pytest.raises(BadEvidence, match="U1 stands in the evidence twice"):
        train_model(twice, SETTINGS)
