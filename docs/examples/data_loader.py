# SPDX-License-Identifier: BSD-3-Clause
"""Random cutouts of a volume for training, read by PyTorch's DataLoader with forked workers.

    python docs/examples/data_loader.py file:///data/image

The volume is opened once, before the workers are forked: threads, connections and caches are made anew in each.
"""

from __future__ import annotations

import sys

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset

from cloudvolume_fast import CloudVolume


class RandomCutouts(Dataset):  # type: ignore[misc,unused-ignore]  # where torch is not installed
    """Cubes of a volume at random places; the same index gives the same cube."""

    def __init__(self, cloudpath: str, cutout: int, count: int) -> None:
        self.volume = CloudVolume(cloudpath, progress=False)
        self.cutout = cutout
        self.count = count

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: int) -> dict[str, torch.Tensor]:
        bounds = self.volume.bounds
        low = np.array(bounds.minpt)
        high = np.maximum(np.array(bounds.maxpt) - self.cutout, low)
        x, y, z = np.random.default_rng(index).integers(low, high + 1).tolist()
        n = self.cutout
        voxels = np.asarray(self.volume[x : x + n, y : y + n, z : z + n])[..., 0]
        if voxels.dtype.kind == "u" and voxels.dtype.itemsize > 1:  # torch has signed labels only
            voxels = voxels.view(voxels.dtype.str.replace("u", "i"))
        return {"corner": torch.tensor([x, y, z]), "voxels": torch.from_numpy(voxels.copy())}


def make_loader(cloudpath: str, *, cutout: int, count: int, workers: int) -> DataLoader:
    return DataLoader(
        RandomCutouts(cloudpath, cutout, count),
        batch_size=8,
        num_workers=workers,
        multiprocessing_context="fork",
    )


if __name__ == "__main__":
    for batch in make_loader(sys.argv[1], cutout=64, count=256, workers=4):
        print(tuple(batch["voxels"].shape), batch["voxels"].float().mean().item())
