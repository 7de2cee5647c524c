# SPDX-License-Identifier: BSD-3-Clause
"""Run by a python that has the peers: writes sharded layers with them, or reads layers and prints digests.

    shard_sweep_peer.py write tensorstore|cloud-volume CASES.json
    shard_sweep_peer.py read CASES.json

A case has a path, a seed, data_type, and the scale as the info has it.  Voxels follow from the seed, so that both sides
make them.
"""

from __future__ import annotations

import hashlib
import json
import sys
from pathlib import Path

import numpy as np


def voxels(case):
    """The voxels of a case, shape (x, y, z)."""
    rng = np.random.default_rng(case["seed"])
    return rng.integers(0, 5, case["scale"]["size"], dtype=np.uint8).astype(case["data_type"])


def layer_type(case):
    return "image" if case["data_type"] == "uint8" else "segmentation"


def write_tensorstore(case):
    import tensorstore as ts

    volume = ts.open(
        {
            "driver": "neuroglancer_precomputed",
            "kvstore": Path(case["path"]).as_uri() + "/",
            "create": True,
            "multiscale_metadata": {
                "data_type": case["data_type"],
                "num_channels": 1,
                "type": layer_type(case),
            },
            "scale_metadata": {
                name: value for name, value in case["scale"].items() if name != "chunk_sizes"
            }
            | {"chunk_size": case["scale"]["chunk_sizes"][0]},
        }
    ).result()
    volume[..., 0] = voxels(case)


def write_cloud_volume(case):
    from cloudvolume import CloudVolume

    info = {
        "@type": "neuroglancer_multiscale_volume",
        "data_type": case["data_type"],
        "num_channels": 1,
        "type": layer_type(case),
        "scales": [case["scale"]],
    }
    volume = CloudVolume(Path(case["path"]).as_uri(), info=info, progress=False)
    volume.commit_info()
    data = voxels(case)[..., np.newaxis]
    # It writes a shard at a time, and loses what lies beside a box in the same shard.
    step = volume.image.shard_shape(0)
    offset = case["scale"]["voxel_offset"]
    size = data.shape
    for x in range(0, size[0], int(step[0])):
        for y in range(0, size[1], int(step[1])):
            for z in range(0, size[2], int(step[2])):
                part = tuple(
                    slice(low, min(low + int(extent), end))
                    for low, extent, end in zip((x, y, z), step, size, strict=False)
                )
                where = tuple(
                    slice(p.start + o, p.stop + o) for p, o in zip(part, offset, strict=True)
                )
                volume[where] = np.asfortranarray(data[part])


def digest(array):
    array = np.asarray(array)
    return hashlib.sha256(
        np.ascontiguousarray(array.reshape(array.shape[:3])).tobytes()
    ).hexdigest()


def read(case):
    import tensorstore as ts
    from cloudvolume import CloudVolume

    out = {}
    try:
        volume = ts.open(
            {"driver": "neuroglancer_precomputed", "kvstore": Path(case["path"]).as_uri() + "/"}
        ).result()
        out["tensorstore"] = digest(volume[..., 0].read().result())
    except Exception as error:  # what a peer cannot read is a cell of the report
        out["tensorstore"] = f"error: {error}"[:300]
    try:
        volume = CloudVolume(Path(case["path"]).as_uri(), progress=False)
        out["cloud-volume"] = digest(volume[:, :, :])
    except Exception as error:
        out["cloud-volume"] = f"error: {error}"[:300]
    return out


if __name__ == "__main__":
    action, *rest = sys.argv[1:]
    cases = json.loads(Path(rest[-1]).read_text())
    if action == "write":
        for case in cases:
            Path(case["path"]).mkdir(parents=True)
            (write_tensorstore if rest[0] == "tensorstore" else write_cloud_volume)(case)
    else:
        json.dump([read(case) for case in cases], sys.stdout)
