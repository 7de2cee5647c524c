# SPDX-License-Identifier: BSD-3-Clause
"""More calls for `compare`: helpers, paths, single chunks, caches, stores, transfers, provenance, grids."""

from __future__ import annotations

import importlib
import os
import tempfile
from collections.abc import Callable
from typing import Any

import numpy as np

Env = Any  # of compare
Add = Callable[[str, Callable[[Env], Any]], None]


def module(e: Env, path: str) -> Any:
    return importlib.import_module(f"{e.module.__name__}.{path}")


def listed(value: Any) -> Any:
    return list(value) if hasattr(value, "__next__") else value


def add_helpers(add: Add) -> None:
    """Functions of ``lib`` on arguments as programs give them."""
    arrays = {"ramp": np.arange(1, 6, dtype=np.float64), "plane": np.arange(12.0).reshape(6, 2)}
    calls: dict[str, list[tuple[Any, ...]]] = {
        "check_bounds": [
            (5, 0, 10, 1),
            (11, 0, 10, 1),
            (10, 0, 10, 0),
            (-1, 0, 10, "z"),
            (2.5, 0, 3, 0),
        ],
        "clamp": [(5, 0, 3), (-1, 0, 3), (2.5, 0, 3), (3, 3, 3)],
        "colorize": [("red", "a"), ("GREEN", "b"), ("yellow", "c"), ("pink", "d")],
        "divisors": [(1,), (2,), (12,), (36,), (97,), (0,), (-4,)],
        "duplicates": [([1, 2, 1, 3, 3],), ("aab",), ([],)],
        "find_closest_divisor": [
            ((100, 90, 64), (64, 64, 64)),
            ((7, 11, 13), (64, 64, 64)),
            ((128, 128, 64), (32, 32, 32)),
            ((96, 60, 48), (7, 7, 7)),
            ((1, 2, 3), (2, 2, 2)),
        ],
        "first": [([3, 4],), ([],), ("ab",), ((),), (np.array([5, 6]),)],
        "floating": [([1, 2.0],), ([1, 2],), ([],)],
        "getprecision": [("1.25",), (1.25,), (3,), (100.0,), (-0.5,), ("a",), (None,), ("1.",)],
        "map2": [(max, [1, 5], [3, 2]), (min, [1, 5, 9], [3, 2, 1]), (max, [1, 5], [3])],
        "moving_average": [(arrays["ramp"], n) for n in (1, 2, 3, 4, 5, 0, -1)]
        + [
            (arrays["plane"], 3),
            (arrays["ramp"], 3, "edge"),
            (arrays["ramp"], 3, "constant"),
            (arrays["ramp"].astype(int), 2),
            (arrays["ramp"][:3], 10),
        ],
        "nvl": [(None, 0, 1), (None, None), (), ("", 1)],
        "red": [("x",)],
        "green": [("x",)],
        "yellow": [("x",)],
        "scatter": [([1, 2, 3, 4, 5], 2), (range(5), 7), ([1], 0), ("abcd", 3)],
        "sip": [
            ([1, 2, 3, 4, 5], 2),
            ([], 2),
            ([1, 2, 3, 4], 2),
            ("abc", 2),
            (range(5), 10),
            ([1, 2], 0),
            ({1: 2, 3: 4}, 1),
        ],
        "spatial_unit_in_meters": [
            (u,)
            for u in (
                "nanometer",
                "micrometer",
                "meter",
                "angstrom",
                "foot",
                "inch",
                "yard",
                "kilometer",
                "nm",
                "bogus",
            )
        ],
        "time_unit_in_seconds": [
            (u,)
            for u in ("second", "millisecond", "minute", "hour", "day", "s", "bogus", "nanosecond")
        ],
        "toiter": [
            (v,) for v in (5, "abc", [1], (1,), None, {"a": 1}, np.arange(2), {1}, range(3), b"x")
        ]
        + [(5, True), ([5], True), ("a", True)],
        "totalfn": [([1, 2], None), ([1, 2], 7), (range(4), 0)],
        "xyzrange": [
            ((2, 2, 1),),
            ((1, 1, 1), (3, 3, 2)),
            ((0, 0, 0), (4, 4, 1), (2, 2, 1)),
            ((0, 0, 0), (5, 3, 1), (2, 2, 1)),
            ((0.5, 0, 0), (2, 1, 1)),
            ((2, 2, 2), (0, 0, 0)),
            ((0, 0, 0),),
        ],
    }
    for name, cases in calls.items():
        for number, arguments in enumerate(cases):
            add(
                f"lib_{name}_{number}",
                lambda e, n=name, a=arguments: listed(getattr(module(e, "lib"), n)(*a)),
            )
    for number, (a, b) in enumerate(
        [((1, 5, 2), (0, 7, 2)), ((1.5, 5, 2), (0, 7, 2)), ((-1, -2, -3), (0, 0, 0))]
    ):
        add(f"lib_min2_{number}", lambda e, a=a, b=b: module(e, "lib").min2(e.Vec(*a), e.Vec(*b)))
        add(f"lib_max2_{number}", lambda e, a=a, b=b: module(e, "lib").max2(e.Vec(*a), e.Vec(*b)))
    add(
        "lib_jsonify",
        lambda e: module(e, "lib").jsonify(
            {"a": np.int64(1), "b": np.array([1, 2]), "c": np.float32(0.5), "d": e.Vec(1, 2)},
            sort_keys=True,
        ),
    )
    add("lib_jsonify_set", lambda e: module(e, "lib").jsonify({"b": {1}}))
    add("lib_mkdir_touch", touched)
    for name in ("COLORS", "UNIT_SCALES", "FLT_RE", "MACHINE_EPSILON"):
        add(f"lib_{name}", lambda e, n=name: constant(getattr(module(e, "lib"), n)))


def constant(value: Any) -> Any:
    return dict(value) if hasattr(value, "keys") else value


def touched(e: Env) -> Any:
    with tempfile.TemporaryDirectory() as folder:
        lib = module(e, "lib")
        lib.touch(folder + "/a/b/c")
        with open(folder + "/a/full", "w") as file:
            file.write("x")
        lib.touch(folder + "/a/full")
        made = (
            lib.mkdir(folder + "/d/e").removeprefix(os.path.realpath(folder)).removeprefix(folder)
        )
        return [os.path.exists(folder + "/a/b/c"), os.path.getsize(folder + "/a/full"), made]


PATHS = [
    "gs://b/ds/layer", "precomputed://gs://b/d/l", "file:///tmp/a/b", "/tmp/a/b", "gs://b", "gs://b/l",
    "graphene://https://a.b.c/seg/1.0/x", "zarr://file:///tmp/x/y", "https://a.com/b/c", "gs://", "s3://b/d/l/",
    "gs://b/d/l|neuroglancer-precomputed:", "matrix://b/d/l", "gs://b/d/l|zarr2:", "middleauth+https://x.y/z",
    "n5://gs://b/d/l", "mem://b/d/l", "gs://gs://b/d", "tigerdata://b/d/l", "http://a.com:80/b",
]  # fmt: skip


def add_paths(add: Add) -> None:
    for number, path in enumerate(PATHS):
        add(f"paths_extract_{number}", lambda e, p=path: tuple(module(e, "paths").extract(p)))
        add(f"paths_strict_{number}", lambda e, p=path: tuple(module(e, "paths").strict_extract(p)))
        add(
            f"paths_again_{number}",
            lambda e, p=path: module(e, "paths").ascloudpath(module(e, "paths").extract(p)),
        )
        add(f"paths_https_{number}", lambda e, p=path: module(e, "paths").to_https_protocol(p))
        add(f"paths_pop_{number}", lambda e, p=path: module(e, "paths").pop_protocol(p))
        add(
            f"paths_protocol_{number}",
            lambda e, p=path: module(e, "paths").extract_format_protocol(p),
        )


def blob(dtype: str, channels: int = 1) -> np.ndarray:
    rng = np.random.default_rng(5)
    coarse = rng.integers(0, 5, (4, 4, 4, channels)).repeat(4, 0).repeat(2, 1).repeat(2, 2)
    return np.asfortranarray(coarse.astype(dtype))


def add_chunks(add: Add) -> None:
    for encoding, dtype in [
        ("raw", "uint8"), ("raw", "float32"), ("raw", "uint64"), ("png", "uint8"),
        ("compressed_segmentation", "uint64"),
        ("compressed_segmentation", "uint32"), ("compresso", "uint64"), ("crackle", "uint32"), ("fpzip", "float32"),
        ("jpeg", "uint8"), ("npz", "int16"),
    ]:  # fmt: skip

        def there_and_back(e: Env, encoding: str = encoding, dtype: str = dtype) -> Any:
            chunks = module(e, "chunks")
            image = blob(dtype)
            data = chunks.encode(image, encoding, block_size=(8, 8, 8))
            return chunks.decode(data, encoding, image.shape, image.dtype, (8, 8, 8))

        add(f"chunks_{encoding}_{dtype}", there_and_back)
    for encoding, dtype in [
        ("raw", "uint32"),
        ("compresso", "uint64"),
        ("crackle", "uint64"),
        ("png", "uint8"),
    ]:

        def looked_into(e: Env, what: str, encoding: str = encoding, dtype: str = dtype) -> Any:
            chunks = module(e, "chunks")
            image = blob(dtype)
            data = chunks.encode(image, encoding, block_size=(8, 8, 8))
            known = (encoding, image.shape, image.dtype, (8, 8, 8))
            if what == "labels":
                return chunks.labels(data, *known)
            if what == "contains":
                return [bool(chunks.contains(data, label, *known)) for label in (0, 3, 77)]
            if what == "voxel":
                return chunks.read_voxel((3, 4, 5), data, *known)
            if what == "binary":
                return chunks.decode_binary_image(3, data, *known)
            if what == "remap_missing":
                return chunks.remap(data, encoding, {1: 9}, False, *known[1:])
            new = chunks.remap(data, encoding, {1: 9, 2: 8}, True, *known[1:])
            return chunks.decode(new, *known)

        for what in ("labels", "contains", "voxel", "binary", "remap", "remap_missing"):
            add(f"chunks_{what}_{encoding}", lambda e, w=what, f=looked_into: f(e, w))
    add(
        "chunks_empty",
        lambda e: module(e, "chunks").decode(b"", "raw", (2, 2, 2, 1), "uint8", background_color=7),
    )
    add("chunks_short", lambda e: module(e, "chunks").decode(b"abc", "raw", (2, 2, 2, 1), "uint8"))
    add(
        "chunks_unknown",
        lambda e: module(e, "chunks").decode(b"abc", "bogus", (2, 2, 2, 1), "uint8"),
    )
    add("chunks_encode_unknown", lambda e: module(e, "chunks").encode(blob("uint8"), "bogus"))
    add("chunks_as2d", lambda e: module(e, "chunks").as2d(blob("uint8"))[0])
    add("chunks_as2d_3", lambda e: module(e, "chunks").as2d(blob("uint8", 3))[0])
    add("chunks_supported", lambda e: sorted(module(e, "chunks").SUPPORTED_ENCODINGS))


def add_common(add: Add) -> None:
    where = "datasource.precomputed.common"
    for number, value in enumerate([None, True, False, 0, 5, 1, -1, "private"]):
        add(f"common_cdn_{number}", lambda e, v=value: module(e, where).cdn_cache_control(v))
    for encoding in (
        "raw",
        "jpeg",
        "png",
        "jxl",
        "compressed_segmentation",
        "compresso",
        "crackle",
        "fpzip",
        "bogus",
    ):
        add(f"common_content_{encoding}", lambda e, n=encoding: module(e, where).content_type(n))
        for compress in (None, True, False, "br", ""):
            add(
                f"common_compress_{encoding}_{compress}",
                lambda e, n=encoding, c=compress: module(e, where).should_compress(n, c, None),
            )
    points: list[Any] = [(1, 2, 0), [(1, 2, 0), (3, 3, 3)], (5, 0, 0), (-1, 0, 0), (0, 0, 0)]
    for number, point in enumerate(points):
        add(
            f"common_morton_{number}",
            lambda e, p=point: module(e, where).compressed_morton_code(p, (4, 4, 4)),
        )
    add(
        "common_morton_wide",
        lambda e: module(e, where).compressed_morton_code((0, 0, 0), (2**30, 2**30, 2**30)),
    )
    for code in (0, 7, 63, 17):
        add(
            f"common_gridpt_{code}",
            lambda e, c=code: [
                int(v) for v in module(e, where).morton_code_to_gridpt(c, (4, 4, 4))
            ],
        )
        add(
            f"common_box_{code}",
            lambda e, c=code: module(e, where).morton_code_to_bbox(
                c, e.Bbox((10, 20, 30), (110, 110, 70)), (32, 32, 16)
            ),
        )
    common = "datasource.precomputed.image.common"
    boxes = [
        ((0, 0, 0), (64, 64, 16)),
        ((5, 5, 5), (40, 6, 6)),
        ((96, 64, 32), (100, 90, 40)),
        ((0, 0, 0), (0, 0, 0)),
    ]
    for number, (low, high) in enumerate(boxes):

        def grid(e: Env, low: Any = low, high: Any = high) -> Any:
            volume = e.Bbox((0, 0, 0), (100, 90, 40))
            return list(module(e, common).gridpoints(e.Bbox(low, high), volume, e.Vec(32, 32, 16)))

        def names(e: Env, low: Any = low, high: Any = high) -> Any:
            volume = e.Bbox((0, 0, 0), (100, 90, 40))
            found = module(e, common).chunknames(
                e.Bbox(low, high), volume, "k", e.Vec(32, 32, 16), "file"
            )
            return [len(found), list(found)]

        add(f"common_gridpoints_{number}", grid)
        add(f"common_chunknames_{number}", names)
    for number, (low, channel) in enumerate(
        [((8, 8, 8), None), ((20, 20, 20), None), ((-2, 0, 0), None), ((2, 2, 2), None)]
    ):

        def shaded(e: Env, low: Any = low, channel: Any = channel) -> Any:
            image = np.zeros((10, 10, 10, 2), np.uint8, order="F")
            part = np.arange(128, dtype=np.uint8).reshape((4, 4, 4, 2), order="F")
            box = e.Bbox(low, [a + 4 for a in low])
            module(e, common).shade(image, e.Bbox((0, 0, 0), (10, 10, 10)), part, box, channel)
            return image

        add(f"common_shade_{number}", shaded)


def add_caches(add: Add) -> None:
    def used(e: Env, size: int, in_bytes: bool = False) -> Any:
        lru = module(e, "lru").LRU(size, in_bytes)
        for i in range(6):
            lru[i] = i * 10
            if 2 in lru:
                lru.get(2)
        return lru

    add("lru_keys", lambda e: sorted(used(e, 3).keys()))
    add("lru_len", lambda e: len(used(e, 3)))
    add("lru_get", lambda e: used(e, 3)[2])
    add("lru_get_default", lambda e: used(e, 3).get(77, "d"))
    add("lru_missing", lambda e: used(e, 3)[77])
    add("lru_pop", lambda e: used(e, 3).pop(2))
    add("lru_pop_missing", lambda e: used(e, 3).pop(77))
    add("lru_pop_default", lambda e: used(e, 3).pop(77, None))
    add("lru_delete_missing", lambda e: used(e, 3).delete(77))
    add("lru_zero", lambda e: len(used(e, 0)))
    add("lru_negative", lambda e: used(e, 3).resize(-1))
    add("lru_bytes", lambda e: len(used(e, 200, True)))
    add("lru_values", lambda e: list(used(e, 3).values()))

    def resized(e: Env) -> Any:
        lru = used(e, 5)
        lru.resize(2)
        return [len(lru), 2 in lru, lru.is_oversized()]

    add("lru_resize", resized)

    def linked(e: Env) -> Any:
        found = module(e, "lru").DoublyLinkedList.create([1, 2, 3])
        found.prepend(0)
        found.append(4)
        found.promote_to_head(found.tail)
        found.delete_tail()
        return [found.tolist(), len(found), found.peek_head(), found.peek_tail(), found.is_empty()]

    add("lru_list", linked)
    add(
        "lru_list_empty",
        lambda e: [
            module(e, "lru").DoublyLinkedList().peek_head(),
            module(e, "lru").DoublyLinkedList().tolist(),
        ],
    )
    for encoding in ("raw", "compressed_segmentation"):
        for kept in ("same", "raw"):

            def cached(e: Env, encoding: str = encoding, kept: str = kept) -> Any:
                data = blob("uint32")
                vol = e.new(
                    data, size=data.shape[:3], offset=(0, 0, 0), chunk=(8, 8, 8), dtype="uint32", encoding=encoding,
                    layer_type="segmentation", lru_bytes=1 << 20, lru_encoding=kept,
                )  # fmt: skip
                first = vol[1:9, 2:8, 0:5]
                held = sorted(vol.image.lru.keys())
                again = vol[1:9, 2:8, 0:5]
                vol[0:8, 0:8, 0:8] = np.full((8, 8, 8, 1), 9, np.uint32)
                return [held, bool((first == again).all()), vol[0:8, 0:8, 0:8], len(vol.image.lru)]

            add(f"lru_volume_{encoding}_{kept}", cached)


def add_stores(add: Add) -> None:
    def opened(e: Env, **settings: Any) -> Any:
        storage = e.module.Storage(e.path(), **settings)
        storage.put_file("a/b.txt", b"hello", compress=None)
        storage.put_file("a/c", b"hello" * 10, compress="gzip")
        storage.put_json("info", {"x": 1})
        storage.wait()
        return storage

    calls: dict[str, Callable[[Any], Any]] = {
        "get": lambda s: s.get_file("a/b.txt"),
        "get_gzip": lambda s: s.get_file("a/c"),
        "get_range": lambda s: s.get_file("a/b.txt", 1, 3),
        "get_missing": lambda s: s.get_file("zz"),
        "get_json": lambda s: s.get_json("info"),
        "get_json_missing": lambda s: s.get_json("nope"),
        "get_files": lambda s: sorted(s.get_files(["a/b.txt", "zz"]), key=lambda f: f["filename"]),
        "get_files_ranges": lambda s: sorted(
            s.get_files(["a/b.txt", "a/b.txt"], starts=[0, 1], ends=[2, 3]),
            key=lambda f: f["byte_range"],
        ),
        "exists": lambda s: [s.exists("a/b.txt"), s.exists("a/c"), s.exists("q")],
        "files_exist": lambda s: s.files_exist(["a/b.txt", "q"]),
        "list": lambda s: sorted(s.list_files()),
        "list_prefix": lambda s: sorted(s.list_files("a/b")),
        "list_folder": lambda s: sorted(s.list_files("a/")),
        "list_flat": lambda s: sorted(s.list_files(flat=True)),
        "list_folder_flat": lambda s: sorted(s.list_files("a/", flat=True)),
        "delete": lambda s: [s.delete_file("a/b.txt").wait() is s, s.exists("a/b.txt")],
        "delete_missing": lambda s: s.delete_file("a/none").wait() is s,
        "put_returns_itself": lambda s: s.put_file("x", b"1") is s,
        "put_unknown_compression": lambda s: s.put_file("x", b"1", compress="bogus").wait(),
        "put_number": lambda s: s.put_file("x", 5).wait(),
    }
    for threads in (0, 2):
        for name, function in calls.items():
            add(
                f"storage_{threads}_{name}",
                lambda e, f=function, n=threads: f(opened(e, n_threads=n)),
            )

    where = "scheduler"
    for concurrency in (0, 1, 2, 20):
        add(
            f"scheduler_{concurrency}",
            lambda e, c=concurrency: module(e, where).schedule_jobs(
                [lambda i=i: i * i for i in range(9)], c
            ),
        )
        add(
            f"scheduler_error_{concurrency}",
            lambda e, c=concurrency: module(e, where).schedule_jobs(
                [lambda: {}["x"], lambda: 1], c
            ),
        )
    add("scheduler_negative", lambda e: module(e, where).schedule_jobs([lambda: 1], -1))
    add("scheduler_none", lambda e: module(e, where).schedule_jobs([]))

    def queued(e: Env, threads: int, *functions: Callable[[Any], Any]) -> Any:
        with e.module.ThreadedQueue(n_threads=threads) as queue:
            for function in functions:
                queue.put(function)
            queue.wait()
            return [queue.pending, queue.are_threads_alive()]

    for threads in (0, 1, 3):
        add(f"queue_{threads}", lambda e, n=threads: queued(e, n, *[lambda _: None] * 7))
        add(f"queue_error_{threads}", lambda e, n=threads: queued(e, n, lambda _: {}["x"]))


def add_transfers(add: Add) -> None:
    size, chunk, offset = (64, 48, 32), (32, 24, 16), (8, -24, 16)

    def source(e: Env, **settings: Any) -> Any:
        rng = np.random.default_rng(3)
        data = rng.integers(0, 9, (*size, 1)).astype(np.uint32)
        return e.new(
            data,
            size=size,
            offset=offset,
            chunk=chunk,
            dtype="uint32",
            layer_type="segmentation",
            max_mip=1,
            **settings,
        )

    def moved(e: Env, box: Any = None, **options: Any) -> Any:
        vol = source(e)
        target = e.path()
        out = vol.transfer_to(target, vol.bounds if box is None else e.Bbox(*box), **options)
        fresh = e.CloudVolume(target, fill_missing=True, progress=False)
        folder = target.removeprefix("file://") + "/" + fresh.key
        return [
            type(out).__name__,
            fresh[:],
            fresh.encoding,
            sorted(os.listdir(folder)),
            [int(v) for v in fresh.bounds.to_list()],
        ]

    low, high = offset, tuple(a + b for a, b in zip(offset, size, strict=True))
    add("transfer_whole", moved)
    add("transfer_aligned", lambda e: moved(e, (low, (40, 0, 32))))
    add("transfer_raw", lambda e: moved(e, compress=False))
    add("transfer_br", lambda e: moved(e, compress="br"))
    add("transfer_none", lambda e: moved(e, compress=None))
    add("transfer_encoding", lambda e: moved(e, encoding="compressed_segmentation"))
    add("transfer_outside", lambda e: moved(e, ((0, 0, 0), high)))
    add("transfer_unaligned", lambda e: moved(e, ((10, -20, 20), (40, 0, 32))))
    add("transfer_compress_unknown", lambda e: moved(e, compress="rar"))

    def provenance(e: Env) -> Any:
        vol = source(e)
        vol.provenance.description = "labels"
        vol.provenance.owners.append("a@b.c")
        vol.commit_provenance()
        target = e.path()
        vol.transfer_to(target, vol.bounds)
        found = e.CloudVolume(target, progress=False).provenance
        return [found.description, list(found.owners), list(found.sources)]

    add("transfer_provenance", provenance)

    def changed(e: Env, change: Callable[[Any], None]) -> Any:
        vol = source(e)
        change(vol)
        vol.commit_provenance()
        again = e.CloudVolume(vol.cloudpath, progress=False)
        found = again.provenance
        return [
            found.description,
            list(found.sources),
            list(found.owners),
            [dict(s) for s in found.processing],
        ]

    def assign(vol: Any, value: Any) -> None:
        vol.provenance = value

    edits: dict[str, Callable[[Any], None]] = {
        "description": lambda v: setattr(v.provenance, "description", "x"),
        "owners": lambda v: v.provenance.owners.append("someone"),
        "processing": lambda v: v.provenance.processing.append({"method": {"a": 1}, "by": "me"}),
        "sources": lambda v: setattr(v.provenance, "sources", ["one", "two"]),
        "assigned_dict": lambda v: assign(
            v, {"description": "d", "sources": ["s"], "processing": [], "owners": ["o"]}
        ),
        "assigned_partial": lambda v: assign(v, {"description": "d", "owners": ["o"]}),
        "assigned_text": lambda v: assign(
            v, '{"description": "d", "sources": [], "processing": [], "owners": ["o"]}'
        ),
    }
    for name, edit in edits.items():
        add(f"provenance_edit_{name}", lambda e, f=edit: changed(e, f))

    where = "datasource"
    for number, extents in enumerate([(32, 24, 16), (64, 24, 16), (40, 24, 16), (64, 48, 32)]):

        def pieces(e: Env, extents: Any = extents) -> Any:
            vol = source(e)
            image = np.zeros((*extents, 1), np.uint32)
            return list(module(e, where).generate_chunks(vol.meta, image, e.Vec(*offset), 0))

        add(f"datasource_generate_{number}", pieces)

    def aligned(e: Env, extents: Any, throw: bool) -> Any:
        vol = source(e)
        box = e.Bbox(offset, [a + b for a, b in zip(offset, extents, strict=True)])
        image = np.zeros((*extents, 1), np.uint32)
        return module(e, where).check_grid_aligned(vol.meta, image, box, 0, throw)

    add("datasource_unaligned_raises", lambda e: aligned(e, (31, 24, 16), True))

    def cropped(e: Env) -> Any:
        vol = source(e)
        box = e.Bbox((0, -24, 16), (40, 0, 32))
        return module(e, where).autocropfn(vol.meta, np.ones((40, 24, 16, 1), np.uint32), box, 0)

    add("datasource_autocrop", cropped)
    for number, arguments in enumerate(
        [
            (True, "file:///a/ds/l"),
            ("/c", "gs://b/ds/l"),
            (False, "gs://b/l"),
            ("/c", "zarr://gs://b/d/l"),
        ]
    ):
        add(
            f"datasource_cache_path_{number}",
            lambda e, a=arguments: module(e, where).get_cache_path(*a),
        )
    for value in (0, 1, True, False, 3, -1):
        add(
            f"threads_{value!r}", lambda e, v=value: module(e, "cloudvolume").compute_num_threads(v)
        )


def add_pickles(add: Add) -> None:
    import pickle

    def again(e: Env, value: Any) -> Any:
        return pickle.loads(pickle.dumps(value))

    add("pickle_vec", lambda e: again(e, e.Vec(1, 2, 3)))
    add("pickle_bbox", lambda e: again(e, e.Bbox((1, 2, 3), (4, 5, 6))))

    def volume(e: Env, **settings: Any) -> Any:
        data = blob("uint8")
        vol = e.new(data, size=data.shape[:3], offset=(0, 0, 0), chunk=(8, 8, 8), **settings)
        found = again(e, vol)
        return [
            found[:],
            found.layer,
            found.mip,
            found.bounded,
            found.fill_missing,
            found.autocrop,
        ]

    add("pickle_volume", volume)
    add(
        "pickle_volume_settings",
        lambda e: volume(e, bounded=False, fill_missing=True, autocrop=True),
    )


def add_all(add: Add) -> None:
    for part in (
        add_helpers,
        add_paths,
        add_chunks,
        add_common,
        add_caches,
        add_stores,
        add_transfers,
        add_pickles,
    ):
        part(add)
