# SPDX-License-Identifier: BSD-3-Clause
"""Calls on meshes, skeletons, spatial indexes and disk caches for `compare`, over files, memory and a web server.

Both packages read the same layers, those of ``tests/golden`` that cloud-volume and igneous wrote.
"""

from __future__ import annotations

import base64
import contextlib
import functools
import gzip
import http.server
import os
import pickle
import threading
import zipfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

Env = Any  # of compare
Add = Callable[[str, Callable[[Env], Any]], None]

GOLDEN = Path(__file__).resolve().parent.parent / "golden"
MESHES = ("legacy_raw", "multilod_unsharded", "multilod_sharded")
SKELETONS = ("igneous_files", "igneous_sharded")
STORES = ("file", "mem", "http")
SEGIDS = (5, 7, 9, 1099511627779)
ABSENT = 123456
ULPS = 1
"""What coordinates of levels of detail may differ by, in units of the last place of the largest of them."""


class _Handler(http.server.SimpleHTTPRequestHandler):
    """Objects under their bare names, gzip'd ones with the header that says so, as stores send them."""

    def log_message(self, *args: Any) -> None:
        pass

    def do_GET(self) -> None:
        self._answer(with_body=True)

    def do_HEAD(self) -> None:
        self._answer(with_body=False)

    def _answer(self, *, with_body: bool) -> None:
        path = Path(self.translate_path(self.path))
        packed = path.with_name(path.name + ".gz")
        if path.is_file():
            data, encoding = path.read_bytes(), None
        elif packed.is_file():
            data, encoding = packed.read_bytes(), "gzip"
        else:
            self.send_error(404)
            return
        wanted = self.headers.get("Range")
        size = len(data)
        status = 200
        content_range = ""
        if wanted and encoding is None:
            first, _, last = wanted.removeprefix("bytes=").partition("-")
            low, high = int(first), min(int(last) if last else size - 1, size - 1)
            data, status = data[low : high + 1], 206
            content_range = f"bytes {low}-{high}/{size}"
        self.send_response(status)
        self.send_header("Content-Length", str(len(data)))
        if content_range:
            self.send_header("Content-Range", content_range)
        if encoding:
            self.send_header("Content-Encoding", encoding)
        self.end_headers()
        if with_body:
            self.wfile.write(data)


@contextlib.contextmanager
def served(folder: Path) -> Iterator[str]:
    handler = functools.partial(_Handler, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()
            thread.join()


def unpacked(e: Env, kind: str, name: str) -> Path:
    e.number += 1
    folder = Path(e.folder) / f"golden{e.number}" / "layer"
    with zipfile.ZipFile(GOLDEN / kind / f"{name}.zip") as archive:
        archive.extractall(folder)
    return folder


def into_memory(folder: Path) -> str:
    from cloudfiles import CloudFiles

    path = f"mem://{folder.parent.parent.name}/{folder.parent.name}/layer"
    files = CloudFiles(path)
    for file in sorted(folder.rglob("*")):
        if file.is_file():
            key = file.relative_to(folder).as_posix()
            data = file.read_bytes()
            if key.endswith(".gz"):
                key, data = key.removesuffix(".gz"), gzip.decompress(data)
            files.put(key, data)
    return path


@contextlib.contextmanager
def opened(e: Env, kind: str, name: str, store: str, **options: Any) -> Iterator[Any]:
    """Open a golden layer that lies in a store."""
    folder = unpacked(e, kind, name)
    with contextlib.ExitStack() as stack:
        if store == "file":
            path = f"file://{folder}"
        elif store == "mem":
            path = into_memory(folder)
        else:
            path = stack.enter_context(served(folder.parent)) + "/layer"
        yield e.CloudVolume(path, progress=False, **options)


def listed(value: Any) -> Any:
    return [np.array(item).tolist() for item in value] if hasattr(value, "__next__") else value


class Near:
    """An array of which every value is kept, so that those that only round otherwise can be told from others."""

    def __init__(self, values: Any) -> None:
        array = np.array(values, order="C")
        content = base64.b64encode(zlib.compress(array.tobytes())).decode()
        self.described = ["near", list(array.shape), array.dtype.name, content]


def is_close(theirs: Any, ours: Any) -> bool:
    """Compare two descriptions, but coordinates only up to `ULPS` of float32 at the largest of their array."""
    if isinstance(theirs, list) and isinstance(ours, list) and len(theirs) == len(ours):
        if theirs[:1] == ["near"] and theirs[:3] == ours[:3]:
            one, other = (
                np.frombuffer(zlib.decompress(base64.b64decode(values[3])), values[2])
                for values in (theirs, ours)
            )
            bound = ULPS * np.spacing(np.float32(np.abs(one).max(initial=0)))
            return bool((np.abs(one.astype(np.float64) - other) <= bound).all())
        return all(map(is_close, theirs, ours))
    return bool(theirs == ours)


def shown(value: Any) -> Any:
    """Make what can be compared of meshes and skeletons."""
    if isinstance(value, dict):
        return {key: shown(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)(shown(item) for item in value)
    if hasattr(value, "faces") and hasattr(value, "vertices"):
        normals = value.normals
        return [
            "Mesh",
            Near(value.vertices),
            np.array(value.faces, order="C"),
            None if normals is None else np.array(normals, order="C"),
        ]
    if hasattr(value, "edges") and hasattr(value, "vertices"):
        return [
            type(value).__name__,
            value.id,
            value.space,
            np.array(value.vertices, order="C"),
            np.array(value.edges, order="C"),
            np.array(value.radii),
            sorted(attribute["id"] for attribute in value.extra_attributes),
        ]
    if isinstance(value, (bytearray, np.bool_)):
        return bytes(value) if isinstance(value, bytearray) else bool(value)
    return listed(value)


def add_meshes(add: Add) -> None:
    def on(name: str, store: str, function: Callable[[Env, Any], Any]) -> Callable[[Env], Any]:
        def run(e: Env) -> Any:
            with opened(e, "meshes", name, store) as vol:
                return shown(function(e, vol))

        return run

    everywhere: dict[str, Callable[[Env, Any], Any]] = {
        "get_one": lambda e, v: v.mesh.get(5),
        "get_several": lambda e, v: v.mesh.get([5, 7]),
        "exists": lambda e, v: v.mesh.exists([5, ABSENT]),
    }
    local: dict[str, Callable[[Env, Any], Any]] = {
        "get_large": lambda e, v: v.mesh.get(SEGIDS[3]),
        "get_array": lambda e, v: v.mesh.get(np.array([5, 9], np.uint64)),
        "get_set": lambda e, v: v.mesh.get({7}),
        "get_absent": lambda e, v: v.mesh.get(ABSENT),
        "get_some_absent": lambda e, v: v.mesh.get([5, ABSENT]),
        "get_none": lambda e, v: v.mesh.get([]),
        "exists_one": lambda e, v: v.mesh.exists(5),
        "type": lambda e, v: type(v.mesh).__name__,
        "info": lambda e, v: v.mesh.meta.info,
        "meta": lambda e, v: [
            v.mesh.meta.is_multires(),
            v.mesh.meta.is_sharded(),
            v.mesh.meta.mesh_path,
            v.mesh.meta.mip,
        ],
        "pickle": lambda e, v: pickle.loads(pickle.dumps(v)).mesh.get(5),
        "segid": lambda e, v: _first(v.mesh.get(5)).segid,
        "consolidate": lambda e, v: _first(v.mesh.get(5)).consolidate(),
        "crop": lambda e, v: _first(v.mesh.get(5)).crop(e.Bbox((0, 0, 0), (10000, 10000, 1500))),
        "edges": lambda e, v: list(_first(v.mesh.get(7)).edges()),
        "triangles": lambda e, v: Near(_first(v.mesh.get(7)).triangles()),
        "clone_equal": lambda e, v: _first(v.mesh.get(7)).clone() == _first(v.mesh.get(7)),
        "len": lambda e, v: len(_first(v.mesh.get(7))),
    }
    for name in MESHES:
        for store in STORES:
            for call, function in everywhere.items():
                add(f"mesh_{name}_{store}_{call}", on(name, store, function))
        for call, function in local.items():
            add(f"mesh_{name}_{call}", on(name, "file", function))
    add("mesh_legacy_draco_get", on("legacy_draco", "file", lambda e, v: v.mesh.get(5)))
    for name in MESHES[:1]:
        legacy: dict[str, Callable[[Env, Any], Any]] = {
            "precomputed": lambda e, v: v.mesh.get(5).to_precomputed(),
            "obj": lambda e, v: v.mesh.get(5).to_obj(),
            "ply": lambda e, v: v.mesh.get(5).to_ply(),
            "unfused": lambda e, v: v.mesh.get([5, 7], fuse=False),
            "duplicates": lambda e, v: v.mesh.get(5, remove_duplicate_vertices=False),
            "chunk_size": lambda e, v: v.mesh.get(5, chunk_size=(24, 20, 24)),
            "manifest_path": lambda e, v: v.mesh.manifest_path(5),
            "delete": lambda e, v: [v.mesh.delete([5]), v.mesh.exists([5, 7])],
            "put": lambda e, v: [
                v.mesh.put(_renamed(_first(v.mesh.get(5)), 77)),
                v.mesh.exists([77]),
                v.mesh.get(77),
            ],
        }
        for call, function in legacy.items():
            add(f"mesh_{name}_{call}", on(name, "file", function))
    for name in MESHES[1:]:
        multires: dict[str, Callable[[Env, Any], Any]] = {
            # Of whole coordinates, which are the same to the byte.
            "precomputed": lambda e, v: _rounded(v.mesh.get(5)).to_precomputed(),
            "obj": lambda e, v: _rounded(v.mesh.get(5)).to_obj(),
            "ply": lambda e, v: _rounded(v.mesh.get(5)).to_ply(),
            "lod_1": lambda e, v: v.mesh.get(5, lod=1),
            "lod_last": lambda e, v: v.mesh.get(5, lod=-1),
            "lod_beyond": lambda e, v: v.mesh.get(5, lod=20),
            "parts": lambda e, v: v.mesh.get(5, concat=False),
            "manifest": lambda e, v: [
                v.mesh.get_manifest(5).num_lods,
                [np.array(p, order="C") for p in v.mesh.get_manifest(5).fragment_positions],
                list(v.mesh.get_manifest(5).fragment_offsets),
            ],
            "manifest_absent": lambda e, v: v.mesh.get_manifest(ABSENT),
        }
        for call, function in multires.items():
            add(f"mesh_{name}_{call}", on(name, "file", function))


def _first(found: Any) -> Any:
    return next(iter(found.values())) if isinstance(found, dict) else found


def _rounded(found: Any) -> Any:
    mesh = _first(found)
    mesh.vertices = np.round(mesh.vertices)
    return mesh


def _renamed(mesh: Any, segid: int) -> Any:
    mesh.segid = segid
    return mesh


def add_skeletons(add: Add) -> None:
    labels = (10773508574888377299, 10960989287169462855)

    def on(name: str, store: str, function: Callable[[Env, Any], Any]) -> Callable[[Env], Any]:
        def run(e: Env) -> Any:
            with opened(e, "skeletons", name, store) as vol:
                return shown(function(e, vol))

        return run

    everywhere: dict[str, Callable[[Env, Any], Any]] = {
        "get_one": lambda e, v: v.skeleton.get(labels[0]),
        "get_several": lambda e, v: by_label(v.skeleton.get(list(labels))),
        "query": lambda e, v: v.skeleton.spatial_index.query(v.bounds * v.resolution),
    }
    local: dict[str, Callable[[Env, Any], Any]] = {
        "get_absent": lambda e, v: v.skeleton.get(ABSENT),
        "get_none": lambda e, v: v.skeleton.get([]),
        "type": lambda e, v: type(v.skeleton).__name__,
        "info": lambda e, v: v.skeleton.meta.info,
        "meta": lambda e, v: [
            v.skeleton.meta.is_sharded(),
            v.skeleton.meta.skeleton_path,
            v.skeleton.meta.mip,
            v.skeleton.meta.transform,
        ],
        "pickle": lambda e, v: pickle.loads(pickle.dumps(v)).skeleton.get(labels[0]),
        "swc": lambda e, v: len(_one(v, labels[0]).to_swc()) > 100,
        "precomputed": lambda e, v: _one(v, labels[0]).to_precomputed(),
        "cable_length": lambda e, v: round(float(_one(v, labels[0]).cable_length()), 3),
        "components": lambda e, v: len(_one(v, labels[0]).components()),
        "terminals": lambda e, v: _one(v, labels[0]).terminals(),
        "branches": lambda e, v: _one(v, labels[0]).branches(),
        "downsample": lambda e, v: _one(v, labels[0]).downsample(2),
        "crop": lambda e, v: _one(v, labels[0]).crop(e.Bbox((0, 0, 0), (600, 600, 1800))),
        "voxel_space": lambda e, v: _one(v, labels[0]).voxel_space(),
        "get_bbox": lambda e, v: by_label(
            v.skeleton.get_bbox(e.Bbox((160, -320, 1200), (600, 200, 2000), unit="nm"))
        ),
        "index_paths": lambda e, v: sorted(
            v.skeleton.spatial_index.index_file_paths_for_bbox(v.bounds * v.resolution)
        ),
        "index_query_part": lambda e, v: v.skeleton.spatial_index.query(
            e.Bbox((160, -320, 1200), (400, 0, 1600))
        ),
        "index_query_outside": lambda e, v: v.skeleton.spatial_index.query(
            e.Bbox((-5000, -5000, -5000), (-4000, -4000, -4000))
        ),
        "index_bbox": lambda e, v: v.skeleton.spatial_index.get_bbox(labels[0]),
        "index_bbox_absent": lambda e, v: v.skeleton.spatial_index.get_bbox(ABSENT),
        "index_locations": lambda e, v: v.skeleton.spatial_index.file_locations_per_label(
            [labels[0]]
        ),
        "index_locations_all": lambda e, v: len(
            v.skeleton.spatial_index.file_locations_per_label()
        ),
    }
    for name in SKELETONS:
        for store in STORES:
            for call, function in everywhere.items():
                add(f"skeleton_{name}_{store}_{call}", on(name, store, function))
        for call, function in local.items():
            add(f"skeleton_{name}_{call}", on(name, "file", function))
    files: dict[str, Callable[[Env, Any], Any]] = {
        "allow_missing": lambda e, v: v.skeleton.get([labels[0], ABSENT], allow_missing=True),
        "some_absent": lambda e, v: v.skeleton.get([labels[0], ABSENT]),
        "upload": lambda e, v: [
            v.skeleton.upload(_with_id(_one(v, labels[0]), 77)),
            v.skeleton.get(77),
        ],
        "upload_raw": lambda e, v: [
            v.skeleton.upload_raw(
                78, np.arange(9, dtype=np.float32).reshape(3, 3), np.array([[0, 1], [1, 2]])
            ),
            v.skeleton.get(78).edges,
        ],
    }
    for call, function in files.items():
        add(f"skeleton_files_{call}", on("igneous_files", "file", function))


def _one(vol: Any, label: int) -> Any:
    found = vol.skeleton.get(label)
    return found[0] if isinstance(found, list) else found


def by_label(skeletons: Any) -> Any:
    return sorted(skeletons, key=lambda skeleton: skeleton.id)


def _with_id(skeleton: Any, label: int) -> Any:
    skeleton.id = label
    return skeleton


def add_layer_caches(add: Add) -> None:
    """What a disk cache has after reads of layers in each store."""

    def cached(kind: str, name: str, store: str, use: Callable[[Env, Any], Any]) -> Any:
        def run(e: Env) -> Any:
            e.number += 1
            base = f"{e.folder}/cache{e.number}"
            with opened(e, kind, name, store, cache=base) as vol:
                result = use(e, vol)
                kept = sorted(
                    os.path.relpath(os.path.join(folder, file), vol.cache.path)
                    for folder, _, files in os.walk(vol.cache.path)
                    for file in files
                    if not file.startswith("provenance")  # written when it is asked for, here
                )
                return [shown(result), [_bare(name) for name in kept]]

        return run

    uses: dict[str, tuple[str, str, Callable[[Env, Any], Any]]] = {
        "image": ("layers", "cv_raw_gzip", lambda e, v: v[:]),
        "image_part": ("layers", "cv_cseg_gzip", lambda e, v: v[v.bounds.minpt.x]),
        "image_twice": ("layers", "cv_raw_none", lambda e, v: [v[:], v[:]]),
        "num_files": ("layers", "cv_raw_gzip", lambda e, v: [v[:], v.cache.num_files()]),
        "num_files_all": (
            "layers",
            "cv_mips",
            lambda e, v: [v[:], v.cache.num_files(all_mips=True)],
        ),
        "list": (
            "layers",
            "cv_raw_gzip",
            lambda e, v: [v[:], sorted(_bare(name) for name in v.cache.list())],
        ),
        "has": ("layers", "cv_raw_gzip", lambda e, v: [v.cache.has("info"), v.cache.has("x")]),
        "flush": ("layers", "cv_raw_gzip", lambda e, v: [v[:], v.cache.flush()]),
        "flush_info": ("layers", "cv_raw_gzip", lambda e, v: v.cache.flush_info()),
        "skeleton": (
            "skeletons",
            "igneous_files",
            lambda e, v: v.skeleton.get(10773508574888377299),
        ),
        "mesh": ("meshes", "legacy_raw", lambda e, v: v.mesh.get(5)),
    }
    for use, (kind, name, function) in uses.items():
        for store in STORES:
            add(f"cache_{store}_{use}", cached(kind, name, store, function))


def _bare(name: str) -> str:
    return name.removesuffix(".gz")


def add_remote_images(add: Add) -> None:
    """Reads of volumes in memory and behind a web server, their shapes and types."""

    def on(name: str, store: str, function: Callable[[Env, Any], Any]) -> Callable[[Env], Any]:
        def run(e: Env) -> Any:
            with opened(e, "layers", name, store) as vol:
                return function(e, vol)

        return run

    uses: dict[str, Callable[[Env, Any], Any]] = {
        "all": lambda e, v: v[:],
        "corner": lambda e, v: v[v.bounds.minpt.x : v.bounds.minpt.x + 2],
        "exists": lambda e, v: v.exists(v.bounds),
        "files": lambda e, v: v.download_files(v.bounds),
        "points": lambda e, v: v.scattered_points([v.bounds.minpt, v.bounds.maxpt - 1]),
        "unique": lambda e, v: v.unique(v.bounds),
        "outside": lambda e, v: v[v.bounds.maxpt.x : v.bounds.maxpt.x + 1],
        "paths": lambda e, v: [v.layer, v.meta.path.protocol, v.meta.path.format],
        "write": lambda e, v: v.__setitem__(v.bounds.to_slices(), v[:] * 0),
        "delete": lambda e, v: v.delete(v.bounds),
        "has_data": lambda e, v: v.image.has_data(0),
    }
    for store in ("mem", "http"):
        for name in ("cv_raw_gzip", "cv_cseg_uint64_111_0"):
            for call, function in uses.items():
                if store == "http" and call == "has_data":
                    continue  # a plain web server lists nothing
                add(f"remote_{store}_{name}_{call}", on(name, store, function))


def add_more_transfers(add: Add) -> None:
    """Boxes beyond the bounds and outside of regions of interest."""
    size, chunk = (48, 48, 32), (16, 16, 16)

    def run(e: Env, box: Any, rois: Any = None, **options: Any) -> Any:
        data = np.random.default_rng(5).integers(1, 9, (*size, 1)).astype(np.uint32)
        vol = e.new(
            data,
            size=size,
            offset=(0, 0, 0),
            chunk=chunk,
            dtype="uint32",
            layer_type="segmentation",
            options={"rois": rois} if rois else None,
        )
        target = e.path()
        vol.transfer_to(target, e.Bbox(*box), **options)
        fresh = e.CloudVolume(target, fill_missing=True, progress=False)
        inside = e.Bbox.intersection(e.Bbox(*box), fresh.bounds)
        return np.array(fresh[inside]) if inside.volume() else fresh.image.has_data(0)

    boxes = {
        "end": ((20, 20, 20), (70, 70, 70)),
        "start": ((-5, -5, -5), (20, 20, 20)),
        "outside": ((100, 100, 100), (120, 120, 120)),
        "whole_chunks": ((16, 16, 16), (64, 64, 64)),
        "whole_outside": ((96, 96, 96), (112, 112, 112)),
        "negative_chunks": ((-16, -16, -16), (16, 16, 16)),
    }
    for name, box in boxes.items():
        add(f"transfer_beyond_{name}", lambda e, box=box: run(e, box))
    add("transfer_beyond_shards", lambda e: run(e, boxes["whole_chunks"], sharded=True))
    rois = [[0, 0, 0, 15, 15, 15]]
    add("transfer_roi_whole", lambda e: run(e, ((16, 16, 16), (48, 48, 32)), rois))
    add("transfer_roi_unaligned", lambda e: run(e, ((17, 17, 17), (48, 48, 32)), rois))
    for label in ("memory_cutout", "memory_cutout_encoding"):
        options = {"encoding": "compressed_segmentation"}

        def cutout(e: Env, options: Any = options) -> Any:
            data = np.random.default_rng(5).integers(1, 9, (*size, 1)).astype(np.uint32)
            vol = e.new(
                data, size=size, offset=(0, 0, 0), chunk=chunk, dtype="uint32",
                layer_type="segmentation", encoding="compressed_segmentation",
            )  # fmt: skip
            copy = vol.memory_cutout(e.Bbox((17, 1, 1), (20, 5, 5)), **options)
            return [type(copy).__name__, copy[16:32, 0:16, 0:16], copy.encoding, copy.bounds]

        add(label, functools.partial(cutout, options={} if label == "memory_cutout" else options))
    for number, operand in enumerate((2, 3, (16, 16, 40), 2.5)):
        add(f"bbox_divided_in_place_{number}", lambda e, x=operand: _in_place(e, x))


def _in_place(e: Env, operand: Any) -> Any:
    box = same = e.Bbox((-5, -7, -9), (50, 70, 91))
    box /= operand
    return [box, box is same, box.to_filename()]


def add_all(add: Add) -> None:
    for part in (
        add_meshes,
        add_skeletons,
        add_layer_caches,
        add_remote_images,
        add_more_transfers,
    ):
        part(add)
