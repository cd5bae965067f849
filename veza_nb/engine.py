"""papermill's hooks: outputs as they come, and saves that are redacted and atomic.

papermill's own local writer is neither; its registry of handlers lets a path of our own
scheme go through the incident's folder instead.
"""

import contextlib
import json
import queue
import threading
from pathlib import PurePosixPath
from typing import Any, ClassVar, Self

from papermill.clientwrap import PapermillNotebookClient
from papermill.engines import NBClientEngine, papermill_engines
from papermill.iorw import papermill_io
from papermill.log import logger

from veza_nb.errors import VezaError
from veza_nb.records import Folder
from veza_nb.redact import redact_notebook

ENGINE = "veza-nb"
SCHEME = "veza-record://"


def register(folder: Folder) -> str:
    """Make papermill use this engine and this folder; returns the prefix of output paths."""
    papermill_engines.register(ENGINE, LiveEngine)
    papermill_io.register(SCHEME, RecordHandler(folder))
    return SCHEME


class LiveClient(PapermillNotebookClient):  # type: ignore[misc]  # untyped base
    """Executes the cells and passes every output on as it comes."""

    on_output: Any = None

    def process_message(self, msg: Any, cell: Any, cell_index: int) -> Any:
        """Take a message of the kernel; outputs go to `on_output` too."""
        output = super().process_message(msg, cell, cell_index)
        content = msg["content"]
        text = content.get("data", {}).get("text/plain") if "data" in content else None
        if msg["msg_type"] == "stream":
            text = content["text"]
        if isinstance(text, str) and self.on_output is not None:
            self.on_output(text, (content.get("transient") or {}).get("display_id"))
        return output


class LiveEngine(NBClientEngine):  # type: ignore[misc]  # untyped base
    """papermill's own engine with `LiveClient` in it."""

    @classmethod
    def execute_managed_notebook(cls, nb_man: Any, kernel_name: str, **options: Any) -> None:
        """Execute the notebook; takes `km` and `on_output` besides papermill's options."""
        client = LiveClient(
            nb_man,
            km=options["km"],
            kernel_name=kernel_name,
            startup_timeout=options["start_timeout"],
            timeout=None,
            log=logger,
        )
        client.on_output = options["on_output"]
        with Saver(nb_man) as saver:
            nb_man.save = saver.save
            client.execute()


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
                with contextlib.suppress(VezaError, OSError):  # said when the run is finished
                    papermill_io.write(text, self._manager.output_path)


class RecordHandler:
    """Writes notebooks into an incident's folder."""

    extensions: ClassVar[tuple[str, ...]] = (".ipynb",)

    def __init__(self, folder: Folder) -> None:
        self._folder = folder

    def read(self, path: str) -> str:
        """The text of a file there."""
        return (self._folder.path / _name(path)).read_text(encoding="utf-8")

    def listdir(self, _path: str) -> list[str]:
        """Names of the files there."""
        return sorted(one.name for one in self._folder.path.iterdir())

    def write(self, text: str, path: str) -> None:
        """Redact and write, whole or not at all."""
        clean = redact_notebook(json.loads(text), self._folder.redactor.fresh())
        self._folder.write_text(_name(path), json.dumps(clean, indent=1, ensure_ascii=False))

    def pretty_path(self, path: str) -> str:
        """How papermill names it in its log."""
        return str(self._folder.path / _name(path))


def _name(path: str) -> str:
    return PurePosixPath(path.removeprefix(SCHEME)).name
