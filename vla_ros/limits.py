"""Numbers that are too small, told in one sentence."""

from __future__ import annotations

import argparse

from vla_ros.errors import ConfigurationError


def check_least(of: object, /, **least: float) -> None:
    """
    Raise ConfigurationError for the first named number of ``of`` that is less than it may be.

    ``of`` is a configuration, or the arguments of a command, whose names are told as its options.
    None is no number.
    """
    for name, lowest in least.items():
        value = getattr(of, name)
        if value is not None and not value >= lowest:
            option = isinstance(of, argparse.Namespace)
            said = f'--{name.replace("_", "-")}' if option else name
            raise ConfigurationError(f'{said} is {value}; valid: {lowest} and more')
