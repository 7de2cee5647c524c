# SPDX-License-Identifier: BSD-3-Clause
"""Writes the golden meshes with igneous, zmesh and cloud-volume.

How to run, with a python in which they are installed (``pip install igneous-pipeline==4.37.0``)::

    python tests/golden/make_golden_meshes.py

It replaces ``tests/golden/meshes/*.zip`` and ``tests/golden/MANIFEST_meshes.json``.  Each archive is a layer of meshes
of one kind, made from the same seeded segmentation; what cloud-volume reads from it is in the manifest, as counts and
as hashes of its rounded vertices and of its faces.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
import shutil
import tempfile
import warnings
import zipfile
from pathlib import Path
from typing import Any

import numpy as np

HERE = Path(__file__).parent
MESHES = HERE / "meshes"
MANIFEST = HERE / "MANIFEST_meshes.json"
STAMP = (2020, 1, 1, 0, 0, 0)  # so that the archive's bytes depend on its content alone
SHAPE = (48, 40, 24)


def segmentation() -> np.ndarray:
    """Four blobs that touch."""
    x, y, z = np.meshgrid(*(np.arange(n) for n in SHAPE), indexing="ij")
    labels = np.zeros(SHAPE, np.uint64)
    centers = {5: (15, 15, 12), 9: (30, 20, 10), 2**40 + 3: (20, 30, 15), 7: (37, 30, 17)}
    best = np.full(SHAPE, 12.0**2)
    for label, (a, b, c) in centers.items():
        distance = (x - a) ** 2 + (y - b) ** 2 + (1.5 * (z - c)) ** 2
        labels[distance < best] = label
        best = np.minimum(best, distance)
    return labels


def fingerprint(mesh: Any) -> dict[str, Any]:
    """What a reader must find; vertices to a hundredth, since readers differ in single precision."""
    vertices = np.round(np.asarray(mesh.vertices, np.float64), 2) + 0.0
    return {
        "vertices": len(mesh.vertices),
        "faces": len(mesh.faces),
        "faces_sha256": hashlib.sha256(
            np.ascontiguousarray(mesh.faces, "<u4").tobytes()
        ).hexdigest(),
        "low": vertices.min(axis=0).tolist(),
        "high": vertices.max(axis=0).tolist(),
        "mean": vertices.mean(axis=0).round(3).tolist(),
    }


def make_layer(path: Path) -> str:
    from cloudvolume import CloudVolume

    info = CloudVolume.create_new_info(
        1, "segmentation", "uint64", "compressed_segmentation", (16, 16, 40), (10, 20, 30), SHAPE,
        chunk_size=(16, 16, 8), mesh="mesh",
    )  # fmt: skip
    volume = CloudVolume(f"file://{path}", info=info, progress=False)
    volume.commit_info()
    volume[:] = segmentation()[..., np.newaxis]
    return f"file://{path}"


def run(tasks: Any) -> None:
    from taskqueue import LocalTaskQueue

    LocalTaskQueue(parallel=1, progress=False).insert_all(tasks)


def make_legacy(cloudpath: str, encoding: str) -> None:
    import igneous.task_creation as tc

    run(
        tc.create_meshing_tasks(
            cloudpath, mip=0, shape=(24, 20, 24), mesh_dir="mesh", simplification=False,
            encoding=encoding, spatial_index=False,
        )
    )  # fmt: skip
    run(tc.create_mesh_manifest_tasks(cloudpath, magnitude=1, mesh_dir="mesh"))


def make_multilod(cloudpath: str, *, is_sharded: bool) -> None:
    import igneous.task_creation as tc

    run(
        tc.create_meshing_tasks(
            cloudpath, mip=0, shape=(24, 20, 24), mesh_dir="mesh", simplification=False,
            sharded=is_sharded, spatial_index=is_sharded,
        )
    )  # fmt: skip
    options = {"num_lod": 2, "mesh_dir": "mesh", "min_chunk_size": (6, 6, 6)}
    if is_sharded:
        run(tc.create_sharded_multires_mesh_tasks(cloudpath, progress=False, **options))
    else:
        run(tc.create_unsharded_multires_mesh_tasks(cloudpath, magnitude=1, **options))


def read_draco_fragments(path: Path, label: int) -> Any:
    """Fragments in the order of their names; cloud-volume's source of single resolutions has no Draco."""
    from cloudvolume import Mesh

    names = json.loads((path / "mesh" / f"{label}:0").read_bytes())["fragments"]
    binaries = [path / "mesh" / name for name in sorted(names)]
    return Mesh.concatenate(*(Mesh.from_draco(binary.read_bytes()) for binary in binaries))


def read(path: Path, name: str) -> dict[str, Any]:
    """What cloud-volume finds, by label and how it was asked."""
    from cloudvolume import CloudVolume

    source = CloudVolume(f"file://{path}", progress=False).mesh
    found = {}
    for label in (5, 7, 9, 2**40 + 3):
        if "multilod" in name:
            for lod in range(source.get_manifest(label).num_lods):
                found[f"{label} lod {lod}"] = fingerprint(source.get(label, lod=lod)[label])
        elif name == "legacy_draco":
            found[f"{label} whole"] = fingerprint(read_draco_fragments(path, label))
        else:
            found[f"{label} whole"] = fingerprint(
                source.get(label, remove_duplicate_vertices=False)
            )
            found[f"{label} merged"] = fingerprint(source.get(label))
            borders = source.get(label, chunk_size=(24, 20, 24))
            found[f"{label} borders"] = fingerprint(borders)
    return found


def pack(path: Path, archive: Path) -> None:
    """Keep the info of the layer and what readers need of the meshes."""
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as out:
        for file in sorted(path.rglob("*")):
            name = file.relative_to(path).as_posix()
            is_mesh = name.startswith("mesh/") and ".frags" not in name and ".spatial" not in name
            is_mesh = is_mesh and ".labels" not in name
            # What levels of detail are made from is in the archives of one resolution.
            is_mesh = is_mesh and not ("multilod" in archive.name and ":" in name)
            if file.is_file() and (is_mesh or name == "info"):
                out.writestr(zipfile.ZipInfo(name, STAMP), file.read_bytes(), zipfile.ZIP_DEFLATED)


def main() -> None:
    """Write everything."""
    warnings.simplefilter("ignore")
    shutil.rmtree(MESHES, ignore_errors=True)
    MESHES.mkdir()
    packages = ("igneous-pipeline", "cloud-volume", "zmesh", "DracoPy")
    report: dict[str, Any] = {
        "origin": "written by tests/golden/make_golden_meshes.py through the packages named here",
        "versions": {name: importlib.metadata.version(name) for name in packages},
        "licence": "The files are output of these packages and contain none of their code; the segmentation is part of "
        "this project (BSD-3-Clause).",
        "layers": [],
    }
    makers = {
        "legacy_raw": lambda path: make_legacy(path, "precomputed"),
        "legacy_draco": lambda path: make_legacy(path, "draco"),
        "multilod_unsharded": lambda path: make_multilod(path, is_sharded=False),
        "multilod_sharded": lambda path: make_multilod(path, is_sharded=True),
    }
    for name, make in makers.items():
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / name
            make(make_layer(path))
            archive = MESHES / f"{name}.zip"
            pack(path, archive)
            report["layers"].append(
                {
                    "name": name,
                    "sha256": hashlib.sha256(archive.read_bytes()).hexdigest(),
                    "meshes": read(path, name),
                }
            )
    MANIFEST.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
