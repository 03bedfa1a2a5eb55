import pytest

from vla_ros.evaluation.statistics import Difference, Mean, Rate, rates_table


@pytest.mark.parametrize(
    ('successes', 'n', 'low', 'high'),
    # Reference values: Newcombe (1998), table I, method 3 (score, no continuity correction).
    [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611)],
)
def test_wilson_intervals_agree_with_the_published_ones(successes, n, low, high):
    rate = Rate.of(successes, n)
    assert rate.low == pytest.approx(low, abs=1e-4)
    assert rate.high == pytest.approx(high, abs=1e-4)


def test_no_trials_say_nothing():
    rate = Rate.of(0, 0)
    assert (rate.low, rate.high) == (0.0, 1.0)


def test_the_table_names_every_rate():
    text = rates_table('task', {'pick': Rate.of(9, 10), 'put': Rate.of(10, 10)})
    assert 'pick' in text
    assert '100.0 %' in text


@pytest.mark.parametrize(
    ('one', 'other', 'low', 'high'),
    # Reference values: Newcombe (1998, interval estimation for the difference), table II,
    # method 10.
    [
        ((56, 70), (48, 80), 0.0524, 0.3339),
        ((9, 10), (3, 10), 0.1705, 0.8090),
        ((5, 56), (0, 29), -0.0381, 0.1926),
    ],
)
def test_intervals_of_differences_agree_with_the_published_ones(one, other, low, high):
    difference = Difference.of(Rate.of(*one), Rate.of(*other))
    assert difference.low == pytest.approx(low, abs=1e-4)
    assert difference.high == pytest.approx(high, abs=1e-4)


def test_more_confidence_is_a_wider_interval():
    sure, surer = Rate.of(8, 10), Rate.of(8, 10, confidence=0.99)
    assert surer.low < sure.low < sure.high < surer.high
    assert surer.success == sure.success


def test_the_interval_of_a_mean_is_that_of_the_textbook():
    # Student (1908), Biometrika 6, page 20: additional hours of sleep, t = 4.06 for 9 degrees.
    hours = [1.2, 2.4, 1.3, 1.3, 0.0, 1.0, 1.8, 0.8, 4.6, 1.4]
    mean = Mean.of(hours)
    assert (mean.n, mean.value) == (10, pytest.approx(1.58))
    assert (mean.value - mean.low) / 2.262 == pytest.approx(1.58 / 4.06, rel=2e-3)
    assert mean.high - mean.value == pytest.approx(mean.value - mean.low)


def test_one_run_alone_has_no_interval():
    mean = Mean.of([3.0])
    assert (mean.low, mean.value, mean.high) == (-float('inf'), 3.0, float('inf'))


@pytest.mark.parametrize('count', [0, 21])
def test_a_mean_of_no_runs_or_of_more_than_the_table_has_is_refused(count):
    with pytest.raises(ValueError, match='expected 1 to 20'):
        Mean.of([1.0] * count)
