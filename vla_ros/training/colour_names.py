"""
What people call colours: words by the colours of all names that they stand in.

Names come from a list of tens of thousands (``colornames.csv`` of the npm package
color-name-list, MIT) and from the survey of xkcd (Munroe 2010; 949 names, CC0; from Matplotlib).
Many end in a plain word, as 'dusty teal blue': those tell where in CIELAB each plain colour lies,
and so what the others are. 'Dill pickle', 'electric pickle' and 'pickle' are greens, most of all.
"""

from __future__ import annotations

from collections.abc import Mapping
import csv
from pathlib import Path
import re

import cv2
from matplotlib.colors import to_rgb, XKCD_COLORS
import numpy as np
from numpy.typing import NDArray

from vla_ros.errors import ConfigurationError

#: Neighbours that are asked, and how many units of CIELAB are near.
_NEIGHBOURS, _NEAR = 25, 3.0
#: What a name counts for its words: one that is the word alone, one that says 'pickle green'.
_ALONE, _EXPLICIT = 3.0, 2.0
#: A word must have been counted for so much.
_LEAST = 3.0
_AT_ONCE = 500

Name = tuple[str, ...]


def read_colour_names(path: Path) -> dict[Name, str]:
    """
    Return the colours, as in '#85a16a', by the words of their names; those of xkcd are added.

    Raises ConfigurationError if ``path`` is no file of lines ``name,hex``.
    """
    found = {_words(name.removeprefix('xkcd:')): str(v) for name, v in XKCD_COLORS.items()}
    try:
        with path.open(encoding='utf-8', newline='') as file:
            lines = list(csv.reader(file))
        if lines[:1] != [['name', 'hex']]:
            raise ValueError('its first line is not name,hex')
        for name, value in lines[1:]:
            to_rgb(value)
            found[_words(name)] = value
    except (OSError, ValueError) as error:
        raise ConfigurationError(
            f'{path}: no list of colours ({error}); give colornames.csv of color-name-list'
        ) from error
    return {name: value for name, value in found.items() if name}


def colours_of_words(
    names: Mapping[Name, str], plain: Mapping[str, str], other: str, clear: float, share: float
) -> dict[str, str]:
    """
    Return the colour of each word of ``names`` that has one, those of ``plain`` left out.

    ``plain`` tells the colour by plain word, ``other`` among them, which no word gets. A word's
    colour has most and at least ``share`` of all that the word was counted for, and the second
    one at most ``clear`` times that: turquoise is neither blue nor green.
    """
    classes = [*dict.fromkeys(colour for colour in plain.values() if colour != other), other]
    shares = _shares(names, plain, classes)
    counted: dict[str, NDArray[np.float64]] = {}
    for name, has in zip(names, shares, strict=True):
        words = [word for word in dict.fromkeys(name) if word not in plain]
        if len(name) == 1:
            weight = _ALONE * has
        elif len(words) == len(name):
            weight = has / len(words)
        elif len(name) == 2 and name[1] in plain:
            weight = _EXPLICIT * np.eye(len(classes))[classes.index(plain[name[1]])]
        else:
            continue
        for word in words:
            counted[word] = counted.get(word, 0.0) + weight
    found = {}
    for word, weights in counted.items():
        if weights.sum() < _LEAST:
            continue
        *rest, none = weights
        second, best = np.argsort(rest)[-2:]
        most = max(none, share * weights.sum())
        if rest[best] >= most and rest[second] <= clear * rest[best]:
            found[word] = classes[best]
    return found


def _shares(
    names: Mapping[Name, str], plain: Mapping[str, str], classes: list[str]
) -> NDArray[np.float64]:
    """Return (names, classes): how much of each class there is among a name's neighbours."""
    lab = _lab(np.array([to_rgb(value) for value in names.values()]))
    told = np.array([classes.index(plain[n[-1]]) if n[-1] in plain else -1 for n in names])
    at = np.flatnonzero(told >= 0)
    # Greens are named more often than oranges, but that says nothing of a word.
    rarity = np.bincount(told[at], minlength=len(classes)).clip(min=1) ** -0.5
    shares = np.empty((len(lab), len(classes)))
    neighbours = min(_NEIGHBOURS, len(at))
    for start in range(0, len(lab), _AT_ONCE):
        some = lab[start : start + _AT_ONCE]
        squared = (some**2).sum(1)[:, None] + (lab[at] ** 2).sum(1) - 2.0 * some @ lab[at].T
        nearest = np.argpartition(squared, neighbours - 1, axis=1)[:, :neighbours]
        distance = np.take_along_axis(squared, nearest, axis=1).clip(min=0.0) ** 0.5
        weight = 1.0 / (distance + _NEAR)
        of = told[at][nearest]
        for c in range(len(classes)):
            shares[start : start + len(some), c] = (weight * (of == c)).sum(axis=1) * rarity[c]
    return shares / shares.sum(axis=1, keepdims=True)


def _words(name: str) -> Name:
    return tuple(re.findall('[a-z]+', name.lower()))


def _lab(rgb: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return sRGB (n, 3), 0 .. 1, in CIELAB, where distances are what eyes make of them."""
    return cv2.cvtColor(rgb[None].astype(np.float32), cv2.COLOR_RGB2Lab)[0].astype(np.float64)
