# SPDX-License-Identifier: BSD-3-Clause
"""All ranks of a node read one volume into one piece of shared memory, each chunk once.

    mpirun -n 8 python docs/examples/mpi_shared_volume.py file:///data/image

Ranks of a node call `download_to_shared_memory` with one name and ``cooperate=True``: the first makes the memory, all
of them read, and the call returns in each when everything is there.  A rank that dies meanwhile is replaced by the
others.  The name stays until one rank unlinks it; arrays keep their memory.
"""

from __future__ import annotations

import os
import sys

import numpy as np
from mpi4py import MPI

from cloudvolume_fast import CloudVolume


def main(cloudpath: str) -> None:
    world = MPI.COMM_WORLD
    node = world.Split_type(MPI.COMM_TYPE_SHARED)
    # One name per node and job step.
    name = node.bcast(f"volume-{os.getpid()}" if node.rank == 0 else None)

    volume = CloudVolume(cloudpath, progress=node.rank == 0)
    voxels = volume.download_to_shared_memory(np.s_[:], location=name, cooperate=True)

    node.Barrier()  # all have it mapped
    if node.rank == 0:
        volume.shared_memory_id = name
        volume.unlink_shared_memory()

    # Each rank works on layers of its own, of an array that is in memory once.
    mine = voxels[:, :, node.rank :: node.size]
    total = node.reduce(int(mine.sum(dtype=np.uint64)))
    if node.rank == 0:
        print(f"{node.size} ranks, {voxels.nbytes} bytes once, sum of all voxels {total}")


if __name__ == "__main__":
    main(sys.argv[1])
