# SPDX-License-Identifier: BSD-3-Clause
"""Worker processes: started as ``python -m cloudvolume_fast.worker``, warm between calls, gone when idle.

They are never forked and never imported from the caller's program, so scripts without ``if __name__ == "__main__"``,
notebooks and interactive sessions can use them, and nothing of the process that asks for them changes.
"""

from __future__ import annotations

import atexit
import contextlib
import os
import pickle
import select
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

from cloudvolume_fast.errors import WorkerError

IDLE_SECONDS = 60.0
_POLL_MS = 50
_STARTS = 3  # that may fail in a row by the program's own doing
_KILLED_STARTS = 100  # and by a signal from outside
_FAREWELL_SECONDS = 2.0
_HEADER = struct.Struct("<Q")


def send(channel: socket.socket, message: Any) -> None:  # Any: whatever pickles
    """Send a message over a pipe between processes of one user."""
    data = pickle.dumps(message, protocol=pickle.HIGHEST_PROTOCOL)
    channel.sendall(_HEADER.pack(len(data)) + data)


def receive(channel: socket.socket) -> Any:  # Any: whatever was sent
    """Receive a message.

    Raises
    ------
    EOFError
        The other side has closed, or ended.
    """
    return pickle.loads(_receive_exactly(channel, *_HEADER.unpack(_receive_exactly(channel, 8))))


def _receive_exactly(channel: socket.socket, size: int) -> bytes:
    parts = bytearray()
    while len(parts) < size:
        part = channel.recv(min(size - len(parts), 1 << 20))
        if not part:
            raise EOFError("the other process has ended")
        parts += part
    return bytes(parts)


def idle_seconds() -> float:
    """Return how long a worker waits for work: ``CVFAST_WORKER_IDLE_SECONDS``, else a minute."""
    text = os.environ.get("CVFAST_WORKER_IDLE_SECONDS", "")
    try:
        return max(0.0, float(text)) if text else IDLE_SECONDS
    except ValueError:
        return IDLE_SECONDS


def _is_readable(descriptor: int, timeout_ms: int) -> bool:
    # Not select(), which takes descriptors below 1024 only.
    poller = select.poll()
    poller.register(descriptor, select.POLLIN)
    return bool(poller.poll(timeout_ms))


class Worker:
    """One worker process and the pipe to it."""

    def __init__(self) -> None:
        ours, theirs = socket.socketpair()
        with theirs:
            try:
                self.process = subprocess.Popen(
                    self._command(theirs.fileno()),
                    stdin=subprocess.DEVNULL,
                    pass_fds=[theirs.fileno()],
                    env=self._environment(),
                )
            except OSError as error:
                ours.close()
                raise WorkerError(
                    f"{sys.executable}: cannot start a worker: {error.strerror}", key=sys.executable
                ) from error
        self.channel = ours
        self.is_ready = False
        self.is_busy = False
        self._lock = (
            threading.Lock()
        )  # of the pidfd, which one thread may ask while another closes it
        try:
            self.pidfd = os.pidfd_open(self.process.pid)
        except (AttributeError, OSError):  # not Linux: the pipe's end tells
            self.pidfd = -1
        # Reaps the process when it leaves, whoever notices first, so that no zombie stays.
        threading.Thread(target=self.process.wait, daemon=True).start()

    @staticmethod
    def _command(descriptor: int) -> list[str]:
        # -P: a module of the working folder must not hide one of the library's.
        return [
            sys.executable, "-P", "-m", "cloudvolume_fast.worker",
            str(descriptor), str(os.getpid()), str(idle_seconds()),
        ]  # fmt: skip

    @staticmethod
    def _environment() -> dict[str, str]:
        """Return an environment in which modules are found where this process finds them."""
        return {**os.environ, "PYTHONPATH": os.pathsep.join(p for p in sys.path if p)}

    def has_spoken(self, timeout_ms: int) -> bool:
        """Wait for a message; also true at the end of the pipe."""
        return _is_readable(self.channel.fileno(), timeout_ms)

    def is_alive(self) -> bool:
        """Whether the process still runs."""
        with self._lock:
            if self.pidfd >= 0:
                return not _is_readable(self.pidfd, 0)
        return self.process.poll() is None

    def close(self) -> None:
        """Close the pipe, upon which the process leaves; idempotent."""
        self.channel.close()
        with self._lock:
            if self.pidfd >= 0:
                os.close(self.pidfd)
                self.pidfd = -1

    def forget(self) -> None:
        """In a forked child: let go of the parent's worker, whatever the parent's threads were about to do."""
        self._lock = threading.Lock()
        self.process.returncode = 0  # not this process's child
        self.close()

    def kill(self) -> None:
        """End the process at once."""
        self.process.kill()
        self.close()


class WorkerPool:
    """The idle workers of this process; calls of several threads take different ones."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._idle: list[Worker] = []
        self._all: set[Worker] = set()

    def take(self, count: int) -> list[Worker]:
        """Return so many workers, warm ones first; new ones may still be starting."""
        taken: list[Worker] = []
        with self._lock:
            while self._idle and len(taken) < count:
                worker = self._idle.pop()
                if worker.is_alive():
                    taken.append(worker)
                else:
                    self._all.discard(worker)
                    worker.close()
        while len(taken) < count:
            taken.append(self.start())
        return taken

    def start(self) -> Worker:
        """Start a worker."""
        worker = Worker()
        with self._lock:
            self._all.add(worker)
        return worker

    def give(self, worker: Worker) -> None:
        """Put a worker back that has nothing to do."""
        with self._lock:
            self._idle.append(worker)

    def drop(self, worker: Worker) -> None:
        """Forget a worker that has ended."""
        with self._lock:
            self._all.discard(worker)
        worker.close()

    def close(self) -> None:
        """End all workers and wait for them."""
        with self._lock:
            workers, self._all, self._idle = self._all, set(), []
        for worker in workers:
            worker.close()
        until = time.monotonic() + _FAREWELL_SECONDS
        for worker in workers:
            while worker.process.returncode is None and time.monotonic() < until:
                time.sleep(0.002)
                worker.process.poll()
            if worker.process.returncode is None:
                worker.process.kill()

    def forget(self) -> None:
        """In a forked child: let go of the parent's workers without a word to them."""
        workers, self._all, self._idle = self._all, set(), []
        self._lock = threading.Lock()
        for worker in workers:
            worker.forget()

    @property
    def pids(self) -> list[int]:
        """Processes that run now."""
        with self._lock:
            return [worker.process.pid for worker in self._all if worker.is_alive()]


_pool: WorkerPool | None = None
_pool_lock = threading.Lock()


def pool() -> WorkerPool:
    """Return this process's pool."""
    global _pool  # noqa: PLW0603  # one per process, made when first needed
    with _pool_lock:
        if _pool is None:
            _pool = WorkerPool()
            atexit.register(_pool.close)
            os.register_at_fork(after_in_child=_forget)
        return _pool


def _forget() -> None:
    global _pool_lock  # noqa: PLW0603  # another thread of the parent may have held it
    _pool_lock = threading.Lock()
    if _pool is not None:
        _pool.forget()


def run_workers(
    count: int,
    job: Any,  # what the worker module takes
    ledger: Any,  # a _runtime.ChunkLedger
    *,
    on_poll: Callable[[], None],
    help_out: Callable[[], bool] | None = None,
    poll_ms: int = _POLL_MS,
) -> None:
    """Let workers do a job until it is complete or has failed.

    Parameters
    ----------
    count : int
        Processes.
    job : object
        What each is told.
    ledger : ChunkLedger
        Of the job.
    on_poll : callable
        Called every `poll_ms` and whenever a worker says something; may raise.
    help_out : callable, optional
        Does one item here; called while no worker has started yet.  Returns False where there was none.
    poll_ms : int
        Time between two calls of `on_poll` while nobody says anything.

    Raises
    ------
    WorkerError
        Workers do not start.
    """
    crew = _Crew(count, job, ledger)
    try:
        with crew.working():
            while not crew.is_finished():
                is_helping = help_out is not None and not crew.has_started() and help_out()
                crew.attend(0 if is_helping else poll_ms)
                on_poll()
    finally:
        crew.dismiss()
    on_poll()


class _Crew:
    """The workers of one call."""

    def __init__(self, count: int, job: Any, ledger: Any) -> None:
        self._pool = pool()
        self._job = job
        self._ledger = ledger
        self._failed_starts = 0
        self._workers = self._pool.take(count)
        for worker in self._workers:
            if worker.is_ready:
                self._employ(worker)

    @contextlib.contextmanager
    def working(self) -> Iterator[None]:
        try:
            yield
        except BaseException:
            self._ledger.finish("cancelled")
            raise

    def has_started(self) -> bool:
        return any(worker.is_ready for worker in self._workers)

    def is_finished(self) -> bool:
        if self._ledger.state == "running" and not self._ledger.is_complete:
            return False
        return not any(worker.is_busy for worker in self._workers)

    def _employ(self, worker: Worker) -> None:
        try:
            send(worker.channel, self._job)
            worker.is_busy = True
        except OSError:  # it has just ended, which attend() notices
            worker.is_busy = False

    def attend(self, timeout_ms: int) -> None:
        """Hear what workers say, and replace those that have ended."""
        poller = select.poll()
        by_descriptor: dict[int, Worker] = {}
        for worker in self._workers:
            for descriptor in (worker.channel.fileno(), worker.pidfd):
                if descriptor >= 0:
                    poller.register(descriptor, select.POLLIN)
                    by_descriptor[descriptor] = worker
        noticed = {by_descriptor[descriptor] for descriptor, _ in poller.poll(timeout_ms)}
        for worker in noticed:
            if not self._hear(worker):
                self._replace(worker)

    def _hear(self, worker: Worker) -> bool:
        """Take a worker's message, if there is one; False where it has ended."""
        if worker.has_spoken(0):
            try:
                message = receive(worker.channel)
            except (EOFError, OSError):
                return False
            if message == "ready":
                worker.is_ready = True
                self._employ(worker)
            else:
                worker.is_busy = False
                self._failed_starts = 0
            return True
        return worker.is_alive()

    def _replace(self, worker: Worker) -> None:
        worker.kill()
        with contextlib.suppress(ChildProcessError):
            worker.process.wait()
        self._pool.drop(worker)
        self._workers.remove(worker)
        # One that had claimed something is counted there, and fails it in the end.
        if self._ledger.requeue_ended():
            self._failed_starts = 0
        elif not worker.is_ready or worker.is_busy:  # it ended before it began
            code = worker.process.returncode
            self._failed_starts += 1
            if self._failed_starts >= (_KILLED_STARTS if code == -signal.SIGKILL else _STARTS):
                what = "begin with its job" if worker.is_ready else "start"
                raise WorkerError(
                    f"{sys.executable} -m cloudvolume_fast.worker: expected it to {what}, found exit status {code}",
                    key=sys.executable,
                    found=code,
                )
        if self._ledger.state == "running" and not self._ledger.is_complete:
            self._workers.append(self._pool.start())

    def dismiss(self) -> None:
        """Return idle workers; end those that do not come to rest in time."""
        until = time.monotonic() + 0.1
        while any(w.is_busy for w in self._workers) and time.monotonic() < until:
            for worker in list(self._workers):
                if worker.is_busy and worker.has_spoken(5):
                    try:
                        receive(worker.channel)
                        worker.is_busy = False
                    except (EOFError, OSError):
                        self._workers.remove(worker)
                        self._pool.drop(worker)
        for worker in self._workers:
            if worker.is_busy:
                worker.kill()
                self._pool.drop(worker)
            else:
                self._pool.give(worker)
        self._workers = []
