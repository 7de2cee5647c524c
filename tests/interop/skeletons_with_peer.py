# SPDX-License-Identifier: BSD-3-Clause
"""Works on skeletons with cloud-volume; run by `test_skeleton_interop.py` in a python that has it.

Standard input is a JSON object of keyword arguments; a line of standard output, after RESULT, is what the function that
the second argument names returns.
"""

from __future__ import annotations

import json
import sys
from typing import Any

MEMBERS = ("vertices", "edges", "radius", "vertex_types")


def as_lists(skeleton: Any) -> dict[str, Any]:
    return {name: getattr(skeleton, name).tolist() for name in MEMBERS}


def read(path: str, labels: list[int]) -> dict[str, Any]:
    from cloudvolume import CloudVolume

    vol = CloudVolume(path, progress=False)
    return {str(label): as_lists(vol.skeleton.get(label)) for label in labels}


def write(path: str, labels: list[int], transform: list[float], sharded: bool) -> dict[str, Any]:
    import numpy as np
    from cloudvolume import CloudVolume, Skeleton

    info = CloudVolume.create_new_info(
        1,
        "segmentation",
        "uint64",
        "raw",
        [4, 4, 40],
        [10, 0, 0],
        [100, 64, 16],
        skeletons="skeletons_mip_0",
    )
    vol = CloudVolume(path, info=info, progress=False)
    vol.commit_info()
    vol.skeleton.meta.info["transform"] = transform
    if sharded:
        vol.skeleton.to_sharded(1000)
    vol.skeleton.meta.commit_info()
    rng = np.random.default_rng(1)
    made = []
    for label in labels:
        n = int(rng.integers(2, 50))
        edges = np.stack([np.arange(n - 1), np.arange(1, n)], axis=1).astype(np.uint32)
        vertices = (rng.random((n, 3)) * 1000).astype(np.float32)
        types = rng.integers(0, 5, n).astype(np.uint8)
        made.append(Skeleton(vertices, edges, rng.random(n).astype(np.float32), types, segid=label))
    vol.skeleton.upload(made)
    return read(path, labels)


def swc(text: str) -> dict[str, Any]:
    from cloudvolume import Skeleton

    skeleton = Skeleton.from_swc(text)
    return {"skeleton": as_lists(skeleton), "text": skeleton.to_swc()}


def query(path: str, database: str | None, box: list[int]) -> dict[str, Any]:
    from cloudvolume import Bbox, CloudVolume

    index = CloudVolume(path, progress=False, spatial_index_db=database).skeleton.spatial_index
    locations = index.file_locations_per_label()
    return {
        "box": sorted(map(int, index.query(Bbox(box[:3], box[3:])))),
        "all": sorted(map(int, index.query(index.physical_bounds))),
        "locations": {str(k): sorted(v) for k, v in locations.items()},
        "names": list(index.index_file_paths_for_bbox(index.physical_bounds)),
    }


def to_sql(path: str, database: str) -> None:
    from cloudvolume import CloudVolume

    CloudVolume(path, progress=False).skeleton.spatial_index.to_sql(database)


if __name__ == "__main__":
    result = globals()[sys.argv[1]](**json.load(sys.stdin))
    sys.stdout.write("\nRESULT " + json.dumps(result) + "\n")
