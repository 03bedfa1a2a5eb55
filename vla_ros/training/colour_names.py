"""
What people call colours: the survey of xkcd (Munroe 2010; 949 names, CC0), from Matplotlib.

Many of its names end in a plain word, as 'dusty teal blue'; each other one gets the plain word
that the names of the nearest colours end in.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

import cv2
from matplotlib.colors import to_rgb, XKCD_COLORS
import numpy as np
from numpy.typing import NDArray

#: Neighbours that are asked, and how many units of CIELAB are near.
_NEIGHBOURS, _NEAR = 15, 3.0


def survey_colours(plain: Mapping[str, str], clear: float) -> dict[str, str]:
    """
    Return what ``plain`` (colour by plain word) makes of each single word of the survey.

    Left out are the plain words themselves, and words whose second best colour has more than
    ``clear`` times the weight of the best: turquoise is neither blue nor green.
    """
    names = [name.removeprefix('xkcd:') for name in XKCD_COLORS]
    lab = _lab(np.array([to_rgb(value) for value in XKCD_COLORS.values()]))
    told = [plain.get(name.split()[-1]) for name in names]
    at = [i for i, colour in enumerate(told) if colour]
    found = {}
    for name, where in zip(names, lab, strict=True):
        if not name.isalpha() or name in plain:
            continue
        distances = np.linalg.norm(lab[at] - where, axis=1)
        votes: Counter[str] = Counter()
        for i in np.argsort(distances)[:_NEIGHBOURS]:
            votes[told[at[i]]] += 1.0 / (distances[i] + _NEAR)
        (best, most), (_, second) = [*votes.most_common(2), ('', 0)][:2]
        if second <= clear * most:
            found[name] = best
    return found


def _lab(rgb: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return sRGB (n, 3), 0 .. 1, in CIELAB, where distances are what eyes make of them."""
    return cv2.cvtColor(rgb[None].astype(np.float32), cv2.COLOR_RGB2Lab)[0].astype(np.float64)
