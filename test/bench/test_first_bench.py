"""The first command beside the tenth: its arithmetic."""

from vla_ros.bench.first import COMMANDS, goals, table, texts

EVEN = [10.0] * COMMANDS


def test_no_command_is_said_twice():
    found = texts(['red block', 'blue ball', 'green cup'])
    assert len(set(found)) == len(found) == COMMANDS


def test_the_first_may_cost_a_little_more_than_the_tenth():
    (goal,) = goals([[12.0, *EVEN[1:]]] * 3)
    assert goal.holds
    (goal,) = goals([[14.0, *EVEN[1:]]] * 3)
    assert not goal.holds


def test_one_slow_round_of_three_does_not_count():
    (goal,) = goals([EVEN, [90.0, *EVEN[1:]], EVEN])
    assert goal.holds
    assert goal.measured.high == 9.0


def test_the_table_has_a_line_for_each_command_and_the_goal():
    lines = table([EVEN] * 3).splitlines()
    assert lines[1].split() == ['1', '10.0']
    assert lines[COMMANDS].split() == [str(COMMANDS), '10.0']
    assert lines[-1].startswith('yes')
