"""The shipped policy as the servers of the benchmark call it: an observation in, a chunk out."""

import numpy as np

from vla_ros.interfaces import EncodedCommand, Observation
from vla_ros.paths import shipped_policy_path
from vla_ros.pipeline.image import fit
from vla_ros.pipeline.policy import load_policy
from vla_ros.pipeline.text_encoder import load_text_encoder


class ServedPolicy:
    def __init__(self) -> None:
        self._policy, self._encoder = load_policy(shipped_policy_path()), load_text_encoder()
        self._command = EncodedCommand('', 1, self._encoder.encode(''))
        self.size_px = self._policy.manifest.image_width, self._policy.manifest.image_height

    def infer(self, observation: dict) -> dict:
        """Return {'actions': (horizon, 8)} for 'image' (h, w, 3), 'state' (8,) and 'prompt'."""
        prompt = observation.get('prompt', '')
        if prompt != self._command.text:
            self._command = EncodedCommand(prompt, 1, self._encoder.encode(prompt))
        image = fit(np.asarray(observation['image']), *self.size_px)[None]
        state = np.asarray(observation['state'])
        result = self._policy.infer(Observation(0, image, state, self._command))
        return {'actions': result.chunk.values}
