"""A model as bytes: safetensors with a card in its header. Nothing in it is ever executed, and every bound is checked.

The card (JSON) says what the arrays are, what they were learned from and how well they did. A file whose card does not
fit its arrays, or that another version of the algorithm wrote, is refused.
"""

import hashlib
import json
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load, save

from analysis.latent_risk.calibration import METHODS, Calibrator
from analysis.latent_risk.drift import ReferenceBins
from analysis.latent_risk.evidence import MOST_MODALITIES, EvidenceError, is_trace
from analysis.latent_risk.forest import DamagedForest, Forest
from analysis.latent_risk.heads import Head, HeadKind, Preparation
from analysis.latent_risk.patterns import PatternFusion, Subset, subsets
from analysis.latent_risk.risk_model import RiskModel
from analysis.latent_risk.stacking import Stack

FORMAT = "faultlight.latent-risk/1"
MOST_BYTES = 256 << 20
_ENTRY, _CARD, _DIGEST = "faultlight", "card", "sha256"
_HEADER_BYTES = 8
_MOST_HEADER = 16 << 20
_FOREST = ("roots", "feature", "threshold", "left", "right", "value")
_PREPARED = ("fill", "seen_low", "seen_high", "kept", "centre", "scale", "low", "high")
Arrays = Mapping[str, NDArray[Any]]


class DamagedModel(EvidenceError):  # noqa: N818
    """The bytes are no model that this version can use; the message says why."""


def pack_model(model: RiskModel, card: Mapping[str, Any]) -> bytes:
    """Return ``model`` and its ``card`` as the bytes of a safetensors file; the same model gives the same bytes.

    ``card`` is what is told of the model; its shape (``format``, ``modalities``, ``heads``, ``fusions``) is added here.
    """
    arrays: dict[str, NDArray[Any]] = {}
    heads: list[dict[str, Any] | None] = []
    for number, head in enumerate(model.heads):
        heads.append(None if head is None else _pack_head(head, f"head.{number}.", arrays))
    fusions = [
        _pack_fusion(fusion, f"fusion.{number}.", arrays) for number, fusion in enumerate(model.fusions.values())
    ]
    edges = [each.edges for each in model.references.values()]
    arrays["reference.edges"] = np.concatenate([*edges, np.zeros(0)])
    arrays["reference.counts"] = np.concatenate([*(each.counts for each in model.references.values()), np.zeros(0)])
    arrays["reference.lengths"] = np.asarray([each.size for each in edges], np.int32)
    shape = {
        "modalities": [
            {"name": name, "features": list(features)}
            for name, features in zip(model.modalities, model.features, strict=True)
        ],
        "alpha": model.alpha, "heads": heads, "fusions": fusions, "references": list(model.references),
    }  # fmt: skip
    whole = {"format": FORMAT, **card, "shape": shape}
    text = json.dumps(whole, sort_keys=True, allow_nan=False)
    ordered = {name: np.ascontiguousarray(arrays[name]) for name in sorted(arrays)}
    # One entry only: the order of several is not fixed by the library, and the same model is to give the same bytes.
    envelope = json.dumps({_DIGEST: _digest(ordered, text), _CARD: text}, sort_keys=True)
    return bytes(save(ordered, {_ENTRY: envelope}))


def _pack_head(head: Head, prefix: str, arrays: dict[str, NDArray[Any]]) -> dict[str, Any]:
    for name in _PREPARED:
        arrays[prefix + name] = getattr(head.preparation, name)
    if head.weights is not None:
        arrays[prefix + "weights"] = head.weights
    else:
        arrays |= {prefix + name: getattr(head.forest, name) for name in _FOREST}
    return {"kind": vars(head.kind), "intercept": head.intercept, "logistic": head.weights is not None}


def _pack_fusion(fusion: PatternFusion, prefix: str, arrays: dict[str, NDArray[Any]]) -> dict[str, Any]:
    arrays |= {
        prefix + "weights": fusion.stack.weights, prefix + "mean_scores": fusion.mean_scores,
        prefix + "parameters": fusion.calibrator.parameters, prefix + "knots": fusion.calibrator.knots,
        prefix + "known_odds": fusion.known_odds, prefix + "known_failed": fusion.known_failed.astype(np.uint8),
    }  # fmt: skip
    numbers = {
        name: value if np.isfinite(value := getattr(fusion, name)) else None
        for name in ("log_loss", "best_single_log_loss", "area", "best_single_area")
    }
    return {
        "members": list(fusion.members), "used": list(fusion.used), "intercept": fusion.stack.intercept,
        "method": fusion.calibrator.method, "limit": fusion.calibrator.limit, "population": fusion.population,
        "reason": fusion.reason, "calibration_reason": fusion.calibration_reason, "doubts": list(fusion.doubts),
        **numbers,
    }  # fmt: skip


def _digest(arrays: Arrays, card: str) -> str:
    whole = hashlib.sha256(card.encode())
    for name in sorted(arrays):
        whole.update(f"{name} {arrays[name].dtype.str} {arrays[name].shape}".encode())
        whole.update(arrays[name].tobytes())
    return whole.hexdigest()


def read_card(data: bytes) -> dict[str, Any]:
    """Return the card of the model whose file is ``data``, without its arrays.

    Raises:
        DamagedModel: it is no such file.
    """
    return _read_header(data)[0]


def _read_header(data: bytes) -> tuple[dict[str, Any], str, str]:
    if len(data) > MOST_BYTES:
        raise DamagedModel(f"a model has at most {MOST_BYTES >> 20} MiB, this file has {len(data) >> 20}")
    length = int.from_bytes(data[:_HEADER_BYTES], "little") if len(data) > _HEADER_BYTES else 0
    if not 0 < length <= min(_MOST_HEADER, len(data) - _HEADER_BYTES):
        raise DamagedModel("the file is no safetensors file")
    try:
        header = json.loads(data[_HEADER_BYTES : _HEADER_BYTES + length])
        envelope = json.loads(header["__metadata__"][_ENTRY])
        text, digest = envelope[_CARD], envelope[_DIGEST]
        card = json.loads(text)
    except (ValueError, KeyError, TypeError) as error:
        raise DamagedModel("the file has no card of a latent-risk model") from error
    if not isinstance(card, dict) or card.get("format") != FORMAT:
        found = card.get("format") if isinstance(card, dict) else type(card).__name__
        raise DamagedModel(f"this version reads {FORMAT}, the file is {found!r}")
    return card, text, digest


def unpack_model(data: bytes) -> tuple[RiskModel, dict[str, Any]]:
    """Return the model and the card in ``data``, the bytes of its file.

    Raises:
        DamagedModel: and why.
    """
    card, text, digest = _read_header(data)
    try:
        arrays = load(data)
    except (SafetensorError, ValueError, KeyError) as error:
        raise DamagedModel(f"the file is damaged: {str(error)[:120]}") from error
    if _digest(arrays, text) != digest:
        raise DamagedModel("the card and the arrays are not those that were written together")
    try:
        return _unpack(card["shape"], arrays), card
    except (KeyError, TypeError, IndexError) as error:
        raise DamagedModel(f"the card does not fit the arrays: {error}") from error
    except (DamagedForest, ValueError) as error:
        raise DamagedModel(str(error)) from error


def _unpack(shape: Mapping[str, Any], arrays: Arrays) -> RiskModel:
    names = tuple(str(each["name"]) for each in shape["modalities"])
    features = tuple(tuple(str(name) for name in each["features"]) for each in shape["modalities"])
    if not 0 < len(names) <= MOST_MODALITIES or len(shape["heads"]) != len(names):
        raise DamagedModel("the card has not as many heads as modalities")
    if not 0 < float(shape["alpha"]) < 1:
        raise DamagedModel("the sets' alpha does not lie between 0 and 1")
    if any(len(set(each)) != len(each) for each in (names, *features)):
        raise DamagedModel("two modalities, or two features of one, have the same name")
    heads = tuple(
        None if each is None else _unpack_head(each, features[number], _reader(arrays, f"head.{number}."))
        for number, each in enumerate(shape["heads"])
    )
    fusions: dict[Subset, PatternFusion] = {}
    for number, each in enumerate(shape["fusions"]):
        fusion = _unpack_fusion(each, _reader(arrays, f"fusion.{number}."))
        if fusion.members not in subsets(len(names)):
            raise DamagedModel("a fusion is of modalities that the model does not have")
        if any(heads[member] is None for member in fusion.used) or not set(fusion.used) <= set(fusion.members):
            raise DamagedModel("a fusion uses a modality that has no head, or is not there")
        if len(set(fusion.used)) != len(fusion.used):
            raise DamagedModel("a fusion uses a modality twice")
        fusions[fusion.members] = fusion
    references = _unpack_references(tuple(shape["references"]), _reader(arrays, "reference."))
    return RiskModel(names, features, heads, fusions, float(shape["alpha"]), references)


Read = Callable[..., NDArray[Any]]


def _unpack_references(names: tuple[str, ...], read: Read) -> dict[str, ReferenceBins]:
    lengths = read("lengths", "<i4", (len(names),))
    ends = np.cumsum(lengths, dtype=np.int64)
    total = int(ends[-1]) if names else 0
    edges, counts = read("edges", shape=(total,)), read("counts", shape=(total + 2 * len(names),))
    if (lengths < 0).any() or (counts < 0).any():
        raise DamagedModel("a reference has a negative count")
    found = {
        str(name): ReferenceBins(edges[end - length : end], counts[end - length + 2 * number : end + 2 * (number + 1)])
        for number, (name, length, end) in enumerate(zip(names, lengths.tolist(), ends.tolist(), strict=True))
    }
    if any((np.diff(each.edges) <= 0).any() for each in found.values()):
        raise DamagedModel("a reference's edges do not rise")
    return found


def _reader(arrays: Arrays, prefix: str) -> Read:
    """Return what reads ``name`` with the dtype and the shape that it must have; -1 stands for any length."""

    def read(name: str, dtype: str = "<f8", shape: tuple[int, ...] = (-1,)) -> NDArray[Any]:
        found = arrays[prefix + name]
        like = tuple(-1 if wanted == -1 else size for wanted, size in zip(shape, found.shape, strict=False))
        if found.dtype.str != dtype or found.ndim != len(shape) or like != shape:
            raise DamagedModel(f"{prefix}{name} is {found.dtype.str}{found.shape}, not {dtype}{shape}")
        if found.dtype.kind == "f" and not np.isfinite(found).all():
            raise DamagedModel(f"{prefix}{name} is not finite")
        return found

    return read


def _unpack_head(told: Mapping[str, Any], features: tuple[str, ...], read: Read) -> Head:
    width = (len(features),)
    kept = read("kept", "<i4")
    inner = kept.shape
    kind = HeadKind(**told["kind"])
    described = 4 * len(features) - 2 if is_trace(features) and not kind.samples_only else len(features)
    parts = {name: read(name, shape=width) for name in ("fill", "seen_low", "seen_high")}
    parts |= {name: read(name, shape=inner) for name in ("centre", "scale", "low", "high")}
    if (kept < 0).any() or (kept >= described).any() or (parts["scale"] <= 0).any():
        raise DamagedModel("a head keeps features that there are not, or has a scale that is not positive")
    if (parts["low"] > parts["high"]).any() or (parts["seen_low"] > parts["seen_high"]).any():
        raise DamagedModel("a head has seen a range that ends before it begins")
    preparation = Preparation(features, kept=kept, samples_only=bool(kind.samples_only), **parts)
    if told["logistic"]:
        return Head(kind, preparation, _finite(told["intercept"]), read("weights", shape=inner))
    forest = Forest(
        read("roots", "<i4"), read("feature", "<i4"), read("threshold"), read("left", "<i4"), read("right", "<i4"),
        read("value"),
    )  # fmt: skip
    forest.check(kept.size)
    return Head(kind, preparation, _finite(told["intercept"]), forest=forest)


def _finite(told: Any) -> float:
    if not np.isfinite(found := float(told)):
        raise DamagedModel("an intercept is not finite")
    return found


def _unpack_fusion(told: Mapping[str, Any], read: Read) -> PatternFusion:
    used = tuple(int(each) for each in told["used"])
    weights = read("weights", shape=(len(used),))
    known = read("known_odds")
    method = str(told["method"])
    parameters = {"platt": 2, "beta": 3}.get(method, 0)
    if method not in METHODS or (weights < 0).any() or not 0 < float(told["limit"]) < 0.5:
        raise DamagedModel("a fusion has an unknown calibration, a negative weight or an impossible limit")
    if not used or not known.size:
        raise DamagedModel("a fusion uses no modality, or has no held-out units")
    numbers = {
        name: float("nan") if told[name] is None else float(told[name])
        for name in ("log_loss", "best_single_log_loss", "area", "best_single_area")
    }
    calibrator = Calibrator(
        method, read("parameters", shape=(parameters,)), read("knots", shape=(2, -1)), float(told["limit"])
    )
    _check_rising(calibrator)
    return PatternFusion(
        tuple(int(each) for each in told["members"]),
        used,
        Stack(_finite(told["intercept"]), weights),
        read("mean_scores", shape=(len(used),)),
        calibrator,
        known,
        read("known_failed", "|u1", known.shape).astype(np.bool_),
        str(told["population"]),
        str(told["reason"]),
        calibration_reason=str(told["calibration_reason"]),
        doubts=tuple(str(each) for each in told["doubts"]),
        **numbers,
    )


def _check_rising(calibrator: Calibrator) -> None:
    """Refuse a calibration that falls, or leaves 0..1: the most suspected unit would be told as the safest."""
    odds, parts = calibrator.knots
    if (calibrator.parameters[:-1] < 0).any() or (np.diff(calibrator.knots) < 0).any():
        raise DamagedModel("a calibration falls where log odds rise")
    if (parts < 0).any() or (parts > 1).any() or (calibrator.method == "isotonic" and not odds.size):
        raise DamagedModel("an isotonic calibration has no steps, or leaves 0..1")
