"""
The training loop: steps, an average of the weights, checkpoints to go on from, curves.

Batches depend on the seed, the step and the process alone, so a run that is killed goes on as if
it had not been. Mixed precision is used where this machine is faster with it.
"""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass
import json
import math
from pathlib import Path
import time
from typing import Any

import torch
from torch import nn, Tensor
from tqdm import tqdm

from vla_ros.errors import ConfigurationError
from vla_ros.limits import check_least
from vla_ros.training.parallel import average_gradients

#: Returns the losses of a batch by name.
Objective = Callable[[Any], dict[str, Tensor]]


@dataclass(frozen=True)
class TrainerConfig:
    """How to step; the learning rate rises for ``warmup_steps``, then falls along a cosine."""

    steps: int
    learning_rate: float
    weight_decay: float
    warmup_steps: int
    average_decay: float
    max_gradient_norm: float
    log_every: int
    save_every: int

    def __post_init__(self) -> None:
        check_least(self, steps=1, warmup_steps=0, log_every=1, save_every=1)
        check_least(self, learning_rate=0, weight_decay=0, average_decay=0)
        if not self.max_gradient_norm > 0:
            raise ConfigurationError(
                f'max_gradient_norm is {self.max_gradient_norm}; valid: above 0'
            )


class Trainer:
    """
    Trains ``model`` in place; ``average`` is the exponential average of its weights.

    Of several processes that train together, the one of ``rank`` 0 keeps the records.
    """

    def __init__(
        self,
        model: nn.Module,
        objective: Objective,
        weights: dict[str, float],
        config: TrainerConfig,
        folder: Path,
        rank: int = 0,
    ) -> None:
        self.model = model
        self.average = deepcopy(model).requires_grad_(False).eval()
        self.step = 0
        self._kept_step: int | None = None
        self._objective = objective
        self._weights = weights
        self._config = config
        self._folder = folder
        self._keeps_records = rank == 0
        self._optimiser = torch.optim.AdamW(
            _groups(model, config.weight_decay), lr=config.learning_rate, betas=(0.9, 0.98)
        )

    @property
    def checkpoint_path(self) -> Path:
        return self._folder / 'checkpoint.pt'

    def resume(self) -> bool:
        """
        Go on from the checkpoint in the folder, if there is one.

        Raises ConfigurationError if it is of another network.
        """
        if not self.checkpoint_path.exists():
            return False
        saved = torch.load(self.checkpoint_path, map_location='cpu', weights_only=True)
        try:
            self.model.load_state_dict(saved['model'])
            self.average.load_state_dict(saved['average'])
            self._optimiser.load_state_dict(saved['optimiser'])
        except (RuntimeError, ValueError) as error:
            raise ConfigurationError(
                f'{self.checkpoint_path} is of another network: remove {self._folder}, '
                'or choose another folder'
            ) from error
        self.step = self._kept_step = saved['step']
        return True

    def save(self) -> None:
        """Write the checkpoint; a kill meanwhile leaves the one before."""
        partial = self.checkpoint_path.with_suffix('.partial')
        torch.save(
            {
                'model': self.model.state_dict(),
                'average': self.average.state_dict(),
                'optimiser': self._optimiser.state_dict(),
                'step': self.step,
            },
            partial,
        )
        partial.replace(self.checkpoint_path)

    def run(self, batch_at: Callable[[int], Any], until_step: int) -> None:
        """
        Train on ``batch_at(step)`` up to a step, logging to ``log.jsonl``.

        A line holds the means since the one before; the last step always ends one. Raises
        ConfigurationError, and leaves weights and checkpoint as they are, if a loss has no weight
        or is not finite.
        """
        config = self._config
        sums: dict[str, float] = {}
        summed = 0
        started_s = time.monotonic()
        self.model.train()
        # Where it is shown at all, TQDM_DISABLE decides; False would overrule that.
        hidden = {} if self._keeps_records else {'disable': True}
        with tqdm(total=until_step, initial=self.step, desc='train', unit='step', **hidden) as bar:
            while self.step < until_step:
                losses = self._step(batch_at(self.step))
                self.step += 1
                bar.update()
                for name, value in losses.items():
                    sums[name] = sums.get(name, 0.0) + value
                summed += 1
                ends = self.step == until_step
                if (ends or self.step % config.log_every == 0) and self._keeps_records:
                    means = {name: value / summed for name, value in sums.items()}
                    self._log(means, time.monotonic() - started_s)
                    bar.set_postfix({name: f'{value:.3f}' for name, value in means.items()})
                    sums, summed = {}, 0
                if ends or self.step % config.save_every == 0:
                    if self._keeps_records:
                        self.save()
                    self._kept_step = self.step

    def learning_rate(self, step: int) -> float:
        """Return the learning rate of a step."""
        config = self._config
        warmup = min((step + 1) / max(config.warmup_steps, 1), 1.0)
        fall = 0.5 * (1.0 + math.cos(math.pi * min(step / config.steps, 1.0)))
        return config.learning_rate * warmup * max(fall, 0.005)

    def _step(self, batch: Any) -> dict[str, float]:
        for group in self._optimiser.param_groups:
            group['lr'] = self.learning_rate(self.step)
        losses = self._objective(batch)
        if missing := losses.keys() - self._weights.keys():
            raise ConfigurationError(f'loss_weights has none for {", ".join(sorted(missing))}')
        total = torch.stack([self._weights[name] * loss for name, loss in losses.items()]).sum()
        if not total.isfinite():
            values = {name: loss.item() for name, loss in losses.items()}
            wrong = [f'{name} is {v}' for name, v in values.items() if not math.isfinite(v)]
            raise self._diverged(', '.join(wrong) or f'their sum is {total.item()}')
        self._optimiser.zero_grad()
        total.backward()
        average_gradients(self.model)
        norm = nn.utils.clip_grad_norm_(self.model.parameters(), self._config.max_gradient_norm)
        if not norm.isfinite():
            raise self._diverged(f'the norm of the gradients is {norm.item()}')
        self._optimiser.step()
        self._follow()
        return {name: loss.item() for name, loss in losses.items()}

    def _diverged(self, said: str) -> ConfigurationError:
        kept = 'none is' if self._kept_step is None else f'that of step {self._kept_step} is'
        return ConfigurationError(
            f'loss at step {self.step}: {said}. Of checkpoints {kept} kept in {self._folder}; '
            'train in another folder with a lower trainer.learning_rate, or see what the data hold'
        )

    @torch.no_grad()
    def _follow(self) -> None:
        # At first the average follows quickly, or it would remember the random start.
        decay = min(self._config.average_decay, (1.0 + self.step) / (10.0 + self.step))
        for mean, value in zip(
            self.average.state_dict().values(), self.model.state_dict().values(), strict=True
        ):
            if mean.is_floating_point():
                mean.lerp_(value, 1.0 - decay)
            else:
                mean.copy_(value)

    def _log(self, losses: dict[str, float], elapsed_s: float) -> None:
        line = {'step': self.step, 'elapsed_s': round(elapsed_s, 1)}
        rounded = {name: round(value, 5) for name, value in losses.items()}
        with (self._folder / 'log.jsonl').open('a') as file:
            file.write(json.dumps({**line, **rounded}) + '\n')


def _groups(model: nn.Module, weight_decay: float) -> list[dict]:
    """Return parameter groups: matrices decay, vectors (biases, norms) do not."""
    matrices = [p for p in model.parameters() if p.ndim > 1]
    vectors = [p for p in model.parameters() if p.ndim <= 1]
    return [
        {'params': matrices, 'weight_decay': weight_decay},
        {'params': vectors, 'weight_decay': 0.0},
    ]


def bfloat16_is_faster(device: torch.device) -> bool:
    """Measure whether a CPU convolves faster in bfloat16 (AMX) than float32; ask a GPU."""
    if device.type == 'cuda':
        return torch.cuda.is_bf16_supported()

    def seconds(dtype: torch.dtype) -> float:
        layer = nn.Conv2d(32, 32, 3, padding=1, dtype=dtype)
        x = torch.zeros(16, 32, 24, 24, dtype=dtype)
        layer(x)
        start_s = time.perf_counter()
        for _ in range(3):
            layer(x)
        return time.perf_counter() - start_s

    with torch.inference_mode():
        return seconds(torch.bfloat16) < 0.7 * seconds(torch.float32)
