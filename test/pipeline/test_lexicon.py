import json

import pytest

from vla_ros.errors import ConfigurationError
from vla_ros.paths import lexicon_path
from vla_ros.pipeline.lexicon import Lexicon, NO_LEXICON, read_lexicon_file
from vla_ros.sim.scene import COLOURS, SHAPES
from vla_ros.training.grammar import (
    every_plain_sentence,
    OTHER,
    single_words,
    vocabulary,
    words_of_colours,
)

LEXICON = Lexicon(
    colours={'crimson': 'red', 'teal': 'green', 'navy': 'blue'},
    things={'banana': 'yellow', 'orb': 'green'},
    shapes={'orb': 'ball', 'brick': 'block'},
    nouns=('ball', 'block', 'zone'),
    compounds=('banana block',),
)


@pytest.fixture(scope='module')
def shipped():
    return read_lexicon_file(lexicon_path())


@pytest.mark.parametrize(
    ('text', 'plain'),
    [
        ('grab the crimson orb', 'grab the red ball'),
        ('Grab the Crimson ORB!', 'Grab the red ball!'),
        ('the crimson-coloured orb', 'the red coloured ball'),
        ('take the orb, the crimson one?', 'take the ball, the red one?'),
        ('the orb...', 'the ball...'),
        ('put it in the crimson', 'put it in the red'),
        # Not the colour itself, but a shade of the one behind it.
        ('the teal blue block', 'the blue block'),
        ('push it to the banana teal blue.', 'push it to the blue.'),
        ('the banana yellow one', 'the yellow one'),
        ('the teal, blue block', 'the green, blue block'),
        ('the teal block', 'the green block'),
    ],
)
def test_rare_words_are_read_as_plain_ones(text, plain):
    assert LEXICON.plain(text) == plain


@pytest.mark.parametrize(
    ('text', 'plain'),
    [
        ('the banana coloured block', 'the yellow coloured block'),
        ('push it towards banana', 'push it towards yellow'),
        ('leave it at banana.', 'leave it at yellow.'),
        ('the banana-colored ball', 'the yellow colored ball'),
        ('the banana ball', 'the yellow ball'),
        ('the banana orb.', 'the yellow ball.'),
        ('into the banana zone', 'into the yellow zone'),
        ('with a banana colour', 'with a yellow colour'),
        ('the block painted banana!', 'the block painted yellow!'),
        ('the zone of colour banana', 'the zone of colour yellow'),
        ('painted, banana', 'painted, banana'),
        ('the banana looking casket', 'the yellow looking casket'),
        ('the zone drawn in banana', 'the zone drawn in yellow'),
        ("the block that's banana", "the block that's yellow"),
        ('take the banana there', 'take the banana there'),
        ('eat the banana', 'eat the banana'),
        ('the banana, ball', 'the banana, ball'),
        ('a banana is here', 'a banana is here'),
        ('a banana shaped block', 'a banana shaped block'),
        ('the banana block', 'the banana block'),
    ],
)
def test_a_thing_is_a_colour_only_before_what_has_one(text, plain):
    assert LEXICON.plain(text) == plain


@pytest.mark.parametrize(
    ('text', 'plain'),
    [
        ('the brick', 'the block'),
        ('the orb zone', 'the green zone'),
        ('the crimson orb standing there', 'the red ball standing there'),
        ('painted orb like that', 'painted green like that'),
        ('the brick coloured ball', 'the brick coloured ball'),
        ('the brick coloured blue', 'the block coloured blue'),
        ('the brick coloured teal', 'the block coloured green'),
        ('the orb coloured in banana', 'the ball coloured in yellow'),
        ('the orb coloured', 'the green coloured'),
    ],
)
def test_a_shape_before_what_has_a_colour_is_no_shape(text, plain):
    assert LEXICON.plain(text) == plain


@pytest.mark.parametrize(
    ('text', 'plain'),
    [
        ('Put it There, please!', 'Put it There, please!'),
        ('  two   spaces ', 'two spaces'),
        ('ping-pong', 'ping pong'),
        ('', ''),
        ('?!', '?!'),
        ('oranges 3.14 ça', 'oranges 3.14 ça'),
    ],
)
def test_all_else_stays_but_spaces_and_hyphens(text, plain):
    assert LEXICON.plain(text) == NO_LEXICON.plain(text) == plain


def test_a_lexicon_in_a_file_is_read_back(tmp_path):
    path = tmp_path / 'lexicon.json'
    path.write_text(LEXICON.to_json())
    read = read_lexicon_file(path)
    assert read == LEXICON
    assert read.sha256 == LEXICON.sha256


def test_the_order_of_entries_does_not_matter_to_what_is_pinned():
    turned = Lexicon(
        dict(reversed(LEXICON.colours.items())),
        LEXICON.things,
        LEXICON.shapes,
        LEXICON.nouns,
        LEXICON.compounds,
    )
    assert turned.sha256 == LEXICON.sha256
    assert NO_LEXICON.sha256 != LEXICON.sha256


@pytest.mark.parametrize(
    ('text', 'reason'),
    [
        ('{', 'Expecting'),
        ('[]', 'expected'),
        ('{"colours": {}, "things": {}, "shapes": {}}', 'nouns'),
        ('{"colours": {}, "things": {}, "shapes": {}, "nouns": []}', 'compounds'),
        (
            '{"colours": {}, "things": {}, "shapes": {}, "nouns": [], "compounds": [], "x": 1}',
            'x',
        ),
        (
            '{"colours": {"a": 1}, "things": {}, "shapes": {}, "nouns": [], "compounds": []}',
            'colours.a',
        ),
        ('{"colours": {"a": "red", "a": "blue"}}', 'twice'),
    ],
)
def test_what_is_no_lexicon_is_told(tmp_path, text, reason):
    path = tmp_path / 'lexicon.json'
    path.write_text(text)
    with pytest.raises(ConfigurationError, match=f'lexicon.json: .*{reason}.*vla-ros lexicon'):
        read_lexicon_file(path)


def test_a_missing_file_is_told(tmp_path):
    with pytest.raises(ConfigurationError, match='there is no such file; .*vla-ros lexicon'):
        read_lexicon_file(tmp_path / 'lexicon.json')


def test_the_shipped_lexicon_replaces_only_colours_of_the_words_of_training(shipped):
    taught = words_of_colours()
    assert not shipped.shapes.keys() & vocabulary() - taught.keys()
    for colours in (shipped.colours, shipped.things):
        known = colours.keys() & vocabulary() - single_words('shapes', OTHER)
        assert {word: colours[word] for word in known} == {word: taught[word] for word in known}


def test_the_shipped_lexicon_knows_only_what_is_on_the_table(shipped):
    assert {*shipped.colours.values(), *shipped.things.values()} <= set(COLOURS)
    assert set(shipped.shapes.values()) <= set(SHAPES)


def test_what_the_shipped_lexicon_has_said_it_does_not_replace_again(shipped):
    said = {*COLOURS, *SHAPES}
    assert not said & {*shipped.colours, *shipped.things, *shipped.shapes}


def test_the_shipped_lexicon_leaves_plain_commands_as_they_are(shipped):
    for sentence in every_plain_sentence():
        assert shipped.plain(sentence.text) == sentence.text


def test_the_shipped_file_is_what_the_lexicon_writes(shipped):
    assert lexicon_path().read_text(encoding='utf-8') == shipped.to_json()
    assert json.loads(shipped.to_json())['colours']['crimson'] == 'red'


@pytest.mark.parametrize(
    ('file', 'owner'),
    [('LICENSE-WordNet.txt', 'Princeton University'), ('LICENSE-color-names.txt', 'David Aerne')],
)
def test_the_shipped_lexicon_comes_with_the_licences_of_its_sources(file, owner):
    assert owner in lexicon_path().with_name(file).read_text()


def test_the_shipped_lexicon_knows_kinds_of_things(shipped):
    assert shipped.plain('the crystal ball') == 'the crystal ball'


@pytest.mark.parametrize('text', ['pick up the red toy ball', 'the toy block', 'a wooden toy'])
def test_the_shipped_lexicon_has_no_colour_for_half_of_a_name(shipped, text):
    """Training says 'toy car'; no toy has a colour for that."""
    assert shipped.plain(text) == text
