"""What must be there before a container can be created: its image, and what it refers to.

Tried again and again until it is there.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from veza_nb.sandbox.controllers.events import NORMAL, WARNING
from veza_nb.sandbox.nodes import environment, images
from veza_nb.sandbox.nodes.backoff import SYNC_SECONDS, back_off_seconds
from veza_nb.sandbox.nodes.context import Context
from veza_nb.sandbox.nodes.environment import ConfigError

_SHOW_ERROR_SECONDS = 0.4


@dataclass(frozen=True, slots=True)
class Preparation:
    """The way to a container that can be started.

    Attributes:
        at: the container.
        done: given its environment when all is there.
    """

    at: Context
    done: Callable[[dict[str, str]], None]

    def pull(self) -> None:
        """Get the image, then go on."""
        at, image, behavior = self.at, self.at.container.image, self.at.container.behavior
        policy = at.spec.get("imagePullPolicy", "IfNotPresent")
        problem = images.unusable(image, policy, behavior)
        if problem is not None:
            at.event(WARNING, problem.event, problem.message)
            at.event(WARNING, "Failed", f"Error: {problem.reason}")
            at.wait(problem.reason, problem.message)
            at.later(SYNC_SECONDS, self.pull)
        elif images.is_present(behavior) and policy != "Always":
            at.event(NORMAL, "Pulled", images.present_words(image))
            self._configure()
        else:
            at.event(NORMAL, "Pulling", f'Pulling image "{image}"')
            at.later(self._pull_seconds, self._pulled if behavior.pulls else self._not_pulled)

    @property
    def _pull_seconds(self) -> float:
        return self.at.container.behavior.pull_seconds or images.PULL_SECONDS

    def _pulled(self) -> None:
        words = images.pulled_words(self.at.container.image, self._pull_seconds)
        self.at.event(NORMAL, "Pulled", words)
        self._configure()

    def _not_pulled(self) -> None:
        at, image = self.at, self.at.container.image
        at.container.failures += 1
        error = images.pull_error(image)
        at.event(WARNING, "Failed", f'Failed to pull image "{image}": {error}')
        at.event(WARNING, "Failed", "Error: ErrImagePull")
        at.wait("ErrImagePull", error)
        at.later(_SHOW_ERROR_SECONDS, self._back_off)

    def _back_off(self) -> None:
        at, image = self.at, self.at.container.image
        words = f'Back-off pulling image "{image}"'
        at.event(NORMAL, "BackOff", words)
        at.event(WARNING, "Failed", "Error: ImagePullBackOff")
        at.wait("ImagePullBackOff", f"{words}: ErrImagePull: {images.pull_error(image)}")
        at.later(back_off_seconds(at.container.failures), self.pull)

    def _configure(self) -> None:
        """See that all is there that the container refers to."""
        at = self.at
        at.host.images.add(at.pod.item["spec"]["nodeName"], at.container.image)
        at.pod.connect()
        try:
            env = environment.of(at.pod.item, at.spec, at.host.read, at.pod.address)
        except ConfigError as error:
            at.event(WARNING, "Failed", f"Error: {error}")
            at.wait("CreateContainerConfigError", str(error))
            at.later(SYNC_SECONDS, self.pull)
            return
        at.later(at.container.behavior.start_seconds, lambda: self.done(env))
