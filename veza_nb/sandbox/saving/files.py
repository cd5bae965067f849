"""The file of a snapshot: gzip, in it one line that says what follows, then that as JSON.

    zcat FILE | head -1
    {"format":"veza-nb sandbox snapshot","version":1,"bytes":512345,"sha256":"…"}

A file is written beside its place and moved there when it is whole, so that a full disk or a kill
leaves what was there before. Reading believes nothing that the checksum does not vouch for.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import os
import secrets
import time
import zlib
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

FORMAT = "veza-nb sandbox snapshot"
VERSION = 1
"""Of the format. A reader refuses what is newer than itself."""
MAX_BYTES = 4 * 1024**3
_MAX_HEADER = 1000
_STALE_SECONDS = 3600.0
# Objects repeat themselves so much that more effort gains little.
_LEVEL = 3


class SnapshotError(ValueError):
    """A snapshot cannot be written, read or used; the message says why."""


def write(path: Path, body: bytes) -> int:
    """Put a body of JSON into a file, in one step; return the file's length in bytes.

    Raises:
        SnapshotError: it cannot be written; a file that was there before is untouched.
    """
    checksum = hashlib.sha256(body).hexdigest()
    header = {"format": FORMAT, "version": VERSION, "bytes": len(body), "sha256": checksum}
    packed = gzip.compress(json.dumps(header).encode() + b"\n" + body, _LEVEL)
    draft = path.with_name(f".{path.name}.{secrets.token_hex(4)}.draft")
    try:
        _sweep(path)
        try:
            _write_through(draft, packed)
            draft.replace(path)
        except BaseException:
            draft.unlink(missing_ok=True)
            raise
    except OSError as error:
        raise SnapshotError(f"cannot write the snapshot {path}: {error.strerror}") from error
    return len(packed)


def _write_through(draft: Path, packed: bytes) -> None:
    """Write a new private file, down to the disk."""
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(packed)
        file.flush()
        os.fsync(file.fileno())


def _sweep(path: Path) -> None:
    """Remove the drafts of writers that were killed long ago."""
    start, oldest = f".{path.name}.", time.time() - _STALE_SECONDS
    for draft in path.parent.iterdir():
        if draft.name.startswith(start) and draft.name.endswith(".draft"):
            with suppress(OSError):
                if draft.stat().st_mtime < oldest:
                    draft.unlink()


def read(path: Path) -> bytes:
    """Return the body of a file.

    Raises:
        SnapshotError: it is missing, broken, cut short, no snapshot, or of a newer version.
    """
    try:
        with path.open("rb") as file:
            return _read(path, file)
    except OSError as error:
        why = error.strerror or str(error)
        raise SnapshotError(f"cannot read the snapshot {path}: {why}") from error


def _read(path: Path, file: BinaryIO) -> bytes:
    length = 0
    try:
        with gzip.GzipFile(fileobj=file) as plain:
            length, checksum = _header(path, plain.readline(_MAX_HEADER))
            body = plain.read(length)
            rest = plain.read(1)
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        if not length:
            raise SnapshotError(f"{path} is no snapshot of a training cluster") from error
        raise SnapshotError(f"the snapshot {path} is broken or cut short") from error
    if len(body) != length or rest or hashlib.sha256(body).hexdigest() != checksum:
        raise SnapshotError(f"the snapshot {path} is broken: its checksum does not match")
    return body


def _header(path: Path, line: bytes) -> tuple[int, str]:
    """Return length and checksum of what follows."""
    try:
        found = json.loads(line)
    except (ValueError, RecursionError):
        found = None
    header = found if isinstance(found, dict) else {}
    if header.get("format") != FORMAT:
        raise SnapshotError(f"{path} is no snapshot of a training cluster")
    version, length, checksum = (header.get(name) for name in ("version", "bytes", "sha256"))
    if not isinstance(version, int) or version > VERSION:
        raise SnapshotError(
            f"the snapshot {path} has version {version} of the format, and this veza-nb reads "
            f"up to {VERSION}; restore it with the veza-nb that saved it, or a newer one"
        )
    if not isinstance(length, int) or not 0 < length <= MAX_BYTES:
        raise SnapshotError(f"the snapshot {path} is broken: {length} is not its length")
    return length, str(checksum)
