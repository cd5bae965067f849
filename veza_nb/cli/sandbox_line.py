"""The line from commands to the running training cluster."""

from typing import Any

from veza_nb.errors import UsageError
from veza_nb.sandbox import detached
from veza_nb.sandbox.steering import control


def ask(operation: str, arguments: dict[str, object], patience: float = control.ASK_SECONDS) -> Any:
    """Let the running training cluster do something; wait at most `patience` seconds.

    Raises:
        UsageError: none is running, or it refuses; says why.
    """
    running = detached.status()
    if running is None:
        raise UsageError(
            "No training cluster is running.", next_step="Start one with `veza-nb sandbox up`."
        )
    try:
        return control.ask(running, operation, arguments, timeout=patience)
    except control.RefusedError as error:
        raise UsageError(f"The training cluster refused: {error}.") from error
    except control.ControlError as error:
        raise UsageError(f"The training cluster cannot be asked: {error}.") from error
