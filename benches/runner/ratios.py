"""Medians of what was measured in the same round, one by the other."""
from collections.abc import Sequence
from statistics import median

from .plan import Json

__all__ = ["cost", "every", "median", "of_rounds", "rounds"]


def of_rounds(above: Sequence[float], below: Sequence[float]) -> float:
    """The median of each round's ratio."""
    return median(one / other for one, other in zip(above, below, strict=True))


def rounds(case: Json, target: str, field: str) -> list[float]:
    """One figure of one rival, round by round."""
    return every(case[target]["rounds"], field)


def every(reports: Sequence[Json], field: str) -> list[float]:
    """One figure of each report."""
    return [float(report[field]) for report in reports]


def cost(results: Json, case: str, target: str = "presignd") -> float:
    """Microseconds for each URL."""
    return median(rounds(results["throughput"][case], target, "us_per_url"))
