from pathlib import Path
import subprocess
import sys

from vla_ros.bench.soak import table, trends, Usage, usage

HOLDS = 'import sys, time; kept = bytearray(30_000_000); print(flush=True); time.sleep(60)'


def samples(rss_mb, descriptors=None):
    descriptors = descriptors or [9] * len(rss_mb)
    return [
        Usage(float(i), {'pose': mb}, {'pose': count}, shared_mb=16.0)
        for i, (mb, count) in enumerate(zip(rss_mb, descriptors, strict=True))
    ]


def grows(found):
    return [trend.name for trend in trends(found) if trend.grows]


def test_what_stays_as_it_is_does_not_grow():
    assert grows(samples([50.0] * 10)) == []


def test_what_settles_first_does_not_grow():
    assert grows(samples([10.0, 30.0, *[50.0] * 8])) == []


def test_a_leak_of_memory_is_told():
    assert grows(samples([50.0 + i for i in range(20)])) == ['pose, MB']


def test_a_leak_of_descriptors_is_told():
    assert grows(samples([50.0] * 10, list(range(20, 30)))) == ['pose, descriptors']


def test_a_node_that_was_away_for_a_while_is_left_out():
    away = Usage(3.0, {}, {}, shared_mb=16.0)
    assert [t.name for t in trends([*samples([50.0] * 5), away])] == ['shared memory, MB']


def test_the_table_marks_what_grows():
    lines = table(samples([50.0 + i for i in range(20)])).splitlines()
    assert [line.endswith('grows') for line in lines] == [False, False, True, False]


def test_the_memory_and_descriptors_of_a_node_are_its_own(tmp_path: Path):
    # A node is known by the module it runs.
    package = tmp_path / 'vla_ros' / 'nodes'
    package.mkdir(parents=True)
    (package / 'idle_node.py').write_text(HOLDS)
    for folder in (package, package.parent):
        (folder / '__init__.py').touch()
    child = subprocess.Popen(
        [sys.executable, '-m', 'vla_ros.nodes.idle_node', ''],
        stdout=subprocess.PIPE,
        cwd=tmp_path,
        env={'PYTHONPATH': str(tmp_path)},
    )
    try:
        child.stdout.readline()
        found = usage(0.0)
    finally:
        child.kill()
        child.communicate()
    assert 30.0 < found.rss_mb['idle'] < 100.0
    assert found.descriptors['idle'] >= 3
    assert usage(1.0).rss_mb.get('idle') is None
