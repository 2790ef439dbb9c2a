"""What lies under a spot."""

import numpy as np
import pytest

from analysis.localization.mixture import LEAST_WEIGHT, MOST_NEIGHBOURS, Layout, Spot, spot_weight


def test_a_sure_spot_is_half_as_bright_at_half_its_width() -> None:
    spot = Spot(1.0, 2.0, 280.0)
    assert spot_weight(spot, 1.0, 2.0) == 1.0
    assert spot_weight(spot, 1.14, 2.0) == pytest.approx(0.5)


def test_an_unsure_spot_is_the_mean_over_its_places() -> None:
    spot = Spot(0.0, 0.0, 280.0, 60.0)
    off = np.random.default_rng(1).normal(0, 0.06, (200_000, 2))
    for x_um in (0.0, 0.1, 0.25):
        squared = (x_um - off[:, 0]) ** 2 + off[:, 1] ** 2
        intensity = np.exp(-4 * np.log(2) * squared / 0.28**2)
        assert spot_weight(spot, x_um, 0.0) == pytest.approx(np.sqrt((intensity**2).mean()), rel=0.02)


def test_an_ellipse_is_the_mean_over_its_places() -> None:
    covariance = ((6400.0, 3000.0), (3000.0, 2500.0))
    spot = Spot(0.0, 0.0, 280.0, covariance_nm2=covariance)
    off = np.random.default_rng(2).multivariate_normal((0, 0), covariance, 100_000) / 1e3
    for x_um, y_um in ((0.0, 0.0), (0.2, 0.1), (0.1, -0.2)):
        squared = (x_um - off[:, 0]) ** 2 + (y_um - off[:, 1]) ** 2
        intensity = np.exp(-4 * np.log(2) * squared / 0.28**2)
        assert spot_weight(spot, x_um, y_um) == pytest.approx(np.sqrt((intensity**2).mean()), rel=0.02)


@pytest.mark.parametrize("seed", range(5))
def test_neighbours_equal_a_search_through_all(seed: int) -> None:
    numbers = np.random.default_rng(seed)
    places = {f"n{index}": (float(x), float(y)) for index, (x, y) in enumerate(numbers.uniform(0, 2, (200, 2)))}
    spot = Spot(*places["n7"], 279.0, 30.0)
    weights = sorted(((spot_weight(spot, *place), net) for net, place in places.items() if net != "n7"), reverse=True)
    expected = [net for weight, net in weights if weight >= LEAST_WEIGHT][:MOST_NEIGHBOURS]
    assert [net for net, _ in Layout(places).neighbours("n7", spot)] == expected


def test_without_a_spot_or_places_there_are_no_neighbours() -> None:
    assert Layout({"a": (0.0, 0.0)}).neighbours("b", None) == []
    assert Layout({}).neighbours("b", Spot(0.0, 0.0, 279.0)) == []


@pytest.mark.parametrize(("sigma_nm", "reach_um"), [(0.0, 0.15), (30.0, 0.2), (4000.0, 8.0)])
def test_a_spot_is_on_its_net_within_its_width_and_error(sigma_nm: float, reach_um: float) -> None:
    layout = Layout({"a": (1.0, 2.0), "far": (40.0, 2.0)})
    for off_um, on in ((0.0, True), (reach_um, True), (4 * reach_um, False)):
        assert layout.is_on("a", Spot(1.0 + off_um, 2.0, 250.0, sigma_nm)) is on
    assert layout.is_on("unplaced", Spot(9.0, 9.0, 250.0, sigma_nm))
    assert layout.is_on("a", None)


def test_more_nets_than_can_be_told_apart_are_said() -> None:
    places = {f"n{index}": (0.004 * index, 0.0) for index in range(MOST_NEIGHBOURS + 2)}
    spot = Spot(*places["n0"], 250.0, 30.0)
    assert Layout(places).why_uncounted("n0", spot) == "25 other nets lie under the spot, more than 24"
    assert len(Layout(places).neighbours("n0", spot)) == MOST_NEIGHBOURS
    del places["n3"]
    assert Layout(places).why_uncounted("n0", spot) == ""
    assert Layout(places).why_uncounted("n0", Spot(5.0, 0.0, 250.0, 30.0)) == "the stated place is not on n0"
