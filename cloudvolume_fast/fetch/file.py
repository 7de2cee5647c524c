# SPDX-License-Identifier: BSD-3-Clause
"""Small objects (metadata) on a local file system.  Chunks do not pass here: the core reads and writes them itself."""

from __future__ import annotations

import contextlib
import os
import stat
from pathlib import Path

from cloudvolume_fast.errors import ChunkReadError, ChunkWriteError
from cloudvolume_fast.fetch.content_encoding import SUFFIXES, decompress

_LIMIT_BYTES = 1 << 30


class FileStore:
    """Whole objects below one folder.

    Parameters
    ----------
    root : str
        Absolute path of the folder; it need not exist.

    Notes
    -----
    Writes go to a temporary name in the same folder and are renamed, so that a reader sees the old object or the new.
    """

    def __init__(self, root: str) -> None:
        self.root = root

    def path(self, key: str) -> str:
        """Return the absolute path of an object."""
        return os.path.normpath(os.path.join(self.root, key))

    def get(self, key: str) -> bytes | None:
        """Return an object's bytes, decompressed, or None where it is absent; of several copies the newest.

        Raises
        ------
        ChunkReadError
            When it cannot be read.
        DecompressionError
            When it is corrupt.
        """
        base = self.path(key)
        best: tuple[int, str] | None = None
        for suffix in SUFFIXES:
            try:
                status = os.stat(base + suffix)
            except (FileNotFoundError, NotADirectoryError):
                continue
            except OSError as error:
                raise self._unreadable(key + suffix, error) from error
            if stat.S_ISREG(status.st_mode) and (best is None or status.st_mtime_ns > best[0]):
                best = (status.st_mtime_ns, suffix)
        if best is None:
            return None
        try:
            data = Path(base + best[1]).read_bytes()
        except OSError as error:
            raise self._unreadable(key + best[1], error) from error
        return decompress(best[1], data, _LIMIT_BYTES)

    def _unreadable(self, key: str, error: OSError) -> ChunkReadError:
        return ChunkReadError(
            f"{self.path(key)}: cannot be read: {error.strerror}",
            key=self.path(key),
            errno=error.errno,
        )

    def put(self, key: str, data: bytes) -> None:
        """Replace an object; copies of it under compression suffixes are removed.

        Raises
        ------
        ChunkWriteError
            When it cannot be written; then it is as it was.
        """
        path = self.path(key)
        folder = os.path.dirname(path)
        # Named before it is made, so that it is found again whatever interrupts.
        temporary = os.path.join(folder, f".{os.urandom(8).hex()}.tmp")
        try:
            os.makedirs(folder, exist_ok=True)
            try:
                with open(temporary, "xb") as file:
                    file.write(data)
                os.replace(temporary, path)
            except BaseException:
                with contextlib.suppress(OSError):
                    os.unlink(temporary)
                raise
            for suffix in SUFFIXES[1:]:
                Path(path + suffix).unlink(missing_ok=True)
        except OSError as error:
            raise ChunkWriteError(
                f"{path}: cannot be written: {error.strerror}", key=path, errno=error.errno
            ) from error


def umask() -> int:
    """Return the file mode mask without changing it where the system tells it."""
    try:
        with open("/proc/self/status", encoding="ascii") as lines:
            for line in lines:
                if line.startswith("Umask:"):
                    return int(line.split()[1], 8)
    except OSError:
        pass
    mask = os.umask(0o022)
    os.umask(mask)
    return mask
