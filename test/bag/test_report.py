"""From messages to a bag to a page."""

from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip('rosbags', reason='the extra record is not installed')

from rosbags.typesys import get_typestore, Stores

from vla_ros.bag import reader
from vla_ros.bag.reader import pictures, read
from vla_ros.bag.report import tasks_of, write_report
from vla_ros.bag.writer import BagWriter, Stream
from vla_ros.cli import main
from vla_ros.errors import ConfigurationError

STORE = get_typestore(Stores.LATEST)
T = STORE.types
START_NS = 1_700_000_000_000_000_000
S = 1_000_000_000


def header(stamp_ns: int, frame: str = 'base_link'):
    stamp = T['builtin_interfaces/msg/Time'](sec=stamp_ns // S, nanosec=stamp_ns % S)
    return T['std_msgs/msg/Header'](stamp=stamp, frame_id=frame)


def image(stamp_ns: int, values: np.ndarray, encoding: str, frame: str = 'camera'):
    return T['sensor_msgs/msg/Image'](
        header=header(stamp_ns, frame),
        height=values.shape[0],
        width=values.shape[1],
        encoding=encoding,
        is_bigendian=0,
        step=values.strides[0],
        data=values.view(np.uint8).ravel(),
    )


def pose(x: float):
    p = T['geometry_msgs/msg/Point'](x=x, y=0.0, z=0.2)
    q = T['geometry_msgs/msg/Quaternion'](x=1.0, y=0.0, z=0.0, w=0.0)
    return T['geometry_msgs/msg/PoseStamped'](
        header=header(START_NS), pose=T['geometry_msgs/msg/Pose'](position=p, orientation=q)
    )


def status(**values: str):
    pairs = [T['diagnostic_msgs/msg/KeyValue'](key=k, value=v) for k, v in values.items()]
    return T['diagnostic_msgs/msg/DiagnosticStatus'](
        level=0, name='vla', message='', hardware_id='', values=pairs
    )


def told(state: str, reason: str, stamp_ns: int, command: str = 'pick <it> up'):
    return status(
        state=state,
        reason=reason,
        command=command,
        command_stamp_ns=str(stamp_ns),
        workspace_min='0.2 -0.3 0',
        workspace_max='0.6 0.3 0.4',
        path_length_m='0.1',
        latency_p50_ms='24.0',
    )


class Bag:
    def __init__(self, writer: BagWriter, prefix: str) -> None:
        self._writer, self._prefix = writer, prefix

    def add(self, topic: str, time_s: float, message) -> None:
        kind = message.__msgtype__
        data = STORE.serialize_cdr(message, kind)
        stream = Stream(f'{self._prefix}/{topic}', kind)
        self._writer.write(stream, START_NS + round(time_s * S), bytes(data))


def record(folder: Path, prefix: str = '') -> Path:
    """Write a bag of a command that is obeyed, with one picture."""
    with BagWriter(folder) as writer:
        bag = Bag(writer, prefix)
        command_ns, frame_ns = START_NS + S, START_NS + 2 * S
        bag.add(reader.STATUS, 0.0, told('idle', 'no_command', 0, ''))
        tokens = np.ones((2, 4), np.float32)
        text = 'pick <it> up\n[CLS] pick'
        bag.add(reader.COMMAND, 1.0, image(command_ns, tokens, '32FC1', text))
        bag.add(reader.STATUS, 1.1, told('running', 'ok', command_ns))
        bag.add(reader.IMAGE, 2.0, image(frame_ns, np.zeros((8, 8, 3), np.uint8), 'rgb8'))
        planes = np.ones((2, 3, 3), np.float32).reshape(6, 3)
        bag.add(reader.ATTENTION, 2.05, image(frame_ns, planes, '32FC1'))
        for i in range(50):
            bag.add(reader.TARGET, 2.0 + 0.02 * i, pose(0.3 + 0.001 * i))
            bag.add(reader.MEASURED, 2.0 + 0.02 * i, pose(0.3 + 0.001 * i))
        bag.add(reader.STATUS, 4.0, told('succeeded', 'task_done', command_ns))
    return folder


@pytest.fixture
def bag(tmp_path: Path) -> Path:
    return record(tmp_path / 'bag')


class Page(HTMLParser):
    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.sources: list[str] = []
        self.text = ''
        self.feed(text)

    def handle_starttag(self, tag, attrs) -> None:
        self.tags.append(tag)
        self.sources += [v for k, v in attrs if k in ('src', 'href') and v]

    def handle_data(self, data: str) -> None:
        self.text += data


@pytest.fixture
def page(bag: Path, tmp_path: Path) -> Page:
    write_report(bag, tmp_path / 'report.html')
    return Page((tmp_path / 'report.html').read_text())


def test_a_bag_is_an_mcap_with_its_metadata(bag: Path):
    assert {path.suffix for path in bag.iterdir()} == {'.mcap', '.yaml'}


def test_a_bag_is_never_overwritten(bag: Path):
    with pytest.raises(ConfigurationError, match='exists already: choose another folder'):
        BagWriter(bag)


def test_what_was_written_is_read(bag: Path):
    recording = read(bag)
    assert recording.duration_s == pytest.approx(4.0)
    assert len(recording.target.positions) == 50
    assert recording.counts[f'/{reader.TARGET}'] == 50
    assert [t.values['state'] for t in recording.told] == ['idle', 'running', 'succeeded']


def test_a_command_has_its_time_and_its_outcome(bag: Path):
    (task,) = tasks_of(read(bag))
    assert (task.command, task.start_s) == ('pick <it> up', 1.1)
    assert task.end_s == pytest.approx(4.0)
    assert task.last.values['state'] == 'succeeded'


def test_a_picture_has_its_attention_and_its_words(bag: Path):
    (seen,) = pictures(bag, read(bag), [START_NS + 2 * S])
    assert seen.image.shape == (8, 8, 3)
    assert seen.attention.shape == (2, 3, 3)
    assert seen.pieces == ('[CLS]', 'pick')


def test_the_page_needs_nothing_else(page: Page):
    assert all(source.startswith('data:') for source in page.sources)
    assert 'script' not in page.tags
    assert 'link' not in page.tags


def test_the_page_tells_command_outcome_and_words(page: Page):
    assert 'pick <it> up' in page.text
    assert 'succeeded: the policy said that the task is done' in page.text
    assert 'pick 50%' in page.text


def test_the_page_has_a_picture_and_its_charts(page: Page):
    assert page.tags.count('img') == 1
    assert page.tags.count('svg') == 5


def test_a_namespace_is_asked_for(tmp_path: Path):
    bag = record(tmp_path / 'bag', prefix='/arm')
    assert len(read(bag, 'arm').told) == 3
    with pytest.raises(ConfigurationError, match='no vla/status in namespace /; it has /arm/'):
        read(bag)


def test_what_is_no_bag_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture):
    assert main(['report', str(tmp_path / 'none')]) == 2
    assert 'is no rosbag2 that can be read' in capsys.readouterr().err


def test_a_bag_with_nothing_but_a_status_has_a_page(tmp_path: Path):
    with BagWriter(tmp_path / 'bag') as writer:
        Bag(writer, '').add(reader.STATUS, 0.0, told('idle', 'no_command', 0, ''))
    assert main(['report', str(tmp_path / 'bag')]) == 0
    assert (tmp_path / 'bag' / 'report.html').is_file()
