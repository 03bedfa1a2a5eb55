"""Success rates with honest intervals."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
import math
from statistics import fmean, NormalDist, stdev

#: Student's t for a two-sided interval of 95 %, by degrees of freedom (Fisher and Yates 1938).
_T_95 = (
    *(12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228, 2.201, 2.179),
    *(2.160, 2.145, 2.131, 2.120, 2.110, 2.101, 2.093),
)


@dataclass(frozen=True)
class Rate:
    """A success rate of ``n`` trials with its Wilson interval [low, high], of 95 % if not told."""

    n: int
    success: float
    low: float
    high: float

    @staticmethod
    def of(successes: float, n: float, confidence: float = 0.95) -> Rate:
        """
        Return the rate of ``successes`` in ``n`` trials (Wilson, 1927); n may be 0.

        Half a success counts as such, and half a trial.
        """
        if n == 0:
            return Rate(0, math.nan, 0.0, 1.0)
        p = successes / n
        z = NormalDist().inv_cdf(0.5 + confidence / 2.0)
        z2 = z * z
        centre = (p + z2 / (2 * n)) / (1 + z2 / n)
        half = z * math.sqrt(p * (1 - p) / n + z2 / (4 * n * n)) / (1 + z2 / n)
        return Rate(round(n), p, max(0.0, centre - half), min(1.0, centre + half))

    @staticmethod
    def of_groups(groups: Sequence[Sequence[bool]]) -> Rate:
        """
        Return the rate of all trials, as certain as groups of like trials let it be.

        The interval of 95 % is Wilson's for as many independent trials as have the variance that
        is between the groups, none of them empty, with Student's t for their number (Korn and
        Graubard 1998, Survey Methodology 24, 193). One group alone says nothing of others.
        """
        n = sum(map(len, groups))
        rate = Rate.of(sum(map(sum, groups)), n)
        count, p = len(groups), rate.success
        if count < 2:
            return Rate(n, p, 0.0, 1.0)
        away = sum((sum(group) - p * len(group)) ** 2 for group in groups)
        variance = away * count / (count - 1) / n**2
        # Groups that are all alike do not tell of more trials than there are, all or no successes
        # not of more than there are groups.
        alike = n if 0.0 < p < 1.0 else count
        effective = min(alike, p * (1.0 - p) / variance) if variance > 0.0 else alike
        t = _T_95[min(count - 1, len(_T_95)) - 1]
        effective *= (NormalDist().inv_cdf(0.975) / t) ** 2
        found = Rate.of(p * effective, effective)
        return Rate(n, p, found.low, found.high)

    def __str__(self) -> str:
        if self.n == 0:
            return '   -'
        return f'{100 * self.success:5.1f} % [{100 * self.low:.1f}, {100 * self.high:.1f}]'

    def to_dict(self) -> dict[str, float]:
        return asdict(self)


@dataclass(frozen=True)
class Difference:
    """By how much one rate is above another, with the interval [low, high] of the two rates."""

    value: float
    low: float
    high: float

    @staticmethod
    def of(one: Rate, other: Rate) -> Difference:
        """Return ``one`` less ``other``, of separate trials (Newcombe 1998, method 10)."""
        value = one.success - other.success
        below = math.hypot(one.success - one.low, other.high - other.success)
        above = math.hypot(one.high - one.success, other.success - other.low)
        return Difference(value, value - below, value + above)

    @staticmethod
    def of_pairs(one: Sequence[bool], other: Sequence[bool]) -> Difference:
        """
        Return the success of ``one`` less that of ``other`` in the same trials.

        The interval is Newcombe's for paired data (1998, Statistics in Medicine 17, 2635, method
        10). Raises ValueError unless there are as many of both, and some.
        """
        n = len(one)
        if not 0 < n == len(other):
            raise ValueError(f'got {n} and {len(other)} trials, expected as many, and some')
        both = sum(a and b for a, b in zip(one, other, strict=True))
        first, second = sum(one), sum(other)
        neither = n - first - second + both
        together: float = both * neither - (first - both) * (second - both)
        if together > 0.0:
            together = max(together - n / 2, 0.0)  # or it seems more correlated than it is
        spread = first * (n - first) * second * (n - second)
        correlation = together / math.sqrt(spread) if spread else 0.0
        p, q = Rate.of(first, n), Rate.of(second, n)
        value = (first - second) / n

        def reach(of_one: float, of_other: float) -> float:
            square = of_one**2 - 2.0 * correlation * of_one * of_other + of_other**2
            return math.sqrt(max(square, 0.0))

        below = reach(p.success - p.low, q.high - q.success)
        above = reach(p.high - p.success, q.success - q.low)
        return Difference(value, value - below, value + above)

    def __str__(self) -> str:
        low, high = 100 * self.low, 100 * self.high
        return f'{100 * self.value:+.1f} points [{low:+.1f}, {high:+.1f}]'


@dataclass(frozen=True)
class Mean:
    """The mean of ``n`` runs with its interval [low, high] of 95 % (Student 1908)."""

    n: int
    value: float
    low: float
    high: float

    @staticmethod
    def of(values: Sequence[float]) -> Mean:
        """
        Return the mean of 1 to 20 values; of a single one nothing is known beside itself.

        Raises ValueError for none or for more.
        """
        if not 1 <= len(values) <= len(_T_95) + 1:
            raise ValueError(f'got {len(values)} values, expected 1 to {len(_T_95) + 1}')
        mean = fmean(values)
        if len(values) == 1:
            return Mean(1, mean, -math.inf, math.inf)
        half = _T_95[len(values) - 2] * stdev(values) / math.sqrt(len(values))
        return Mean(len(values), mean, mean - half, mean + half)


def rates_table(title: str, rates: Mapping[str, Rate]) -> str:
    """Return a plain text table, one line a name."""
    width = max(len(title), *(len(name) for name in rates)) if rates else len(title)
    lines = [f'{title:<{width}}  {"n":>5}  success, 95 % interval']
    lines += [f'{name:<{width}}  {rate.n:>5}  {rate}' for name, rate in rates.items()]
    return '\n'.join(lines)
