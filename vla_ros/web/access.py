"""
Who may open the live page: it shows a camera and moves a robot.

Any web page that a user has open elsewhere may try to reach a server on that user's machine, so a
browser is only heard when it speaks for a page of this server (its ``Origin`` is our ``Host``).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
import hmac
import os
import secrets
from urllib.parse import parse_qs, urlsplit

from vla_ros.errors import ConfigurationError

#: Environment variable with a token of the user's own choice; a flag would show in ``ps``.
TOKEN_VARIABLE = 'VLA_ROS_VIZ_TOKEN'
MIN_TOKEN_LENGTH = 16

_LOOPBACK = ('localhost', '127.0.0.1', '::1')


@dataclass(frozen=True)
class Access:
    """The address to listen on, and the token that every visitor needs; '' on loopback: none."""

    bind: str
    token: str

    @classmethod
    def of(cls, bind: str, environment: Mapping[str, str] = os.environ) -> Access:
        """Return the rules for ``bind``; raises ConfigurationError for a token easy to guess."""
        token = environment.get(TOKEN_VARIABLE, '')
        if token and (len(token) < MIN_TOKEN_LENGTH or not token.isascii() or ' ' in token):
            raise ConfigurationError(
                f'{TOKEN_VARIABLE} has {len(token)} characters; valid: {MIN_TOKEN_LENGTH} and '
                'more, ASCII without spaces, or leave it out to have one made'
            )
        if not token and bind not in _LOOPBACK:
            token = secrets.token_urlsafe(MIN_TOKEN_LENGTH)
        return cls(bind, token)

    def address(self, port: int) -> str:
        """Return what to open in a browser."""
        host = f'[{self.bind}]' if ':' in self.bind else self.bind
        return f'http://{host}:{port}/' + (f'?token={self.token}' if self.token else '')

    def refusal(self, path: str, headers: Mapping[str, str]) -> str:
        """Return why a request for ``path`` (with its query) is refused, or ''."""
        host = headers.get('Host', '')
        if self.bind in _LOOPBACK and urlsplit(f'//{host}').hostname not in _LOOPBACK:
            return 'this page is for this machine only: open it as localhost'
        origin = headers.get('Origin')
        if origin is not None and urlsplit(origin).netloc != host:
            return 'this request comes from another web site'
        given = parse_qs(urlsplit(path).query).get('token', [''])[0]
        if not hmac.compare_digest(given.encode(), self.token.encode()):
            return 'the token is missing or wrong: open the address that "vla-ros viz" printed'
        return ''
