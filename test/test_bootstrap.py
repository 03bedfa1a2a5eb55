"""bootstrap.py, which stands outside of the package."""

import importlib.util
from pathlib import Path
from subprocess import CompletedProcess
from types import ModuleType

import pytest

PATH = Path(__file__).resolve().parent.parent / 'bootstrap.py'


@pytest.fixture
def bootstrap() -> ModuleType:
    spec = importlib.util.spec_from_file_location('bootstrap', PATH)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_without_ros_its_wheels_are_installed(bootstrap):
    assert 'ros' in bootstrap.chosen_extras(False, [], [])
    assert {'all', 'ros'} <= set(bootstrap.chosen_extras(False, ['all'], []))


@pytest.mark.parametrize(
    ('asked', 'have'), [([], []), (['all'], []), (['viz'], ['all', 'ros', 'sim']), (['ros'], [])]
)
def test_beside_a_sourced_ros_no_wheel_of_ros_is_installed(bootstrap, asked, have):
    extras = bootstrap.chosen_extras(True, asked, have)
    assert not {'all', 'ros'} & set(extras)
    assert ('all-beside-ros' in extras) == ('all' in [*asked, *have])
    assert {*bootstrap.RUN_EXTRAS, *asked, *have} - {'all', 'ros'} <= set(extras)
    assert bootstrap.chosen_extras(True, [], extras) == extras


@pytest.mark.parametrize(
    ('missing', 'advice'), [('rclpy', 'cannot import its rclpy'), ('cv2', 'rosdep install')]
)
def test_what_the_sourced_ros_lacks_is_told(bootstrap, monkeypatch, missing, advice):
    monkeypatch.setattr(
        bootstrap.subprocess,
        'run',
        lambda command, **_: CompletedProcess(command, int(missing in command[-1])),
    )
    with pytest.raises(bootstrap.BootstrapError, match=advice):
        bootstrap.check_platform(True)
