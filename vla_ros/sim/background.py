"""Pictures of a running environment, taken in a thread of their own."""

from __future__ import annotations

from collections.abc import Callable
from queue import SimpleQueue
import threading

import numpy as np
from numpy.typing import NDArray

from vla_ros.geometry import Pose
from vla_ros.interfaces import CameraModel
from vla_ros.sim.environment import TabletopEnv
from vla_ros.sim.scene import SceneSpec

_Job = Callable[[TabletopEnv], None]


class BackgroundCamera:
    """
    Renders what an environment looked like, while that one steps on.

    The thread has an environment of its own and repeats every reset and step there: stepping is
    deterministic and two hundred times cheaper than a picture, and nothing needs a lock. MuJoCo
    and numpy release the interpreter while they render.

    ``on_picture(stamp_ns, image, camera)`` gets each picture (h, w, 3), in that thread. When
    pictures are asked for faster than they can be made, old ones are skipped.
    """

    def __init__(
        self,
        make_env: Callable[[], TabletopEnv],
        on_picture: Callable[[int, NDArray[np.uint8], CameraModel], None],
    ) -> None:
        self.skipped = 0
        self._make_env = make_env
        self._on_picture = on_picture
        self._error: Exception | None = None
        self._jobs: SimpleQueue[_Job | None] = SimpleQueue()
        self._newest_ns = 0
        self._thread = threading.Thread(target=self._run, name='camera', daemon=True)
        self._thread.start()

    def reset(self, scene: SceneSpec) -> None:
        self._jobs.put(lambda env: env.reset(scene=scene))

    def step(self, target: Pose, gripper: float) -> None:
        self._jobs.put(lambda env: env.step(target, gripper))

    def shoot(self, stamp_ns: int) -> None:
        """
        Ask for a picture of the present state, to be handed out with ``stamp_ns``.

        Raises what made the thread end, if something did.
        """
        if self._error is not None:
            raise self._error
        self._newest_ns = stamp_ns
        self._jobs.put(lambda env: self._render(env, stamp_ns))

    def stop(self, timeout_s: float) -> bool:
        """End the thread after the picture in work; return False if that takes longer."""
        self._newest_ns = -1
        self._jobs.put(None)
        self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def _render(self, env: TabletopEnv, stamp_ns: int) -> None:
        if stamp_ns != self._newest_ns:
            self.skipped += 1
            return
        self._on_picture(stamp_ns, env.render(), env.camera)

    def _run(self) -> None:
        try:
            # Here, since an OpenGL context belongs to the thread that made it.
            env = self._make_env()
            while (job := self._jobs.get()) is not None:
                job(env)
            env.close()
        except Exception as error:
            self._error = error
