"""What ROS takes for a name, and for a rule that gives a topic another."""

from __future__ import annotations

from collections.abc import Iterable
import re

from vla_ros.errors import ConfigurationError

_NAME = re.compile(r'(?!.*__)/?[A-Za-z_]\w*(/[A-Za-z_]\w*)*', re.ASCII)


def is_name(text: str) -> bool:
    """
    Return whether a topic or a namespace can have this name, relative or absolute.

    That is words of ASCII letters, digits and _ that start with no digit, joined by /.
    """
    return _NAME.fullmatch(text) is not None


def remap_rules(texts: Iterable[str]) -> tuple[tuple[str, str], ...]:
    """Return old and new name of each ``OLD:=NEW``; raises ConfigurationError for what is none."""
    rules: dict[str, str] = {}
    for text in texts:
        old, _, new = text.partition(':=')
        if not (is_name(old) and is_name(new)):
            raise ConfigurationError(
                f'remap is {text!r}; valid: OLD:=NEW, two names of topics, as in '
                'robot_action:=/arm/target'
            )
        if old in rules:
            raise ConfigurationError(f'remap gives {old} two names, {rules[old]} and {new}')
        rules[old] = new
    return tuple(rules.items())
