# SPDX-License-Identifier: BSD-3-Clause
"""A box cut along the lines of the chunk grid into runs of chunks: what one process claims at a time."""

from __future__ import annotations

from dataclasses import dataclass

from cloudvolume_fast.locate.indexing import Bounds

_Triple = tuple[int, int, int]

RUN_BYTES = 1 << 20
"""Voxels of a run, unless a chunk is larger: worth the 30 us or so that handing out a run takes."""

_MOST_RUNS = 1 << 20


@dataclass(frozen=True, slots=True)
class ChunkRuns:
    """Runs of neighbouring chunks that together are a box; numbered with x fastest.

    Attributes
    ----------
    bounds : tuple of 6 int
        The box, which may reach outside of the volume.
    origin : tuple of 3 int
        A corner of the chunk grid.
    chunk_size : tuple of 3 int
    run : tuple of 3 int
        Chunks of a run along each axis.
    """

    bounds: Bounds
    origin: _Triple
    chunk_size: _Triple
    run: _Triple

    @classmethod
    def of(
        cls,
        bounds: Bounds,
        origin: _Triple,
        chunk_size: _Triple,
        voxel_bytes: int,
        *,
        fixed_run: _Triple | None = None,
    ) -> ChunkRuns:
        """Choose runs of about `RUN_BYTES`, along x first, so that each is as contiguous in memory as can be.

        Parameters
        ----------
        bounds : tuple of 6 int
            Not empty.
        origin, chunk_size : tuple of 3 int
        voxel_bytes : int
            Of all channels.
        fixed_run : tuple of 3 int, optional
            Chunks of a run, where something else decides it.
        """
        if fixed_run is not None:
            return cls(bounds, origin, chunk_size, fixed_run)
        target = RUN_BYTES
        while True:
            left = max(1, target // (voxel_bytes * chunk_size[0] * chunk_size[1] * chunk_size[2]))
            run = [1, 1, 1]
            whole = cls(bounds, origin, chunk_size, (1, 1, 1))
            for axis in range(3):
                low, high = whole._grid(axis)
                run[axis] = min(left, high - low)
                if run[axis] < high - low:
                    break
                left //= run[axis]
                if left <= 1:
                    break
            runs = cls(bounds, origin, chunk_size, (run[0], run[1], run[2]))
            if len(runs) <= _MOST_RUNS:
                return runs
            target *= 2

    def _grid(self, axis: int) -> tuple[int, int]:
        """Return the half-open range of chunks that the box touches, counted from the origin."""
        size, origin = self.chunk_size[axis], self.origin[axis]
        return (self.bounds[axis] - origin) // size, -((origin - self.bounds[axis + 3]) // size)

    def _counts(self) -> _Triple:
        counts = []
        for axis in range(3):
            low, high = self._grid(axis)
            counts.append(-(-(high - low) // self.run[axis]))
        return counts[0], counts[1], counts[2]

    def __len__(self) -> int:
        x, y, z = self._counts()
        return x * y * z

    def box(self, number: int) -> Bounds:
        """Return the part of the box that a run covers."""
        x, y, _ = self._counts()
        point = (number % x, number // x % y, number // (x * y))
        low, high = [], []
        for axis in range(3):
            first = self._grid(axis)[0] + point[axis] * self.run[axis]
            begin = self.origin[axis] + first * self.chunk_size[axis]
            end = begin + self.run[axis] * self.chunk_size[axis]
            low.append(max(begin, self.bounds[axis]))
            high.append(min(end, self.bounds[axis + 3]))
        return (low[0], low[1], low[2], high[0], high[1], high[2])

    def slices(self, number: int) -> tuple[slice, slice, slice]:
        """Return where a run lies in an array of the box."""
        box = self.box(number)
        low = self.bounds[:3]
        x, y, z = (slice(box[i] - low[i], box[i + 3] - low[i]) for i in range(3))
        return x, y, z

    def largest_shape(self) -> _Triple:
        """Return extents that no run exceeds."""
        x, y, z = (
            min(self.run[i] * self.chunk_size[i], self.bounds[i + 3] - self.bounds[i])
            for i in range(3)
        )
        return x, y, z
