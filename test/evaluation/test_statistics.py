import pytest

from vla_ros.evaluation.statistics import Difference, Rate, rates_table


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
