import math

import numpy as np
import pytest

from vla_ros.evaluation.metrics import (
    calibration,
    chance_of_recall,
    generation,
    largest_gap,
    modality_balance,
    recall_at,
    retrieval,
    success_by,
)
from vla_ros.evaluation.statistics import Difference, Rate

#: Of three images and three texts: the right text is first, second and last.
SIMILARITY = np.array([[0.9, 0.5, 0.1], [0.6, 0.5, 0.4], [0.3, 0.2, 0.1]])
OWN = ['a', 'b', 'c']


@pytest.mark.parametrize(('k', 'hits'), [(1, 1), (2, 2), (3, 3)])
def test_recall_counts_queries_whose_own_item_is_among_the_first_k(k, hits):
    assert recall_at(k, SIMILARITY, OWN, OWN) == Rate.of(hits, 3)


def test_the_other_direction_ranks_by_columns():
    assert recall_at(1, SIMILARITY.T, OWN, OWN) == Rate.of(1, 3)
    assert recall_at(2, SIMILARITY.T, OWN, OWN) == Rate.of(2, 3)


def test_an_item_that_means_the_same_is_right_too():
    assert recall_at(1, SIMILARITY, ['a', 'a', 'c'], ['a', 'a', 'c']) == Rate.of(2, 3)


def test_right_items_do_not_stand_in_the_way_of_each_other():
    # Two that are right come before a wrong one: at 1 either of them counts.
    assert recall_at(1, [[0.5, 0.9, 0.4]], ['a'], ['a', 'a', 'b']).success == 1.0


def test_a_model_that_finds_all_alike_recalls_nothing():
    assert recall_at(2, np.zeros((3, 3)), OWN, OWN).success == 0.0


def test_but_what_is_always_right_is_recalled_even_then():
    assert recall_at(1, np.zeros((2, 2)), ['a', 'a'], ['a', 'a']).success == 1.0


def test_both_directions_are_those_of_the_embeddings():
    images, texts = np.eye(3), np.array([[1.0, 0.0, 0.0], [0.9, 0.5, 0.0], [0.8, 0.0, 0.3]])
    found = retrieval(images, 7.0 * texts, OWN)
    # Every text is most like image a, while image b and c have their own text first.
    assert (found.text_of_image, found.image_of_text) == (Rate.of(3, 3), Rate.of(1, 3))


def test_chance_is_what_items_in_random_order_recall():
    meanings = ['a'] * 3 + ['b'] * 2 + ['c'] * 5
    random = np.random.default_rng(0)
    drawn = [
        recall_at(3, random.random((10, 10)), meanings, meanings).success for _ in range(2000)
    ]
    assert chance_of_recall(3, meanings, meanings) == pytest.approx(np.mean(drawn), abs=0.01)


@pytest.mark.parametrize(('k', 'chance'), [(1, 0.1), (5, 0.5), (10, 1.0), (99, 1.0)])
def test_without_duplicates_chance_is_k_of_n(k, chance):
    assert chance_of_recall(k, range(10), range(10)) == pytest.approx(chance)


@pytest.mark.parametrize(
    ('similarity', 'items', 'reason'),
    [
        (SIMILARITY, ['a', 'b', 'x'], 'means the same'),
        (SIMILARITY * math.nan, OWN, 'finite'),
        (SIMILARITY[:2], OWN, r'\(3, 3\)'),
    ],
)
def test_what_cannot_be_ranked_is_refused(similarity, items, reason):
    with pytest.raises(ValueError, match=reason):
        recall_at(1, similarity, OWN, items)


def test_generation_is_compared_number_by_number_and_by_direction():
    result = generation([[1.0, 0.0], [0.0, 2.0]], [[1.0, 0.0], [2.0, 0.0]])
    assert result.mean_squared_error == pytest.approx((0.0 + 4.0 + 4.0) / 4.0)
    assert result.cosine == pytest.approx(0.5)


def test_generating_nothing_points_nowhere():
    assert generation([[0.0, 0.0]], [[3.0, 4.0]]).cosine == 0.0


def test_images_are_compared_as_rows_of_pixels():
    image = np.random.default_rng(0).random((2, 3, 4, 4))
    assert generation(image, image).cosine == pytest.approx(1.0)


@pytest.mark.parametrize('other', [[[1.0]], [[1.0, 2.0, 3.0]]])
def test_generating_another_shape_is_refused(other):
    with pytest.raises(ValueError, match='differ'):
        generation([[1.0, 2.0]], other)


def won(count):
    return [i < count for i in range(100)]


def test_a_modality_is_worth_what_is_lost_without_it():
    uses = modality_balance(
        won(90),
        {'vision': won(10), 'text': won(88)},
        {'vision': np.full((2, 3, 4), 0.5), 'text': np.array([[-3.0], [1.0]])},
    )
    assert uses['vision'].loss.value == pytest.approx(0.8)
    assert uses['vision'].loss.low > 0.5
    assert uses['text'].without == Rate.of(88, 100)
    assert uses['text'].loss == Difference.of_pairs(won(90), won(88))
    shares = {name: use.gradient_share for name, use in uses.items()}
    assert shares == pytest.approx({'vision': 0.75, 'text': 0.25})


def test_without_any_gradient_no_modality_has_a_share():
    use = modality_balance(won(1), {'text': won(1)}, {'text': [0.0]})['text']
    assert use.gradient_share == 0.0


def test_modalities_of_success_and_gradient_must_agree():
    with pytest.raises(ValueError, match='vision'):
        modality_balance(won(1), {'text': won(1)}, {'vision': [1.0]})


def test_success_is_counted_in_each_group():
    rates = success_by(['red', 'blue', 'red', 'red'], [True, False, False, True])
    assert rates == {'blue': Rate.of(0, 1), 'red': Rate.of(2, 3)}


def test_the_largest_gap_is_between_best_and_worst():
    rates = {'red': Rate.of(90, 100), 'blue': Rate.of(60, 100), 'green': Rate.of(80, 100)}
    gap = largest_gap(rates)
    assert (gap.best, gap.worst) == ('red', 'blue')
    assert gap.difference.value == pytest.approx(0.3)
    assert gap.difference.low > 0.0


def test_of_two_groups_the_interval_is_that_of_their_difference():
    # Newcombe (1998), table II, method 10.
    gap = largest_gap({'a': Rate.of(56, 70), 'b': Rate.of(48, 80)})
    assert (gap.difference.low, gap.difference.high) == pytest.approx((0.0524, 0.3339), abs=1e-4)


def test_groups_that_are_served_alike_are_seldom_said_to_differ():
    random = np.random.default_rng(0)
    wrongly = 0
    for _ in range(400):
        rates = {str(g): Rate.of(int(random.binomial(100, 0.8)), 100) for g in range(6)}
        wrongly += largest_gap(rates).difference.low > 0.0
    assert wrongly / 400 < 0.05


def test_groups_without_trials_do_not_count():
    rates = {'red': Rate.of(3, 4), 'blue': Rate.of(0, 0), 'green': Rate.of(3, 4)}
    assert {largest_gap(rates).best, largest_gap(rates).worst} == {'red', 'green'}
    with pytest.raises(ValueError, match='two groups'):
        largest_gap({'red': Rate.of(3, 4), 'blue': Rate.of(0, 0)})


def test_honest_probabilities_have_no_calibration_error():
    honest = calibration([0.25] * 4 + [1.0], [True, False, False, False, True])
    assert honest.expected_error == pytest.approx(0.0)
    assert honest.brier == pytest.approx((0.75**2 + 3 * 0.25**2) / 5)


def test_overconfidence_is_weighed_by_how_often_it_shows():
    result = calibration([0.9, 0.9, 0.9, 0.1], [True, False, False, False])
    assert result.expected_error == pytest.approx((3 * abs(0.9 - 1 / 3) + 0.1) / 4)
    assert [(b.predicted, b.happened.n) for b in result.bins] == [
        (pytest.approx(0.1), 1),
        (pytest.approx(0.9), 3),
    ]


def test_many_easy_forecasts_do_not_hide_the_worst():
    told = [0.0] * 10_000 + [0.2] * 50 + [0.5] * 29
    found = calibration(told, [False] * 10_000 + [True] * 50 + [False] * 29)
    assert found.expected_error < 0.01
    worst = found.worst()
    assert (worst.predicted, worst.happened.n) == (pytest.approx(0.2), 50)  # 29 are too few
    assert found.worst(least=20_000) is None


def test_errors_in_opposite_directions_do_not_cancel():
    assert calibration([0.0, 1.0], [True, False]).expected_error == pytest.approx(1.0)


@pytest.mark.parametrize(
    ('probabilities', 'happened'),
    [([], []), ([1.5], [True]), ([math.nan], [True]), ([0.5], [True, False])],
)
def test_what_is_no_probability_is_refused(probabilities, happened):
    with pytest.raises(ValueError, match='0..1'):
        calibration(probabilities, happened)
