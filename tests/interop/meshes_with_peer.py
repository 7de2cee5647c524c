# SPDX-License-Identifier: BSD-3-Clause
"""Run by a python that has cloud-volume: reads or writes meshes with it, or calls its ``Mesh``.

The function is the argument, its arguments are JSON on standard input; standard output has JSON.  Arrays travel in
.npz files.
"""

from __future__ import annotations

import json
import sys
import warnings
from typing import Any

import numpy as np


def _save(path: str, mesh: Any) -> None:
    np.savez(path, vertices=mesh.vertices, faces=mesh.faces)


def _load(path: str) -> Any:
    from cloudvolume import Mesh

    stored = np.load(path)
    return Mesh(stored["vertices"], stored["faces"], segid=3)


def read_legacy(layer: str, cases: list[dict[str, Any]], out: str) -> int:
    """Read with each set of arguments; meshes go to OUT/NUMBER.npz, dictionaries to OUT/NUMBER_LABEL.npz."""
    from cloudvolume import CloudVolume

    source = CloudVolume(f"file://{layer}", progress=False).mesh
    for number, case in enumerate(cases):
        found = source.get(**case)
        if isinstance(found, dict):
            for label, mesh in found.items():
                _save(f"{out}/{number}_{label}.npz", mesh)
        else:
            _save(f"{out}/{number}.npz", found)
    return len(cases)


def read_multilod(layer: str, labels: list[int], lods: list[int], out: str) -> list[str]:
    """Read levels; meshes go to OUT/LABEL_LOD.npz."""
    from cloudvolume import CloudVolume

    source = CloudVolume(f"file://{layer}", progress=False).mesh
    for lod in lods:
        for label in labels:
            _save(f"{out}/{label}_{lod}.npz", source.get(label, lod=lod)[label])
            for number, mesh in enumerate(source.get(label, lod=lod, concat=False)[label]):
                _save(f"{out}/{label}_{lod}_{number}.npz", mesh)
    return [type(source).__name__]


def write_legacy(layer: str, meshes: dict[str, str]) -> list[str]:
    """Put meshes that are stored as label: path."""
    from cloudvolume import CloudVolume

    source = CloudVolume(f"file://{layer}", progress=False).mesh
    given = []
    for label, path in meshes.items():
        mesh = _load(path)
        mesh.segid = int(label)
        given.append(mesh)
    source.put(given)
    return sorted(source.exists([int(label) for label in meshes]))


def call(cases: list[dict[str, Any]]) -> list[int]:
    """Call methods of meshes that are in files; results go to files."""
    from cloudvolume.lib import Bbox

    sizes = []
    for case in cases:
        mesh = _load(case["mesh"])
        arguments = dict(case.get("arguments", {}))
        if "bbox" in arguments:
            arguments["bbox"] = Bbox(*arguments["bbox"])
        if "is_chunk_aligned" in arguments:
            arguments["is_chunk_aligned"] = np.array(arguments["is_chunk_aligned"])
        found = getattr(mesh, case["method"])(**arguments)
        if isinstance(found, (bytes, bytearray)):
            with open(case["out"], "wb") as file:  # noqa: PTH123
                file.write(found)
        else:
            _save(case["out"], found)
        sizes.append(len(found))
    return sizes


def main() -> None:
    """Call what is named."""
    warnings.simplefilter("ignore")
    result = globals()[sys.argv[1]](**json.load(sys.stdin))
    sys.stdout.write("\n" + json.dumps(result))


if __name__ == "__main__":
    main()
