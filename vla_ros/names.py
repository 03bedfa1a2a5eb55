"""What ROS takes for a name."""

from __future__ import annotations

import re

_NAME = re.compile(r'(?!.*__)/?[A-Za-z_]\w*(/[A-Za-z_]\w*)*', re.ASCII)


def is_name(text: str) -> bool:
    """
    Return whether a topic or a namespace can have this name, relative or absolute.

    That is words of ASCII letters, digits and _ that start with no digit, joined by /.
    """
    return _NAME.fullmatch(text) is not None
