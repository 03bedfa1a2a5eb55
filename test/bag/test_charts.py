"""Charts that are true and are well-formed SVG."""

from xml.etree import ElementTree

import numpy as np

from vla_ros.bag.charts import Bar, bars, histogram, Line, lines, speeds


def elements(svg: str, tag: str) -> list[ElementTree.Element]:
    return ElementTree.fromstring(svg).findall(f'.//{tag}')


def test_a_bar_is_as_long_as_its_time():
    svg = bars([Bar(0, 5, 'a', 'running', ''), Bar(5, 10, 'b', 'holding', '')], 10.0)
    first, second = elements(svg, 'rect')
    assert first.get('width') == second.get('width')
    assert first.get('class') == 'running'


def test_text_from_outside_stays_text():
    svg = bars([Bar(0, 10, '<script>', 'idle', '"&')], 10.0)
    assert [text.text for text in elements(svg, 'text')][0] == '<script>'


def test_a_gap_breaks_the_line():
    svg = lines([Line([0, 1, 2, 3], [0.0, 1.0, np.nan, 1.0], 'target')], 3.0, 'm')
    (path,) = elements(svg, 'path')
    assert path.get('d').count('M') == 2


def test_limits_are_on_the_scale_of_the_values():
    svg = lines([Line([0, 1], [0.3, 0.3], 'target')], 1.0, 'm', limits=(0.0, 0.6))
    low, high = (
        float(line.get('y1')) for line in elements(svg, 'line') if line.get('class') == 'limit'
    )
    (path,) = elements(svg, 'path')
    height = float(path.get('d').split(',')[-1])
    assert abs(height - (low + high) / 2) < 0.2


def test_nothing_but_gaps_draws_no_line():
    assert elements(lines([Line([0.0], [np.nan], 'target')], 1.0, 'm'), 'path') == []


def test_a_histogram_counts_every_value():
    svg = histogram([1.0, 1.0, 1.0, 10.0], 'ms')
    counts = [int(t.text.rpartition(' ')[2]) for t in elements(svg, 'title')]
    assert sum(counts) == 4
    assert max(counts) == 3


def test_a_histogram_of_nothing_says_so():
    assert histogram([np.nan], 'ms') == '<p>nothing was measured</p>'


def test_a_steady_motion_has_a_steady_speed():
    times = np.arange(20) * 0.02
    positions = np.stack([0.1 * times, 0 * times, 0 * times], axis=1)
    assert np.allclose(speeds(times, positions)[3:-2], 0.1)


def test_across_a_gap_there_is_no_speed():
    speed = speeds(np.array([0.0, 0.1, 9.0]), np.array([[0, 0, 0], [0, 0, 0.01], [1, 0, 0]]))
    assert np.isnan(speed[2])
    assert np.isclose(speed[1], 0.1)
