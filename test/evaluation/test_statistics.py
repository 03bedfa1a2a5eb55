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


def paired(both, one_alone, other_alone, neither):
    counts = ((True, True), both), ((True, False), one_alone)
    counts += ((False, True), other_alone), ((False, False), neither)
    trials = [pair for pair, count in counts for _ in range(count)]
    return Difference.of_pairs([one for one, _ in trials], [other for _, other in trials])


@pytest.mark.parametrize(
    ('cells', 'low', 'high'),
    [
        # Newcombe (1998, paired data), method 10.
        ((36, 12, 2, 0), 0.0569, 0.3404),
        # Fagerland, Lydersen and Laake (2017, contingency tables), chapter 8, square-and-add.
        ((1, 1, 7, 12), -0.507, -0.026),
        ((59, 6, 16, 80), -0.1186, -0.0046),
    ],
)
def test_intervals_of_paired_differences_agree_with_the_published_ones(cells, low, high):
    both, one_alone, other_alone, _ = cells
    difference = paired(*cells)
    assert difference.value == pytest.approx((one_alone - other_alone) / sum(cells))
    digits = 5e-4 if cells[0] == 1 else 1e-4
    assert (difference.low, difference.high) == pytest.approx((low, high), abs=digits)


def test_the_same_trials_tell_a_difference_better_than_separate_ones():
    same, separate = paired(60, 10, 0, 30), Difference.of(Rate.of(70, 100), Rate.of(60, 100))
    assert same.value == pytest.approx(separate.value)
    assert separate.low < 0.0 < same.low
    assert same.high < separate.high


@pytest.mark.parametrize('won', [True, False])
def test_where_all_trials_end_alike_the_interval_is_that_of_separate_ones(won):
    ends = Difference.of_pairs([won] * 50, [won] * 50)
    rate = Rate.of(50 * won, 50)
    assert ends == Difference.of(rate, rate)


def test_the_other_way_round_the_difference_is_the_opposite():
    there, back = paired(5, 9, 2, 8), paired(5, 2, 9, 8)
    assert (there.low, there.high) == pytest.approx((-back.high, -back.low))


@pytest.mark.parametrize('other', [[], [True, False]])
def test_pairs_are_as_many_of_both_and_some(other):
    with pytest.raises(ValueError, match='expected as many, and some'):
        Difference.of_pairs([True] if other else [], other)


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


def test_trials_that_are_alike_make_an_interval_wider():
    alone = Rate.of(80, 100)
    spread = Rate.of_groups([[True] * 8 + [False] * 2] * 10)
    by_group = Rate.of_groups([[True] * 10] * 8 + [[False] * 10] * 2)
    assert spread.n == by_group.n == 100
    assert spread.success == by_group.success == alone.success
    # Groups that are all alike are as many trials as there are, those of one answer one trial less
    # than there are groups; and Student's t of ten groups is 2.262 where it is 1.960 of many.
    for found, trials in (spread, 100), (by_group, 9):
        effective = trials * (1.960 / 2.262) ** 2
        wanted = Rate.of(0.8 * effective, effective)
        assert (found.low, found.high) == pytest.approx((wanted.low, wanted.high), abs=1e-4)


def test_one_word_that_fails_in_all_of_its_trials_weighs_by_its_trials():
    one_fails = Rate.of_groups([[False] * 17, *[[True] * 11] * 17])
    any_fail = Rate.of(11 * 17, 17 + 11 * 17)
    assert one_fails.low < any_fail.low - 0.1
    assert one_fails.high > any_fail.high


def test_groups_that_all_succeed_are_as_many_trials_as_groups():
    assert Rate.of_groups([[True] * 50] * 4).low < Rate.of(4, 4).low
    assert Rate.of_groups([[False] * 50] * 4).high > Rate.of(0, 4).high


def test_one_group_says_nothing_of_others():
    rate = Rate.of_groups([[True, True, False]])
    assert (rate.n, rate.low, rate.high) == (3, 0.0, 1.0)
    assert rate.success == pytest.approx(2 / 3)
