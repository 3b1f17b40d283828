"""Medians of the ratios of values that were measured in the same round."""
from collections.abc import Sequence
from statistics import median

from .plan import Json

__all__ = ["cost", "every", "median", "of_rounds", "rounds"]


def of_rounds(above: Sequence[float], below: Sequence[float]) -> float:
    """The median of the ratios of all rounds."""
    return median(one / other for one, other in zip(above, below, strict=True))


def rounds(case: Json, target: str, field: str) -> list[float]:
    """One value of one rival in each round."""
    return every(case[target]["rounds"], field)


def every(reports: Sequence[Json], field: str) -> list[float]:
    """One value of each report."""
    return [float(report[field]) for report in reports]


def cost(results: Json, case: str, target: str = "presignd") -> float:
    """Microseconds per URL."""
    return median(rounds(results["throughput"][case], target, "us_per_url"))
