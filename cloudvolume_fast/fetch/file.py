# SPDX-License-Identifier: BSD-3-Clause
"""Objects on a local file system.  Chunks do not pass here: the core reads and writes them itself."""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Generator, Iterator, Sequence

from cloudvolume_fast import _runtime
from cloudvolume_fast.errors import ChunkReadError, ChunkWriteError, DecompressionError
from cloudvolume_fast.fetch.content_encoding import (
    SUFFIXES,
    decompress,
    level_of,
    suffix_of,
)
from cloudvolume_fast.fetch.content_encoding import (
    compress as compress_bytes,
)
from cloudvolume_fast.fetch.read_ahead import batch_size, prepared
from cloudvolume_fast.fetch.store import KeyRange

_LIMIT_BYTES = 1 << 30


def _encoded(keys: Sequence[str]) -> Sequence[str] | list[bytes]:
    """Return keys as the core takes paths: as they are, if that is ASCII, which is a fifth of the work."""
    return keys if "".join(keys).isascii() else [os.fsencode(key) for key in keys]


class FileStore:
    """Whole objects below one folder.

    Parameters
    ----------
    root : str
        Absolute path of the folder; it need not exist.

    Notes
    -----
    What is written has no name, or a temporary one in the same folder, until it is complete, so that a reader sees the
    old object or the new.
    """

    def __init__(self, root: str) -> None:
        self.root = root
        self.cloudpath = f"file://{root}"

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
            with open(base + best[1], "rb") as file:
                data = file.read()
        except OSError as error:
            raise self._unreadable(key + best[1], error) from error
        return self._decompressed(key, best[1], data)

    def _decompressed(self, key: str, suffix: str, data: bytes) -> bytes:
        try:
            return decompress(suffix, data, _LIMIT_BYTES)
        except DecompressionError as error:
            path = self.path(key) + suffix
            raise type(error)(
                f"{path}: {error}",
                key=path,
                expected=error.expected,
                found=error.found,
                offset=error.offset,
            ) from error

    def get_range(self, key: str, offset: int, size: int) -> bytes | None:
        """Return a range of an object, or None where it is absent; only its bare name is looked at.

        Raises
        ------
        ChunkReadError
            When it cannot be read.
        """
        return self.get_ranges([KeyRange(key, offset, size)])[0]

    def get_ranges(self, ranges: Sequence[KeyRange]) -> list[bytes | None]:
        """Return ranges of objects in the order given, None where the object is absent; each file is opened once.

        Raises
        ------
        ChunkReadError
            When one cannot be read.
        """
        by_key: dict[str, list[int]] = {}
        for i, wanted in enumerate(ranges):
            by_key.setdefault(wanted.key, []).append(i)
        out: list[bytes | None] = [None] * len(ranges)
        for key, numbers in by_key.items():
            try:  # not to wait for a writer where the name is a pipe's
                descriptor = os.open(self.path(key), os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
            except (FileNotFoundError, NotADirectoryError):
                continue
            except OSError as error:
                raise self._unreadable(key, error) from error
            try:
                status = os.fstat(descriptor)
                if not stat.S_ISREG(status.st_mode):
                    continue  # as for `get`
                for i in numbers:
                    out[i] = _read_at(descriptor, ranges[i], status.st_size)
            except OSError as error:
                raise self._unreadable(key, error) from error
            finally:
                os.close(descriptor)
        return out

    def _unreadable(self, key: str, error: OSError) -> ChunkReadError:
        return ChunkReadError(
            f"{self.path(key)}: cannot be read: {error.strerror}",
            key=self.path(key),
            errno=error.errno,
        )

    def get_many(self, keys: Sequence[str]) -> list[bytes | None]:
        """Return objects, decompressed, in the order given; see `get`.

        Notes
        -----
        The core reads and inflates them, on every thread of the pool and without the GIL.
        """
        return self._completed(
            keys,
            *_runtime.read_objects(os.fsencode(self.root), _encoded(keys), _LIMIT_BYTES, 0),
        )

    def get_batches(self, keys: Sequence[str]) -> Generator[list[bytes | None], None, None]:
        """Yield what `get_many` returns in consecutive parts, while threads without the GIL read those behind.

        Folders are listed once.  None of the threads outlives the generator.
        """
        size = batch_size(len(keys))
        ahead = _runtime.read_objects_ahead(
            os.fsencode(self.root), _encoded(keys), size, _LIMIT_BYTES, 0
        )
        with contextlib.closing(prepared(ahead)) as batches:
            for begin, batch in zip(range(0, len(keys), size), batches, strict=True):
                yield self._completed(keys[begin : begin + size], *batch)

    def _completed(
        self,
        keys: Sequence[str],
        found: list[bytes | None],
        encoded: Sequence[tuple[int, str]],
        unclear: Sequence[int],
    ) -> list[bytes | None]:
        """Do what the core left to do, one by one."""
        for i, suffix in encoded:
            data = found[i]
            assert data is not None
            found[i] = self._decompressed(keys[i], suffix, data)
        for i in unclear:
            found[i] = self.get(keys[i])
        return found

    def put(self, key: str, data: bytes, *, sync: bool = False) -> None:
        """Replace an object; copies of it under compression suffixes are removed.

        With `sync` the bytes are flushed to the disk before the object gets its name.

        Raises
        ------
        ChunkWriteError
            When it cannot be written; then it is as it was.
        """
        self._put(key, "", data, sync)

    def put_many(
        self,
        objects: Sequence[tuple[str, bytes]],
        *,
        compress: str | bool | None = None,
        compress_level: int | None = None,
        content_type: str = "application/octet-stream",
        cache_control: str | None = None,
    ) -> None:
        """Replace objects; files have neither content type nor cache control.  Of one key's objects the last counts.

        Raises
        ------
        ChunkWriteError, CompressionError, UnsupportedCompressionType
        """
        suffix = suffix_of(compress)
        level = level_of(suffix, compress_level)
        last = dict(objects)
        keys = list(last)
        stored = list(last.values())
        if suffix not in ("", ".gz"):
            stored = [compress_bytes(suffix, data, level) for data in stored]
        unclear = _runtime.write_objects(
            os.fsencode(self.root),
            _encoded(keys),
            stored,
            suffix,
            level,
            False,
            0,
        )
        for i in unclear:
            data = stored[i]
            self._put(
                keys[i],
                suffix,
                compress_bytes(suffix, data, level) if suffix == ".gz" else data,
                False,
            )

    @contextlib.contextmanager
    def lock_shard(self, folder: str, shard: int) -> Iterator[None]:
        """Hold the lock on a shard, which writers of image shards take too; the folder is made where it is absent.

        Raises
        ------
        ChunkWriteError
            When it cannot be taken.
        """
        path = self.path(folder)
        lock = _runtime.ShardLock()
        try:
            os.makedirs(path, exist_ok=True)
        except OSError as error:
            raise self._unwritable(path, error) from error
        failure = lock.acquire(os.fsencode(path), shard)
        if failure is not None:
            raise self._unwritable(path, OSError(failure[1], os.strerror(failure[1])))
        try:
            yield
        finally:
            lock.release()

    def exists_many(self, keys: Sequence[str]) -> list[bool]:
        """Return which objects are there, under any suffix."""
        found, unclear = _runtime.find_objects(os.fsencode(self.root), _encoded(keys), 0)
        for i in unclear:
            base = self.path(keys[i])
            found[i] = any(os.path.isfile(base + suffix) for suffix in SUFFIXES)
        return found

    def delete_many(self, keys: Sequence[str]) -> None:
        """Remove objects under every suffix; absent ones are no error.

        Raises
        ------
        ChunkWriteError
        """
        unclear = _runtime.remove_objects(os.fsencode(self.root), _encoded(keys), 0)
        for key in [keys[i] for i in unclear]:
            for suffix in SUFFIXES:
                try:
                    os.unlink(self.path(key) + suffix)
                except (FileNotFoundError, NotADirectoryError):
                    continue
                except OSError as error:
                    raise self._unwritable(self.path(key) + suffix, error) from error

    def list(self, prefix: str = "", *, flat: bool = False) -> Iterator[str]:
        """Yield the keys that start with a prefix, without suffixes, each once, in no order."""
        folder, _, start = prefix.rpartition("/")
        seen: set[str] = set()
        for parent, folders, names in os.walk(self.path(folder) if folder else self.root):
            below = os.path.relpath(parent, self.root).replace(os.sep, "/")
            lead = "" if below == "." else below + "/"
            for name in names:
                if name.startswith(".") and name.endswith(".tmp"):
                    continue  # of a write under way
                stem, extension = os.path.splitext(name)
                key = lead + (stem if extension in SUFFIXES[1:] else name)
                if key.startswith(prefix) and key not in seen:
                    seen.add(key)
                    yield key
            if flat:
                return
            if parent == (self.path(folder) if folder else self.root) and start:
                folders[:] = [name for name in folders if name.startswith(start)]

    def _put(self, key: str, suffix: str, data: bytes, sync: bool) -> None:
        path = self.path(key)
        folder = os.path.dirname(path)
        # Named before it is made, so that it is found again whatever interrupts.
        temporary = os.path.join(folder, f".{os.urandom(8).hex()}.tmp")
        try:
            os.makedirs(folder, exist_ok=True)
            try:
                with open(temporary, "xb") as file:
                    file.write(data)
                    if sync:
                        file.flush()
                        os.fsync(file.fileno())
                os.replace(temporary, path + suffix)
            except BaseException:
                with contextlib.suppress(OSError):
                    os.unlink(temporary)
                raise
            for other in SUFFIXES:
                if other != suffix:
                    with contextlib.suppress(FileNotFoundError):
                        os.unlink(path + other)
        except OSError as error:
            raise self._unwritable(path, error) from error

    @staticmethod
    def _unwritable(path: str, error: OSError) -> ChunkWriteError:
        return ChunkWriteError(
            f"{path}: cannot be written: {error.strerror}", key=path, errno=error.errno
        )


def _read_at(descriptor: int, wanted: KeyRange, file_bytes: int) -> bytes:
    end = min(wanted.offset + wanted.size, file_bytes)
    parts = []
    offset = wanted.offset
    while offset < end:  # a single call reads at most 2 GiB
        part = os.pread(descriptor, end - offset, offset)
        if not part:
            break  # cut short meanwhile
        parts.append(part)
        offset += len(part)
    return parts[0] if len(parts) == 1 else b"".join(parts)


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
