"""A registration map by normal equations in exact fractions: slow and obvious."""

from fractions import Fraction


def solve(matrix: list[list[Fraction]], right: list[Fraction]) -> list[Fraction]:
    """Gauss and Jordan."""
    rows = [[*row, value] for row, value in zip(matrix, right, strict=True)]
    size = len(rows)
    for column in range(size):
        pivot = next(row for row in range(column, size) if rows[row][column] != 0)
        rows[column], rows[pivot] = rows[pivot], rows[column]
        rows[column] = [value / rows[column][column] for value in rows[column]]
        for row in range(size):
            if row != column:
                factor = rows[row][column]
                rows[row] = [a - factor * b for a, b in zip(rows[row], rows[column], strict=True)]
    return [row[-1] for row in rows]


def fit_terms(
    sites: list[tuple[float, float, float, float, float, float]], terms: int
) -> tuple[list[float], list[float]]:
    """Terms and their stated standard errors of (x_um, y_um, dx_nm, dy_nm, sigma_x, sigma_y) sites, none left out."""
    equations = []
    for x_um, y_um, dx, dy, sx, sy in sites:
        x, y = Fraction(x_um) / 1000, Fraction(y_um) / 1000
        one, none = Fraction(1), Fraction(0)
        equations.append(([one, none, x, -y, x, -y / 2][:terms], Fraction(dx), 1 / Fraction(sx) ** 2))
        equations.append(([none, one, y, x, -y, -x / 2][:terms], Fraction(dy), 1 / Fraction(sy) ** 2))
    normal = [[sum(w * row[i] * row[j] for row, _, w in equations) for j in range(terms)] for i in range(terms)]
    right = [sum(w * row[i] * value for row, value, w in equations) for i in range(terms)]
    values = solve(normal, right)
    errors = []
    for index in range(terms):
        unit = [Fraction(int(other == index)) for other in range(terms)]
        errors.append(float(solve(normal, unit)[index]) ** 0.5)
    return [float(value) for value in values], errors
