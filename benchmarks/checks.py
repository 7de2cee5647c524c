# SPDX-License-Identifier: BSD-3-Clause
"""What was read is what was written: every result is compared before it is timed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import datasets
import measure
import numpy as np
import peers
from numpy.typing import NDArray
from table import CV, OURS, Setup


class WrongVoxelsError(Exception):
    """What was read is not what was written."""


def require_equal(label: str, found: NDArray[Any], expected: NDArray[Any]) -> None:
    if found.shape != expected.shape:
        raise WrongVoxelsError(f"{label}: expected shape {expected.shape}, found {found.shape}")
    if not np.array_equal(found, expected):
        wrong = np.count_nonzero(found != expected)
        raise WrongVoxelsError(f"{label}: {wrong} of {expected.size} voxels are wrong")


def is_right(name: str, check: Callable[[], None]) -> bool:
    """Check a result; a peer's settings that give a wrong one are left out, ours end the run."""
    try:
        check()
    except WrongVoxelsError as error:
        if name == OURS:
            raise SystemExit(f"{error}; nothing was timed") from error
        print(f"left out: {error}", flush=True)
        return False
    return True


def decoded(setup: Setup, name: str) -> NDArray[Any]:
    """Return what every reader must find in a volume, shape (x, y, z).

    For jpeg these are the voxels as upstream decodes them, once they have proved to be close to those
    that were written: decoders that follow the standard's exact transform agree to the bit.
    """
    written = setup.data.voxels(name)
    if datasets.LAYERS[name].encoding != "jpeg":
        return written
    reader = peers.CLOUD_VOLUME.reading[0].open(setup.data.path(name), setup.threads, 0)
    found: NDArray[Any] = np.asfortranarray(reader.read(peers.WHOLE))[..., 0]
    _require_close(f"{CV}, {name}", found, written)
    return found


def rms_error(found: NDArray[Any], written: NDArray[Any]) -> float:
    """Return the root of the mean squared difference."""
    total = 0
    for z in range(0, written.shape[2], 64):
        difference = found[:, :, z : z + 64].astype(np.int16) - written[:, :, z : z + 64]
        total += int(np.sum(np.square(difference, dtype=np.int32), dtype=np.int64))
    return float(np.sqrt(total / written.size))


def _require_close(label: str, found: NDArray[Any], written: NDArray[Any]) -> None:
    """Let pass what a picture at quality 85 may lose: 30 dB of the peak signal remain."""
    error = rms_error(found, written) if found.shape == written.shape else float("inf")
    if error > 255 / 10 ** (30 / 20):
        raise WrongVoxelsError(f"{label}: expected an error below 8.1 grey values, found {error}")


def fastest(
    setup: Setup,
    name: str,
    work: Callable[[peers.Volume], Any],
    check: Callable[[str, Any], None],
    *,
    is_whole: bool = False,
    cache_bytes: int = 0,
) -> tuple[dict[str, Callable[[], Any]], dict[str, str]]:
    """Open the volume with every variant, check each result, keep each implementation's fastest."""
    entries: dict[str, Callable[[], Any]] = {}
    notes: dict[str, str] = {}
    for implementation, peer in setup.readers(name).items():
        best = float("inf")
        variants = [
            variant
            for variant in peer.reading
            if (is_whole or not variant.starts_processes)
            and (datasets.LAYERS[name].is_sharded or not variant.keeps_indexes)
        ]
        for variant in variants:
            volume = variant.open(setup.data.path(name), setup.threads, cache_bytes)

            def entry(volume: peers.Volume = volume) -> Any:
                return work(volume)

            label = f"{implementation} {variant.name}".strip()
            if not is_right(implementation, lambda label=label, entry=entry: check(label, entry())):
                continue
            if len(variants) > 1:
                seconds = min(measure.measure(entry).seconds for _ in range(2))
                if seconds >= best:
                    continue
                best = seconds
            entries[implementation], notes[implementation] = entry, variant.name
    return entries, notes
