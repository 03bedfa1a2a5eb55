"""
Image, words and actions as one sequence of tokens, as in RT-2 (Brohan et al. 2023).

Cells of the image, words and the robot's state come first and see each other. An answer follows,
each of its tokens guessed from all before it: the task, as RT-2 names its plan before it acts,
then where to go next (x, y, z), the yaw, the gripper, and whether the task is done. It is decoded
greedily, and at every place only the tokens that belong there count. The chunk is the straight
move to where the answer says. Of being done the chance is asked for, not the likeliest bin: what
is returned is the mean over all of them.
"""

from dataclasses import dataclass
import math

import torch
from torch import nn, Tensor

from vla_ros.models.contract import PolicyOutput
from vla_ros.models.fusion.perceiver import words_by_readers
from vla_ros.models.fusion.tokens import all_joined, Entrance, Tokens
from vla_ros.models.layers.prefix import PrefixTransformer
from vla_ros.models.layers.straight_move import StraightMove
from vla_ros.models.policies.senses import SensesConfig, SensingPolicy
from vla_ros.models.registry import PolicySpec, register_policy
from vla_ros.models.tokenizers.action_bins import ActionBins

#: Numbers of an answer that are in bins: x, y, z m, yaw rad, gripper and done in 0..1.
_NUMBERS = 6
#: A block looks the same after a quarter turn: no yaw beyond half of that is needed.
_YAW_RAD = math.pi / 4.0


@dataclass(frozen=True)
class Rt2TokensConfig(SensesConfig):
    """
    Sizes of the network.

    The sequence holds at most ``context`` tokens: of a command that is too long the end is cut.
    """

    cell_px: int = 16
    width: int = 128
    layers: int = 4
    bins: int = 128
    context: int = 128


@register_policy('rt2_tokens', Rt2TokensConfig)
class Rt2TokensPolicy(SensingPolicy):
    """
    See the module; scriptable, under the policy contract.

    The vocabulary holds the tasks, then the bins of every number of an answer.
    """

    first: Tensor
    allowed: Tensor

    def __init__(self, spec: PolicySpec, config: Rt2TokensConfig) -> None:
        super().__init__(spec, config)
        width, self.tasks = config.width, len(spec.tasks)
        self.entrance = Entrance(width)
        self.places = 1 + _NUMBERS
        # A modality brings a token more, for when it is missing; the state is one token.
        fixed = self.senses.rows * self.senses.columns + 1 + 3 + self.places
        self.words = config.context - fixed
        if self.words < 1:
            raise ValueError(
                f'a context of {config.context} tokens has no room for words; '
                f'set it to more than {fixed}, or cell_px to more than {config.cell_px}'
            )
        sizes = torch.tensor([self.tasks, *[config.bins] * _NUMBERS])
        self.vocabulary = int(sizes.sum())
        first = sizes.cumsum(dim=0) - sizes  # the first token of each place
        token = torch.arange(self.vocabulary)
        allowed = (token >= first[:, None]) & (token < (first + sizes)[:, None])
        self.register_buffer('first', first, persistent=False)
        self.register_buffer('allowed', allowed, persistent=False)
        self.bins = ActionBins.uniform(
            [*spec.workspace_min, -_YAW_RAD, 0.0, 0.0],
            [*spec.workspace_max, _YAW_RAD, 1.0, 1.0],
            config.bins,
        )
        # One row more than the vocabulary: what stands before an answer.
        self.embed = nn.Embedding(self.vocabulary + 1, width)
        self.place = nn.Parameter(torch.randn(self.places, width) * 0.02)
        self.sequence = PrefixTransformer(width, config.heads, config.layers)
        self.to_logits = nn.Linear(width, self.vocabulary)
        self.move = StraightMove(spec.horizon, spec.dt_s, spec.speed_m_s, spec.angular_speed_rad_s)

    def forward(
        self, image: Tensor, text: Tensor, text_mask: Tensor, state: Tensor
    ) -> PolicyOutput:
        """Return what the contract says; see ``vla_ros.models.contract``."""
        vision, words, robot = self.given(image, text, text_mask, state)
        prefix = all_joined(vision, words, robot)
        past = self.sequence.begin(prefix.tokens, prefix.mask)
        last = torch.full_like(text_mask[:, 0], self.vocabulary, dtype=torch.int64)
        logits, answer, looks = [], [], []
        for place in range(self.places):
            x = self.embed(last)[:, None] + self.place[place]
            x, past, weights = self.sequence.follow(x, past, causal=True)
            logits.append(self.to_logits(x[:, 0]))
            last = logits[place].masked_fill(~self.allowed[place], -math.inf).argmax(dim=-1)
            answer.append(last)
            looks.append(weights[:, :, :, : prefix.mask.shape[1]])
        numbers = self.bins.decode(torch.stack(answer[1:], dim=1) - self.first[1:])  # (b, 6)
        position, yaw, gripper, _ = numbers.split([3, 1, 1, 1], dim=-1)
        of_done = self.bins.centres()[-1]
        chances = logits[-1][:, -of_done.shape[0] :].softmax(dim=-1)  # its bins end the vocabulary
        done = (chances * of_done).sum(dim=-1, keepdim=True)
        actions = self.move(state, position, yaw[:, 0], gripper[:, 0])
        return PolicyOutput(
            actions,
            done.expand(-1, actions.shape[1]),
            logits[0][:, : self.tasks],
            self._looked(torch.cat(looks, dim=2), vision, words, text.shape[1]),
        )

    def given(
        self, image: Tensor, text: Tensor, text_mask: Tensor, state: Tensor
    ) -> tuple[Tokens, Tokens, Tokens]:
        """Return vision, text and state, ready to be joined, with the words there is room for."""
        vision, words, robot = self.senses(
            image, text[:, : self.words], text_mask[:, : self.words], state
        )
        return self.entrance(vision, words, robot)

    def guess(
        self, image: Tensor, text: Tensor, text_mask: Tensor, state: Tensor, answer: Tensor
    ) -> tuple[Tensor, Tensor]:
        """
        Return logits (b, 7, vocabulary) of each token after the right ones, and the attention.

        ``answer`` (b, 7) int64 is the right one. As many images as ``Senses`` takes. Only for
        training.
        """
        vision, words, robot = self.given(image, text, text_mask, state)
        prefix = all_joined(vision, words, robot)
        start = torch.full_like(answer[:, :1], self.vocabulary)
        x = self.embed(torch.cat([start, answer[:, :-1]], dim=1)) + self.place
        x, weights = self.sequence(prefix.tokens, prefix.mask, x)
        return self.to_logits(x), self._looked(weights, vision, words, text.shape[1])

    def answer(self, task: Tensor, numbers: Tensor) -> Tensor:
        """
        Return the answer (b, 7) int64 of tasks (b,), by their place in the spec, and numbers.

        ``numbers`` (b, 6): x, y, z m, yaw rad, gripper and done in 0..1.
        """
        return torch.cat([task[:, None], self.first[1:] + self.bins(numbers)], dim=1)

    def _looked(self, weights: Tensor, vision: Tokens, words: Tokens, n: int) -> Tensor:
        """Return attention (b, n, gh, gw), 0 of cut words, of an answer's weights."""
        numbers = weights[:, :, 1:]  # where to go is looked for by all but the task
        attention = words_by_readers(numbers, vision, words)
        cut = n - attention.shape[1]
        return self.senses.on_grid(nn.functional.pad(attention, [0, 0, 0, cut]))
