# SPDX-License-Identifier: BSD-3-Clause
"""``python -m cloudvolume_fast.worker``: takes part in shared jobs of the process that started it, and leaves with it.

Arguments: the descriptor of a socket, the starter's pid, and the seconds to wait for a next job.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import socket
import sys
import threading
from collections import OrderedDict

from cloudvolume_fast import _runtime
from cloudvolume_fast.deliver.shared_job import SharedJob, describe_error, take_part
from cloudvolume_fast.deliver.worker_pool import receive, send
from cloudvolume_fast.sources.precomputed.image_access import ImageAccess
from cloudvolume_fast.sources.precomputed.image_workers import RenewingItems, unpickled

__all__ = ["main"]

_VOLUMES = 8  # open ones that are kept for the next job


def main(arguments: list[str]) -> int:
    """Serve the process that started this one.

    Parameters
    ----------
    arguments : list of str
        Descriptor, pid, seconds.

    Returns
    -------
    int
        Exit status.
    """
    # Ctrl-C reaches all processes of a terminal; it is the starter's to handle.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with socket.socket(fileno=int(arguments[0])) as channel:
        channel.set_inheritable(False)
        _leave_with(int(arguments[1]), channel)
        idle_ms = int(float(arguments[2]) * 1000)
        volumes: OrderedDict[bytes, ImageAccess] = OrderedDict()
        waiting = select.poll()
        waiting.register(channel, select.POLLIN)
        with contextlib.suppress(EOFError, OSError):  # the other side has closed
            send(channel, "ready")
            while waiting.poll(idle_ms):
                _do(receive(channel), volumes)
                send(channel, "done")
    return 0


def _leave_with(pid: int, channel: socket.socket) -> None:
    """End this process when its starter ends, in whatever way, also in the middle of a job."""
    poller = select.poll()
    poller.register(channel, 0)  # errors and the other side's end are always told
    try:
        poller.register(os.pidfd_open(pid), select.POLLIN)
    except ProcessLookupError:
        os._exit(0)
    except (AttributeError, OSError):  # not Linux
        pass
    if os.getppid() != pid:
        os._exit(0)

    def watch() -> None:
        poller.poll()
        os._exit(0)

    threading.Thread(target=watch, daemon=True).start()


def _do(job: SharedJob, volumes: OrderedDict[bytes, ImageAccess]) -> None:
    try:
        ledger = _runtime.ChunkLedger.open(job.ledger, job.digest())
        participant = ledger.join()
    except (OSError, ValueError):  # over already
        return
    try:
        source = _open(job.source, volumes)
        segment = _runtime.Segment.open(job.data, True)
        scale = source.image_scale(job.mip)
        items = RenewingItems(source, job, scale, segment, job.options.threads)
    except Exception as error:  # the starter raises it
        ledger.fail(participant, 0, describe_error(error))
    else:
        take_part(ledger, items, participant)
    ledger.leave(participant)


def _open(pickled: bytes, volumes: OrderedDict[bytes, ImageAccess]) -> ImageAccess:
    source = volumes.get(pickled)
    if source is None:
        source = volumes[pickled] = unpickled(pickled)
        if len(volumes) > _VOLUMES:
            volumes.popitem(last=False)
    volumes.move_to_end(pickled)
    return source


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
