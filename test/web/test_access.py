"""Who may open the live page."""

import pytest

from vla_ros.errors import ConfigurationError
from vla_ros.web.access import Access, MIN_TOKEN_LENGTH, TOKEN_VARIABLE

LOCAL = Access.of('127.0.0.1', {})
TOKEN = 'a' * MIN_TOKEN_LENGTH
OPEN = Access.of('0.0.0.0', {TOKEN_VARIABLE: TOKEN})


def test_loopback_needs_no_token():
    assert LOCAL.token == ''
    assert LOCAL.refusal('/', {'Host': 'localhost:8765'}) == ''


def test_any_other_address_gets_a_token_that_nobody_can_guess():
    first, second = Access.of('0.0.0.0', {}), Access.of('0.0.0.0', {})
    assert len(first.token) >= MIN_TOKEN_LENGTH
    assert first.token != second.token
    assert first.token in first.address(8765)


def test_a_token_of_the_users_own_holds_on_loopback_too():
    access = Access.of('127.0.0.1', {TOKEN_VARIABLE: TOKEN})
    assert 'token' in access.refusal('/', {'Host': 'localhost'})


def test_a_token_that_can_be_guessed_is_refused():
    with pytest.raises(ConfigurationError, match='has 5 characters; valid: 16 and'):
        Access.of('0.0.0.0', {TOKEN_VARIABLE: '12345'})


@pytest.mark.parametrize('path', ['/', '/?token=', '/?token=wrong', f'/?tokens={TOKEN}'])
def test_without_the_token_nothing_is_shown(path: str):
    assert 'token' in OPEN.refusal(path, {'Host': '10.0.0.1:8765'})


def test_the_token_opens_the_page():
    assert OPEN.refusal(f'/?token={TOKEN}', {'Host': '10.0.0.1:8765'}) == ''


def test_a_page_of_another_site_is_not_heard():
    headers = {'Host': 'localhost:8765', 'Origin': 'http://elsewhere.example'}
    assert 'another web site' in LOCAL.refusal('/live', headers)


def test_the_page_itself_is_heard():
    headers = {'Host': 'localhost:8765', 'Origin': 'http://localhost:8765'}
    assert LOCAL.refusal('/live', headers) == ''


def test_a_foreign_name_that_leads_to_this_machine_is_refused():
    assert 'this machine' in LOCAL.refusal('/', {'Host': 'elsewhere.example:8765'})


def test_an_ipv6_address_can_be_opened():
    assert Access.of('::1', {}).address(1) == 'http://[::1]:1/'
