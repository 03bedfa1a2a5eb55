import math

from vla_ros.bench.rounds import noise, ratio, verdict


def test_a_ratio_is_the_median_of_those_within_the_rounds():
    rounds = [{'a': 1.0, 'b': 2.0}, {'a': 30.0, 'b': 10.0}, {'a': 1.0, 'b': 1.0}]
    found = ratio(rounds, 'a', 'b')
    assert (found.median, found.low, found.high) == (1.0, 0.5, 3.0)


def test_what_is_compared_with_nothing_takes_any_number_of_times_as_long():
    rounds = [{'a': 1.0, 'b': 1.0}, {'a': 1.0, 'b': -0.1}, {'a': 2.0, 'b': 1.0}]
    found = ratio(rounds, 'a', 'b')
    assert (found.median, found.low, found.high) == (2.0, 1.0, math.inf)


def test_a_machine_whose_speed_doubles_is_too_noisy():
    assert verdict(noise([1.0, 1.9])) == ''
    assert verdict(noise([1.0, 2.1])).startswith('too noisy')
