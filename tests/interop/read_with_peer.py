# SPDX-License-Identifier: BSD-3-Clause
"""Reads layers with another package; run in a python that has it.

Arguments: the package, and a folder to save the voxels in, if they are wanted.  Standard input is a JSON list of
[path, mip]; standard output a JSON list of {shape, dtype, sha256} or {error}.
"""

from __future__ import annotations

import hashlib
import json
import sys
import warnings

import numpy as np


def with_cloud_volume(path: str, mip: int) -> np.ndarray:
    from cloudvolume import CloudVolume

    return np.asarray(CloudVolume(f"file://{path}", mip=mip, progress=False)[:])


def with_tensorstore(path: str, mip: int) -> np.ndarray:
    import tensorstore as ts

    store = ts.open(
        {
            "driver": "neuroglancer_precomputed",
            "kvstore": {"driver": "file", "path": f"{path}/"},
            "scale_index": mip,
        },
        open=True,
        read=True,
    ).result()
    return store.read().result()


def main() -> None:
    """Read what is asked for."""
    warnings.simplefilter("ignore")
    read = {"cloud-volume": with_cloud_volume, "tensorstore": with_tensorstore}[sys.argv[1]]
    found = []
    for number, (path, mip) in enumerate(json.load(sys.stdin)):
        try:
            image = read(path, mip)
            if len(sys.argv) > 2:
                np.save(f"{sys.argv[2]}/{number}.npy", image)
            digest = hashlib.sha256(image.tobytes(order="F")).hexdigest()
            found.append({"shape": list(image.shape), "dtype": image.dtype.name, "sha256": digest})
        except Exception as error:  # it is the result of this one layer
            found.append({"error": f"{type(error).__name__}: {error}"})
    sys.stdout.write("\n" + json.dumps(found))


if __name__ == "__main__":
    main()
