from argparse import Namespace
from dataclasses import dataclass
import math

import pytest

from vla_ros.errors import ConfigurationError
from vla_ros.limits import check_least


@dataclass
class Numbers:
    few: float | None


@pytest.mark.parametrize('value', [1, 1.5, 9, None])
def test_enough_is_enough(value):
    check_least(Numbers(value), few=1)


@pytest.mark.parametrize('value', [0, -1, 0.5, math.nan])
def test_too_little_is_told_by_name(value):
    with pytest.raises(ConfigurationError, match=f'^few is {value}; valid: 1 and more$'):
        check_least(Numbers(value), few=1)


def test_an_argument_is_told_as_the_option_it_is():
    with pytest.raises(ConfigurationError, match='^--image-size is 0; valid: 16 and more$'):
        check_least(Namespace(image_size=0, workers=1), workers=1, image_size=16)
