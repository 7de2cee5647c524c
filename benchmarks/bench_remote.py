# SPDX-License-Identifier: BSD-3-Clause
"""Volumes behind a web server for `bench.py`: nginx on loopback, at once or as far away as a delay makes it.

Everyone runs with default settings but for threads: how many requests are under way is each one's own affair.  The
server and the delay are processes of their own, on the same cores as the readers.
"""

from __future__ import annotations

import contextlib
import importlib
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

DELAY_SECONDS = 0.05
BOX = (slice(100, 164), slice(100, 164), slice(100, 164))

Read = Callable[[], NDArray[Any]]

MEMORY_LIMIT_BYTES = 256 << 20
"""What a read may take above its output, whatever the volume's size."""
MEMORY_CODE = """
import sys
sys.path.insert(0, {here!r})
import bench_remote, measure, peers
peers.limit_threads({threads})
# Modules and pools that come with the first read are not what a read needs.
bench_remote.readers({url!r}, ({name!r},), {threads}, bench_remote.BOX)[{name!r}]()
read = bench_remote.readers({url!r}, ({name!r},), {threads}, peers.WHOLE)[{name!r}]
peak, result = measure.peak_above_start(read)
print(peak - result.nbytes)
"""


def _servers() -> Any:  # Any: the modules nginx and latency
    tests = str(Path(__file__).resolve().parent.parent / "tests")
    if tests not in sys.path:
        sys.path.insert(0, tests)
    return importlib.import_module("servers.nginx"), importlib.import_module("servers.latency")


@contextlib.contextmanager
def served(layer: Path, delay_seconds: float = 0) -> Iterator[str]:
    """Serve a volume; give its URL."""
    nginx, latency = _servers()
    prefix = Path(tempfile.mkdtemp(prefix="bench-nginx-"))
    try:
        with contextlib.ExitStack() as stack:
            # As Debian's package serves: a process for each processor, and sendfile.
            server = stack.enter_context(nginx.Nginx(prefix / "prefix", workers="auto"))
            (server.root / layer.name).symlink_to(layer, target_is_directory=True)
            url = server.url
            if delay_seconds:
                url = stack.enter_context(latency.LatencyProxy(url, delay_seconds)).url
            yield f"{url}/{layer.name}"
    finally:
        shutil.rmtree(prefix)


def _open_like_upstream(module: str, url: str, **options: Any) -> Any:
    return importlib.import_module(module).CloudVolume(url, mip=0, progress=False, **options)


def _open_tensorstore(url: str, threads: int, index_bytes: int) -> Any:
    import tensorstore as ts

    context = ts.Context(
        {
            "data_copy_concurrency": {"limit": threads},
            "cache_pool": {"total_bytes_limit": index_bytes},
        }
    )
    base, _, name = url.rpartition("/")
    return ts.open(
        {
            "driver": "neuroglancer_precomputed",
            "kvstore": {"driver": "http", "base_url": base, "path": f"/{name}/"},
            "scale_index": 0,
        },
        context=context,
        recheck_cached_data=False if index_bytes else None,
        open=True,
        read=True,
    ).result()


def _read_tensorstore(store: Any, box: tuple[slice, ...]) -> NDArray[Any]:
    import tensorstore as ts

    view = store[box]
    out = np.empty(view.shape, view.dtype.numpy_dtype, order="F")
    ts.array(out).write(view.translate_to[0]).result()
    return out


def readers(
    url: str, names: tuple[str, ...], threads: int, box: tuple[slice, ...]
) -> dict[str, Read]:
    """Return how each reads a box of a volume that it has opened before."""
    ours = _open_like_upstream("cloudvolume_fast", url, parallel=threads)
    theirs = _open_like_upstream("cloudvolume", url, parallel=1)
    out: dict[str, Read] = {
        "ours": lambda: np.asarray(ours[box]),
        "cloud-volume": lambda: np.asarray(theirs[box]),
    }
    if "tensorstore" in names:
        store = _open_tensorstore(url, threads, 1 << 17)
        out["tensorstore"] = lambda: _read_tensorstore(store, box)
    return {name: read for name, read in out.items() if name in names}


def openers(
    url: str, names: tuple[str, ...], threads: int, box: tuple[slice, ...]
) -> dict[str, Read]:
    """Return how each opens a volume, of which it knows nothing, and reads a box."""
    out: dict[str, Read] = {
        "ours": lambda: np.asarray(
            _open_like_upstream("cloudvolume_fast", url, parallel=threads)[box]
        ),
        "cloud-volume": lambda: np.asarray(
            _open_like_upstream("cloudvolume", url, parallel=1)[box]
        ),
        "tensorstore": lambda: _read_tensorstore(_open_tensorstore(url, threads, 1 << 17), box),
    }
    return {name: read for name, read in out.items() if name in names}
