# SPDX-License-Identifier: BSD-3-Clause
"""Writes the golden skeletons with kimimaro, igneous and cloud-volume.

How to run, with a python in which these are installed (``pip install cloud-volume==12.15.2 kimimaro igneous-pipeline``)
and from which this package's ``demo_data`` can be imported without its extensions::

    python tests/golden/make_golden_skeletons.py

It replaces ``tests/golden/skeletons/*.zip`` and ``MANIFEST_skeletons.json``.  A crop of the demonstration's
segmentation is skeletonized with a spatial index, and the skeletons are stored as files and in shards.  Each archive
holds the layer without its voxels, and ``expected.npz`` what cloud-volume reads from it.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import importlib.util
import io
import json
import sys
import tempfile
import zipfile
from pathlib import Path
from typing import Any

import numpy as np

HERE = Path(__file__).parent
OUT = HERE / "skeletons"
MANIFEST = HERE / "MANIFEST_skeletons.json"
STAMP = (2020, 1, 1, 0, 0, 0)  # so that the archive's bytes depend on its content alone
SHAPE = (96, 80, 48)
OFFSET = (10, -20, 30)
RESOLUTION = (16, 16, 40)
CELL = (48, 80, 48)  # voxels of a task, and of a cell of the spatial index
PACKAGES = ("cloud-volume", "kimimaro", "igneous-pipeline", "osteoid")


def make_labels() -> np.ndarray:
    """A crop of the demonstration's segmentation, the labels of which are as large as labels get."""
    source = HERE.parents[1] / "cloudvolume_fast" / "demo_data.py"
    spec = importlib.util.spec_from_file_location("demo_data", source)
    module = importlib.util.module_from_spec(spec)
    sys.modules["demo_data"] = module
    spec.loader.exec_module(module)
    labels = module.make_tissue(SHAPE, seed=5).labels
    counts = dict(zip(*np.unique(labels, return_counts=True), strict=True))
    largest = max((label for label in counts if label), key=lambda label: counts[label])
    return np.asfortranarray(np.where(labels == largest, np.uint64(2**64 - 2), labels))


def make_layer(path: str, labels: np.ndarray) -> None:
    from cloudvolume import CloudVolume

    info = CloudVolume.create_new_info(
        1,
        "segmentation",
        "uint64",
        "raw",
        RESOLUTION,
        OFFSET,
        SHAPE,
        chunk_size=(48, 40, 48),
        skeletons="skeletons_mip_0",
    )
    vol = CloudVolume(path, info=info, progress=False)
    vol.commit_info()
    vol[:, :, :] = labels


def skeletonize(path: str, *, sharded: bool) -> None:
    import igneous.task_creation as tc

    tasks = tc.create_skeletonizing_tasks(
        path,
        mip=0,
        shape=CELL,
        teasar_params={"scale": 2, "const": 50},
        dust_threshold=3000,
        spatial_index=True,
        sharded=sharded,
        cross_sectional_area=not sharded,
    )
    for task in tasks:
        task.execute()
    if sharded:
        merge = tc.create_sharded_skeleton_merge_tasks(
            path, dust_threshold=100, tick_threshold=50, min_shards=2, max_cable_length=None
        )
    else:
        merge = tc.create_unsharded_skeleton_merge_tasks(
            path, dust_threshold=100, tick_threshold=50
        )
    for task in merge:
        task.execute()


def expected(path: str) -> dict[str, Any]:
    from cloudvolume import CloudVolume

    vol = CloudVolume(path, progress=False)
    index = vol.skeleton.spatial_index
    indexed = sorted(index.query(index.physical_bounds))
    out: dict[str, Any] = {"indexed": np.array(indexed, np.uint64)}
    box = index.physical_bounds.clone()
    box.maxpt = box.minpt + (box.maxpt - box.minpt) // 3
    out["box"] = np.array([*box.minpt, *box.maxpt])
    out["in_box"] = np.array(sorted(index.query(box)), np.uint64)
    folder = Path(path.removeprefix("file://")) / "skeletons_mip_0"
    names = [file.name.removesuffix(".gz") for file in folder.iterdir()]
    if any(name.endswith(".shard") for name in names):
        labels = sorted(
            int(label)
            for name in names
            if name.endswith(".shard")
            for label in vol.skeleton.reader.list_labels(name, path="skeletons_mip_0")
        )
    else:
        labels = sorted(int(name) for name in names if name.isdigit())
    out["labels"] = np.array(labels, np.uint64)
    for label in labels:
        skeleton = vol.skeleton.get(label)
        out[f"{label}_vertices"] = skeleton.vertices
        out[f"{label}_edges"] = skeleton.edges
        for attribute in skeleton.extra_attributes:
            out[f"{label}_{attribute['id']}"] = getattr(skeleton, attribute["id"])
    return out


def pack(name: str, folder: Path, arrays: dict[str, Any]) -> dict[str, Any]:
    content = io.BytesIO()
    np.savez_compressed(content, **arrays)
    files = {"expected.npz": content.getvalue(), "info": (folder / "info").read_bytes()}
    for file in sorted((folder / "skeletons_mip_0").iterdir()):
        if ":" in file.name or ".frags" in file.name:
            continue  # what the skeletons were merged from
        files[f"skeletons_mip_0/{file.name}"] = file.read_bytes()
    path = OUT / f"{name}.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for key, data in files.items():
            archive.writestr(zipfile.ZipInfo(key, STAMP), data, zipfile.ZIP_DEFLATED)
    return {
        "name": name,
        "skeletons": len(arrays["labels"]),
        "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
    }


def main() -> None:
    OUT.mkdir(exist_ok=True)
    labels = make_labels()
    entries = []
    for sharded in (False, True):
        with tempfile.TemporaryDirectory() as base:
            folder = Path(base) / "layer"
            # What igneous keeps fragments of shards in has signed labels.
            make_layer(f"file://{folder}", labels >> np.uint64(1) if sharded else labels)
            skeletonize(f"file://{folder}", sharded=sharded)
            name = "igneous_sharded" if sharded else "igneous_files"
            entries.append(pack(name, folder, expected(f"file://{folder}")))
    MANIFEST.write_text(
        json.dumps(
            {
                "origin": "written by tests/golden/make_golden_skeletons.py through the packages named here",
                "versions": {name: importlib.metadata.version(name) for name in PACKAGES},
                "licence": "The files are output of these packages (cloud-volume, osteoid: BSD-3-Clause; kimimaro, "
                "igneous: GPL-3.0, which does not extend to their output) and contain none of their code; the "
                "segmentation is computed by this project (BSD-3-Clause).",
                "archives": entries,
            },
            indent=1,
        )
        + "\n"
    )


if __name__ == "__main__":
    main()
