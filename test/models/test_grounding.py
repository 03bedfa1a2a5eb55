"""What is meant, given what is there."""

import pytest
import torch

from vla_ros.models.grounding import ground
from vla_ros.models.text.reader import Reading

COLOURS, SHAPES = 6, 3
RED, GREEN, BLUE, OPEN_COLOUR, OTHER_COLOUR = 0, 1, 2, COLOURS, COLOURS + 1
BLOCK, BALL, OPEN_SHAPE, OTHER_SHAPE = 0, 2, SHAPES, SHAPES + 1
OTHER_ZONE = COLOURS
PICK, PUT = 2, 4
NAMES_ZONE = torch.tensor([0.0, 0.0, 0.0, 1.0, 1.0])


def chances(count, **by_class):
    """Return logits (1, count) of these chances; the rest has next to none."""
    values = torch.full((1, count), 1e-9)
    for name, chance in by_class.items():
        values[0, int(name[1:])] = chance
    return values.log()


def read(task=PICK, colour=None, shape=None, zone=None):
    """Return the Reading of one sentence, of chances by class."""
    return Reading(
        chances(5, **{f'_{task}': 1.0}),
        chances(COLOURS + 2, **(colour or {'_0': 1.0})),
        chances(SHAPES + 2, **(shape or {'_0': 1.0})),
        chances(COLOURS + 1, **(zone or {'_0': 1.0})),
        words=torch.ones(1, 4, 1),
    )


def surely(number):
    return {f'_{number}': 1.0}


def table(*things, zones=()):
    """Return the probabilities of a picture with these (colour, shape) and zones for sure."""
    there, zones_there = torch.zeros(1, COLOURS + 1, SHAPES + 1), torch.zeros(1, COLOURS)
    for colour, shape in things:
        there[0, [colour, colour, -1, -1], [shape, -1, shape, -1]] = 1.0
    zones_there[0, list(zones)] = 1.0
    return there, zones_there


def grounded(reading, *things, zones=()):
    return ground(reading, *table(*things, zones=zones), NAMES_ZONE)


@pytest.mark.parametrize(
    ('reading', 'wanted'),
    [
        (read(PICK, surely(3), surely(2)), (PICK, 3, 2)),
        (read(PICK, surely(OPEN_COLOUR), surely(2)), (PICK, -1, 2)),
        (read(PICK, surely(3), surely(OPEN_SHAPE)), (PICK, 3, -1)),
    ],
)
def test_what_is_read_for_sure_is_meant(reading, wanted):
    found = grounded(reading, (3, 2))
    assert tuple(int(part) for part in found.meaning[:3]) == wanted
    assert float(found.meant) == pytest.approx(1.0, abs=1e-6)


def test_of_what_a_word_may_mean_that_which_is_there_is_meant():
    reading = read(colour={'_0': 0.6, '_4': 0.4}, shape=surely(BALL))
    found = grounded(reading, (4, BALL), (GREEN, BLOCK))
    assert int(found.meaning.colour) == 4
    assert float(found.meant) == pytest.approx(3 * 0.4 / (3 * 0.4 + 0.6), abs=1e-6)


def test_between_two_that_it_may_mean_the_word_decides():
    reading = read(colour={'_0': 0.6, '_4': 0.4}, shape=surely(BALL))
    found = grounded(reading, (4, BALL), (RED, BALL))
    assert int(found.meaning.colour) == RED
    assert float(found.meant) == pytest.approx(0.6, abs=1e-6)


def test_what_is_named_for_sure_is_never_taken_for_something_else_that_is_there():
    reading = read(colour={'_0': 0.99, '_2': 0.01}, shape=surely(BALL))
    found = grounded(reading, (BLUE, BALL))
    assert int(found.meaning.colour) == RED
    assert float(found.meant) < 0.01
    assert float(found.clear) == pytest.approx(0.99, abs=1e-6)


def test_a_word_that_tells_nothing_picks_nothing_though_one_thing_is_there():
    reading = read(colour={'_0': 0.1, '_7': 0.9}, shape=surely(BALL))
    assert float(grounded(reading, (RED, BALL)).meant) < 0.5


@pytest.mark.parametrize(
    ('colour', 'shape'),
    [(OTHER_COLOUR, BLOCK), (RED, OTHER_SHAPE), (OPEN_COLOUR, OPEN_SHAPE)],
)
def test_what_nobody_can_tell_is_neither_meant_nor_clear(colour, shape):
    found = grounded(read(PICK, surely(colour), surely(shape)), (RED, BLOCK), (BLUE, BALL))
    assert float(found.meant) < 1e-6
    assert float(found.clear) < 1e-6


def test_a_zone_counts_where_the_task_names_one():
    somewhere = read(PUT, zone={'_1': 0.5, '_2': 0.5})
    assert float(grounded(somewhere, (RED, BLOCK), zones=[BLUE]).meant) == pytest.approx(0.75)
    assert int(grounded(somewhere, (RED, BLOCK), zones=[BLUE]).meaning.zone) == BLUE
    assert float(grounded(somewhere, (RED, BLOCK)).meant) < 1e-6
    nowhere = read(PICK, zone=surely(OTHER_ZONE))
    assert float(grounded(nowhere, (RED, BLOCK)).meant) == pytest.approx(1.0, abs=1e-6)


def test_rows_of_a_batch_do_not_touch():
    readings = [read(), read(PUT, surely(BLUE), surely(BALL), surely(GREEN))]
    both = Reading(*map(torch.cat, zip(*readings, strict=True)))
    tables = [table((RED, BLOCK)), table((BLUE, BALL), zones=[GREEN])]
    together = ground(both, *map(torch.cat, zip(*tables, strict=True)), NAMES_ZONE)
    alone = [ground(r, *t, NAMES_ZONE) for r, t in zip(readings, tables, strict=True)]
    assert torch.equal(together.meant, torch.cat([one.meant for one in alone]))
    assert together.meaning.task.tolist() == [PICK, PUT]
