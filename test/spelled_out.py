"""The rules of the language, each spelled out into all of its texts."""

import re

from vla_ros.training.grammar import expand, language

#: Words of held-out phrases that training may say: what is held out is how they are put together.
KNOWN_PARTS = {'coloured', 'thing', 'square', 'round', 'white'}


class Choices:
    """Stands for a random generator: takes the choices it is told, then the first ones."""

    def __init__(self, told):
        self.told, self.sizes = told, []

    def integers(self, n):
        self.sizes.append(n)
        return self.told[len(self.sizes) - 1] if len(self.sizes) <= len(self.told) else 0

    def random(self):
        return 0.9 * self.integers(2)


def every_text(rule):
    """Return all texts of a rule; what is filled in stands in braces."""
    texts, told = set(), []
    while True:
        choices = Choices(told)
        texts.add(expand(rule, choices, lambda name: f'{{{name}}}'))
        told = (told + [0] * len(choices.sizes))[: len(choices.sizes)]
        while told and told[-1] + 1 == choices.sizes[len(told) - 1]:
            told.pop()
        if not told:
            return texts
        told[-1] += 1


def lists(node=None, path=()):
    """Yield the keys and the rules by split of every list of the language."""
    node = language() if node is None else node
    if 'train' in node:
        yield path, node
        return
    for key, inner in node.items():
        yield from lists(inner, (*path, key))


def texts_of(node, split):
    rare = node.get('rare', []) if split == 'train' else []
    return {text for rule in (*node[split], *rare) for text in every_text(rule)}


def words_of(texts):
    return {word for text in texts for word in re.findall('[a-z]+', re.sub('{.*?}', ' ', text))}
