"""papermill's hooks: outputs as they come, and saves that are redacted and atomic.

papermill's own local writer is neither; its registry of handlers lets a path of our own
scheme go through the incident's folder instead.
"""

import json
import queue
import threading
from collections.abc import Callable
from pathlib import PurePosixPath
from typing import Any, ClassVar, Self

from papermill.clientwrap import PapermillNotebookClient
from papermill.engines import NBClientEngine, papermill_engines
from papermill.iorw import papermill_io
from papermill.log import logger

from veza_nb.errors import InterruptedRunError
from veza_nb.records import Folder
from veza_nb.redact import redact_notebook

ENGINE = "veza-nb"
SCHEME = "veza-record://"


def register(folder: Folder) -> "RecordHandler":
    """Make papermill use this engine, and this folder for all paths that begin with `SCHEME`."""
    handler = RecordHandler(folder)
    papermill_engines.register(ENGINE, LiveEngine)
    papermill_io.register(SCHEME, handler)
    return handler


class LiveClient(PapermillNotebookClient):  # type: ignore[misc]  # untyped base
    """Executes the cells, unless a person wants a stop, and passes outputs on as they come."""

    on_output: Any = None
    stopped: Callable[[], bool]

    def execute_cell(self, cell: Any, cell_index: int, **options: Any) -> Any:
        """Execute one cell.

        Raises:
            InterruptedRunError: a person stopped the run before this cell began.
        """
        if self.stopped():
            raise InterruptedRunError("Stopped between two cells.")
        return super().execute_cell(cell, cell_index, **options)

    def process_message(self, msg: Any, cell: Any, cell_index: int) -> Any:
        """Take a message of the kernel; outputs go to `on_output` too."""
        output = super().process_message(msg, cell, cell_index)
        content = msg["content"]
        text = content.get("data", {}).get("text/plain") if "data" in content else None
        if msg["msg_type"] == "stream":
            text = content["text"]
        if isinstance(text, str) and self.on_output is not None:
            self._pass_on(text, (content.get("transient") or {}).get("display_id"))
        return output

    def _pass_on(self, text: str, display_id: str | None) -> None:
        try:
            self.on_output(text, display_id)
        except OSError:
            # A terminal that is gone, a closed pipe: no reason to end an undo half-way.
            self.on_output = None


class LiveEngine(NBClientEngine):  # type: ignore[misc]  # untyped base
    """papermill's own engine with `LiveClient` in it."""

    @classmethod
    def execute_managed_notebook(cls, nb_man: Any, kernel_name: str, **options: Any) -> None:
        """Execute the notebook; takes `km`, `on_output` and `stopped` besides papermill's."""
        client = LiveClient(
            nb_man,
            km=options["km"],
            kernel_name=kernel_name,
            startup_timeout=options["start_timeout"],
            timeout=None,
            log=logger,
        )
        client.on_output = options["on_output"]
        client.stopped = options["stopped"]
        with Saver(nb_man) as saver:
            nb_man.save = saver.save
            try:
                client.execute()
            finally:
                # nbclient leaves the channels to whoever gave it the kernel's manager.
                if client.kc is not None:
                    client.kc.stop_channels()


class Saver:
    """Saves the notebook while the cells run, in a thread, the newest state only.

    papermill saves twice a cell and waits for it; with redaction and fsync that would cost a
    second before the undo. Journal and record are on disk before each step goes on anyway.
    """

    def __init__(self, manager: Any) -> None:
        self._manager = manager
        self._newest: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="notebook-saver")

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._newest.put(None)
        self._thread.join()

    def save(self, **_: object) -> None:
        """Take the notebook as it is now; it is written soon."""
        self._newest.put(json.dumps(self._manager.nb))

    def _run(self) -> None:
        text: str | None = ""
        while text is not None:
            text = self._newest.get()
            while text is not None and not self._newest.empty():
                text = self._newest.get()
            if text is not None:
                papermill_io.write(text, self._manager.output_path)


class RecordHandler:
    """Writes notebooks into an incident's folder.

    A notebook that cannot be saved is no reason to stop: the undo matters more.

    Attributes:
        problem: why the newest state could not be written, "" where it was.
    """

    extensions: ClassVar[tuple[str, ...]] = (".ipynb",)

    def __init__(self, folder: Folder) -> None:
        self.problem = ""
        self._folder = folder

    def read(self, path: str) -> str:
        """The text of a file there."""
        return (self._folder.path / _name(path)).read_text(encoding="utf-8")

    def listdir(self, _path: str) -> list[str]:
        """Names of the files there."""
        return sorted(one.name for one in self._folder.path.iterdir())

    def write(self, text: str, path: str) -> None:
        """Redact and write, whole or not at all; what goes wrong is kept in `problem`."""
        try:
            clean = redact_notebook(json.loads(text), self._folder.redactor.fresh())
            self._folder.write_text(_name(path), json.dumps(clean, indent=1, ensure_ascii=False))
        except Exception as error:  # whatever it is, it is said when the run is finished
            self.problem = self.problem or f"{_name(path)}: {error}"
        else:
            self.problem = ""

    def pretty_path(self, path: str) -> str:
        """How papermill names it in its log."""
        return str(self._folder.path / _name(path))


def _name(path: str) -> str:
    return PurePosixPath(path.removeprefix(SCHEME)).name
