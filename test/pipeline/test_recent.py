"""The newest few of a stream."""

from vla_ros.pipeline.recent import Recent


def recent(*stamps, kept=3):
    made = Recent(kept)
    for stamp in stamps:
        made.add(stamp, f'at {stamp}')
    return made


def test_only_the_newest_are_kept():
    assert [recent(1, 2, 3, 4).get(stamp) for stamp in (1, 2, 4)] == [None, 'at 2', 'at 4']


def test_what_is_added_again_is_the_newest():
    assert recent(1, 2, 3, 1, 4).get(1) == 'at 1'


def test_the_nearest_in_time_is_found_within_the_limit():
    assert recent(10, 20, 30).nearest(24, within_ns=5) == 'at 20'
    assert recent(10, 20, 30).nearest(36, within_ns=5) is None
    assert recent().nearest(0, within_ns=5) is None
