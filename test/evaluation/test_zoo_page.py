import json

from vla_ros.evaluation.report import Report, SplitReport, THROUGH_ROS
from vla_ros.evaluation.statistics import Rate
from vla_ros.evaluation.zoo import best_first, Budget, episodes_of_rows, Member, page, to_json
from vla_ros.training.config import load_config

CONFIG = load_config()
COMMAND = 'vla-ros zoo --episodes 200'
BUDGET = Budget(CONFIG, 1000, COMMAND)


def split(successes, n=200, **measures):
    rate = Rate.of(successes, n)
    return SplitReport('vla-ros eval', **rate.to_dict(), tasks={}, measures=measures, numbers={})


def member(name, **splits):
    return Member(name, 1_234_567, 31.4, 4.56, (12, 12), Report(name, 'a' * 64, splits))


def row(text, start):
    """Return the cells of the table's row that starts so, by their headings."""
    lines = [line for line in text.splitlines() if line.startswith('|')]
    cells = [[cell.strip() for cell in line.strip('|').split('|')] for line in lines]
    (found,) = [line for line in cells if line[0] == start]
    return dict(zip(cells[0], found, strict=True))


def told(*members):
    return page(members, BUDGET)


def test_each_policy_has_a_row_with_its_size_cost_and_rates():
    found = split(150, attention=Rate.of(100, 200))
    cells = row(told(member('late', known=found, pairs=split(0))), '`late`')
    assert cells['parameters'] == '1.23 M'
    assert (cells['minutes'], cells['ms a chunk'], cells['grid']) == ('31', '4.6', '12 x 12')
    assert cells['known'] == '75.0 [68.6, 80.5]'
    assert cells['pairs'] == '0.0 [0.0, 1.9]'
    assert cells['attention'] == '50.0 [43.1, 56.9]'


def test_what_was_not_measured_is_left_open():
    text = told(member('late', known=split(1), words=split(1)), member('early', known=split(2)))
    cells = row(text, '`early`')
    assert (cells['words'], cells['attention']) == ('-', '-')
    assert f'known{THROUGH_ROS}' not in cells


def test_trials_through_ros_are_counted():
    text = told(member('late', known=split(1), **{f'known{THROUGH_ROS}': split(3, 4)}))
    assert row(text, '`late`')[f'known{THROUGH_ROS}'] == '3 of 4'


def test_the_best_on_known_phrasings_comes_first_and_who_was_not_measured_last():
    members = [member('a'), member('b', known=split(5)), member('c', known=split(9))]
    assert [m.name for m in best_first(members)] == ['c', 'b', 'a']


def test_the_page_says_what_it_cost_and_how_to_do_it_again():
    text = told(member('late', known=split(1)))
    assert 'each of 6000 steps' in text
    assert '1000 demonstrated' in text
    assert COMMAND in text


def test_the_page_says_what_its_intervals_are_over():
    text = told(member('late', known=split(1)))
    assert 'over episodes of these very weights, of one training with one seed each' in text
    assert '`keypoint` learns its words apart' in text


def test_the_page_says_whose_eyes_were_kept():
    text = page([member('late')], Budget(CONFIG, 1000, COMMAND, 'tabletop, sha256 abc'))
    assert 'are those of tabletop, sha256 abc, and did not learn' in text
    assert 'did not learn' not in told(member('late'))


def test_the_file_holds_all_of_it():
    document = json.loads(to_json([member('late', known=split(5))], BUDGET))
    assert document['budget']['steps'] == CONFIG.trainer.steps
    found = document['policies']['late']
    assert found['parameters'] == 1_234_567
    assert found['report']['splits']['known']['n'] == 200


def test_the_tasks_of_known_share_its_episodes():
    assert episodes_of_rows('known', 200) == 50
    assert episodes_of_rows('known', 201) == 51
    assert episodes_of_rows('words', 200) == 200
