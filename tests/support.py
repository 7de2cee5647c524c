# SPDX-License-Identifier: BSD-3-Clause
"""What several test files need: small layers on disk, other writers' bytes, and Python in a process of its own."""

from __future__ import annotations

import bz2
import gzip
import json
import lzma
import os
import struct
import subprocess
import sys
import zlib
from pathlib import Path
from typing import Any

import brotli
import numpy as np
import pytest
import zstandard

from cloudvolume_fast import CloudVolume

COMPRESS = {
    "": bytes,
    ".gz": gzip.compress,
    ".br": brotli.compress,
    ".zstd": zstandard.compress,
    ".xz": lzma.compress,
    ".bz2": bz2.compress,
}
"""Suffix to a compressor that is not the package's own."""

COMPRESS_NAMES = {
    "": False,
    ".gz": "gzip",
    ".br": "br",
    ".zstd": "zstd",
    ".xz": "xz",
    ".bz2": "bz2",
}
"""Suffix to the ``compress=`` argument that stands for it."""

KEY = "4_4_40"


def make_info(
    *,
    size: tuple[int, ...] = (16, 16, 16),
    chunk_size: tuple[int, ...] = (8, 8, 8),
    data_type: str = "uint32",
    encoding: str = "raw",
    num_channels: int = 1,
    voxel_offset: tuple[int, ...] = (0, 0, 0),
) -> dict[str, Any]:
    return CloudVolume.create_new_info(
        num_channels,
        "segmentation",
        data_type,
        encoding,
        (4, 4, 40),
        voxel_offset,
        size,
        chunk_size=chunk_size,
        compressed_segmentation_block_size=(4, 4, 4),
    )


def make_layer(folder: Path, **kwargs: Any) -> str:
    """Write an info without any chunk; return the cloud path."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "info").write_text(json.dumps(make_info(**kwargs)))
    return f"file://{folder}"


def make_voxels(size: tuple[int, ...], data_type: str = "uint32", seed: int = 1) -> np.ndarray:
    """Small labels, in runs."""
    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, 100, [-(-extent // 3) for extent in size])
    for axis in range(3):
        coarse = coarse.repeat(3, axis=axis)
    return np.asfortranarray(
        coarse[tuple(slice(0, extent) for extent in size)].astype(data_type)[..., None]
    )


def write_layer(folder: Path, *, compress: Any = None, **kwargs: Any) -> tuple[str, np.ndarray]:
    """Write a whole small layer; return its cloud path and its voxels."""
    path = make_layer(folder, **kwargs)
    vol = CloudVolume(path, compress=compress)
    voxels = make_voxels(vol.shape[:3], vol.data_type)
    voxels = np.asfortranarray(np.broadcast_to(voxels, vol.shape))
    vol[:] = voxels
    return path, voxels


def files_in(folder: Path) -> list[str]:
    """Names of all files below a folder, hidden ones included."""
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if not path.is_dir())


def png_chunk(kind: bytes, content: bytes) -> bytes:
    """Return a chunk of a PNG file."""
    checksum = struct.pack(">I", zlib.crc32(kind + content))
    return struct.pack(">I", len(content)) + kind + content + checksum


def environment(**members: str) -> dict[str, str]:
    """Return this process's environment with some members more; folders of ``PYTHONPATH`` come before what is there.

    What is there may be how the package is found.
    """
    path = [members.get("PYTHONPATH"), os.environ.get("PYTHONPATH")]
    joined = {"PYTHONPATH": os.pathsep.join(filter(None, path))} if "PYTHONPATH" in members else {}
    return {**os.environ, **members, **joined}


def start_python(
    script: str, *args: object, prefix: tuple[str, ...] = (), **env: str
) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [*prefix, sys.executable, "-W", "error", "-c", script, *map(str, args)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment(**env),
    )


def run_python(
    script: str,
    *args: object,
    prefix: tuple[str, ...] = (),
    timeout_seconds: float = 60,
    **env: str,
) -> Any:
    """Run a script in a fresh interpreter; return what it printed as JSON on its last line."""
    process = start_python(script, *args, prefix=prefix, **env)
    try:
        out, err = process.communicate(timeout=timeout_seconds)
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()
        raise
    assert process.returncode == 0, f"exit code {process.returncode}\n{out}\n{err}"
    return json.loads(out.splitlines()[-1])


def mount_prefix(mount: str) -> tuple[str, ...]:
    """Return a command prefix that runs the rest in a mount namespace of its own after a mount command.

    Skips the test where the system does not allow that to users.
    """
    prefix = ("unshare", "-rm", "sh", "-c", f'{mount} && exec "$@"', "sh")
    try:
        subprocess.run([*prefix, "true"], check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError) as error:
        pytest.skip(f"needs a mount namespace (unshare -rm): {error}")
    return prefix
