# SPDX-License-Identifier: BSD-3-Clause
"""The same calls on cloud-volume and on this package, and what differs.

Run by hand, with a python that has cloud-volume and one that has this package::

    python-with-cloud-volume tests/parity/compare.py run cloudvolume upstream.json
    python-with-this-package tests/parity/compare.py run cloudvolume_fast ours.json
    python tests/parity/compare.py diff upstream.json ours.json

Differences that are meant are listed in ``cloudvolume_fast/compat/deviations.md``.
"""

from __future__ import annotations

import bz2
import contextlib
import gzip
import hashlib
import importlib
import io
import json
import lzma
import os
import pickle
import sys
import tempfile
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).parent))
import layer_calls
import more_calls

CALLS: dict[str, Callable[[Env], Any]] = {}
SIZE, OFFSET, CHUNK = (100, 90, 40), (10, -20, 30), (32, 32, 16)


class Env:
    """One package under test, and a fresh folder per call."""

    def __init__(self, package: str, folder: Path) -> None:
        self.module = importlib.import_module(package)
        self.CloudVolume = self.module.CloudVolume
        self.Bbox = self.module.Bbox
        self.Vec = self.module.Vec
        self.folder = folder
        self.number = 0

    def path(self) -> str:
        self.number += 1
        return f"file://{self.folder}/ds{self.number}/layer"

    def new(
        self,
        data: np.ndarray | None,
        *,
        size: tuple[int, ...] = SIZE,
        offset: tuple[int, ...] = OFFSET,
        chunk: tuple[int, ...] = CHUNK,
        dtype: str = "uint8",
        channels: int = 1,
        encoding: str = "raw",
        max_mip: int = 0,
        resolution: tuple[float, ...] = (4, 4, 40),
        layer_type: str = "image",
        options: dict[str, Any] | None = None,
        **settings: Any,
    ) -> Any:
        """Write `data` as a new layer and open it with `settings`."""
        info = self.CloudVolume.create_new_info(
            channels,
            layer_type,
            dtype,
            encoding,
            resolution,
            offset,
            size,
            chunk_size=chunk,
            max_mip=max_mip,
        )
        for name, value in (options or {}).items():
            info["scales"][0][name] = value
        path = self.path()
        vol = self.CloudVolume(path, info=info, progress=False)
        vol.commit_info()
        vol.commit_provenance()
        if data is not None:
            vol[:, :, :] = data
        return self.CloudVolume(path, progress=False, **settings)


def tiny(
    seed: int, size: tuple[int, ...] = SIZE, dtype: str = "uint8", channels: int = 1
) -> np.ndarray:
    rng = np.random.default_rng(seed)
    if np.dtype(dtype).kind == "f":
        return rng.random((*size, channels)).astype(dtype)
    top = min(int(np.iinfo(dtype).max), 200)
    return rng.integers(0, top, (*size, channels), dtype=dtype)


def describe(value: Any) -> Any:
    """Turn a result into JSON that shows everything a caller could notice."""
    if isinstance(value, np.ndarray) and type(value).__name__ == "Vec":
        return ["Vec", value.dtype.kind, [v.item() for v in np.asarray(value)]]
    if isinstance(value, np.ndarray):
        bits = hashlib.sha256(np.asarray(value).tobytes(order="F")).hexdigest()[:12]
        fortran = bool(value.flags.f_contiguous)
        return [
            type(value).__name__,
            list(value.shape),
            value.dtype.name,
            "F" if fortran else "other",
            bits,
        ]
    if isinstance(value, layer_calls.Near):
        return value.described
    if isinstance(value, np.generic):
        return [
            "scalar",
            value.dtype.name,
            value.item() if value.dtype.kind != "f" else repr(value.item()),
        ]
    if type(value).__name__ == "Bbox":
        return ["Bbox", [float(v) for v in value.to_list()], str(value.unit)]
    if isinstance(value, dict):
        return ["dict", sorted(([repr_key(k), describe(v)] for k, v in value.items()), key=str)]
    if isinstance(value, (set, frozenset)):
        return ["set", sorted((describe(v) for v in value), key=str)]
    if isinstance(value, slice):
        return ["slice", describe(value.start), describe(value.stop), describe(value.step)]
    if isinstance(value, (list, tuple, range)):
        return [type(value).__name__, [describe(v) for v in value]]
    if isinstance(value, bytes):
        return ["bytes", len(value), hashlib.sha256(value).hexdigest()[:12]]
    if value is None or isinstance(value, (bool, int, float, str)):
        return repr(value) if isinstance(value, float) else value
    if isinstance(value, np.dtype):
        return ["dtype", value.name]
    return f"<{type(value).__name__}>"


def repr_key(key: Any) -> Any:
    if isinstance(key, tuple):
        return [repr_key(part) for part in key]
    if isinstance(key, np.generic):
        return key.item()
    return key


def describe_error(error: BaseException) -> Any:
    builtin = [
        c.__name__ for c in type(error).__mro__ if c.__module__ == "builtins" and c is not object
    ]
    return {"error": type(error).__name__, "builtin": [b for b in builtin if b != "BaseException"]}


_OPENERS = {".gz": gzip.decompress, ".bz2": bz2.decompress, ".xz": lzma.decompress}


def stored(vol: Any) -> dict[str, Any]:
    """Every chunk file of the current scale with its decompressed content."""
    folder = Path(vol.cloudpath.removeprefix("file://")) / vol.key
    out = {}
    for file in sorted(folder.glob("*")) if folder.exists() else []:
        opener = _OPENERS.get(file.suffix, lambda data: data)
        out[file.name] = hashlib.sha256(opener(file.read_bytes())).hexdigest()[:12]
    return out


def call(function: Callable[[Env], Any]) -> Callable[[Env], Any]:
    CALLS[function.__name__.lstrip("_")] = function
    return function


def add(name: str, function: Callable[[Env], Any]) -> None:
    assert name not in CALLS, name
    CALLS[name] = function


# Reading: what stands between the brackets.
INDICES: dict[str, Callable[[Env], Any]] = {
    "all": lambda e: np.s_[:],
    "ellipsis": lambda e: np.s_[...],
    "int_x": lambda e: np.s_[15],
    "float_x": lambda e: np.s_[15.9],
    "float_negative": lambda e: np.s_[15, -0.9, 31],
    "ints": lambda e: np.s_[15, 0, 31],
    "np_ints": lambda e: (np.int64(15), np.uint8(0), np.int16(31)),
    "bool_index": lambda e: (True, 0, 31),
    "open_start": lambda e: np.s_[:20],
    "open_stop": lambda e: np.s_[100:],
    "steps": lambda e: np.s_[10:50:3, ::7, 31:60:2],
    "step_beyond": lambda e: np.s_[10:20:100],
    "step_zero": lambda e: np.s_[10:20:0],
    "step_negative": lambda e: np.s_[50:10:-1],
    "step_all_negative": lambda e: np.s_[::-1],
    "negative_outside": lambda e: np.s_[-1],
    "negative_stop": lambda e: np.s_[10:-1],
    "negative_inside": lambda e: np.s_[10:12, -20:-18, 30:31],
    "outside": lambda e: np.s_[0:20],
    "outside_high": lambda e: np.s_[100:111],
    "stop_at_bound": lambda e: np.s_[100:110],
    "outside_wholly": lambda e: np.s_[500:510],
    "empty": lambda e: np.s_[50:50],
    "reversed": lambda e: np.s_[50:10],
    "channel_int": lambda e: np.s_[10:20, 0:5, 30:33, 0],
    "channel_int_beyond": lambda e: np.s_[10:20, 0:5, 30:33, 1],
    "channel_negative": lambda e: np.s_[10:20, 0:5, 30:33, -1],
    "channel_slice": lambda e: np.s_[10:20, 0:5, 30:33, 0:1],
    "channel_slice_beyond": lambda e: np.s_[10:20, 0:5, 30:33, 5:6],
    "ellipsis_channel": lambda e: np.s_[..., 0],
    "ellipsis_middle": lambda e: np.s_[15, ..., 0],
    "ellipsis_end": lambda e: np.s_[15, 0, ...],
    "two_ellipses": lambda e: np.s_[..., 0, ...],
    "fifth_full": lambda e: np.s_[10:12, 0:2, 30:31, :, :],
    "fifth_one": lambda e: np.s_[10:12, 0:2, 30:31, :, 0:1],
    "fifth_two": lambda e: np.s_[10:12, 0:2, 30:31, :, 0:2],
    "sixth": lambda e: np.s_[10:12, 0:2, 30:31, :, :, :],
    "list_of_slices": lambda e: [slice(10, 12), slice(0, 2), slice(30, 31)],
    "bbox": lambda e: e.Bbox((10, -20, 30), (20, -10, 40)),
    "bbox_nm": lambda e: e.Bbox((40, -80, 1200), (80, -40, 1600), unit="nm"),
    "bbox_outside": lambda e: e.Bbox((0, -20, 30), (20, -10, 40)),
    "bbox_float": lambda e: e.Bbox((10.7, -19.2, 30.5), (20.9, -10.1, 40.5)),
    "bbox_empty": lambda e: e.Bbox((10, 0, 30), (10, 5, 40)),
    "points_lists": lambda e: ([10, 11, 10], [0, 1, 0], [30, 40, 30]),
    "points_arrays": lambda e: tuple(np.array(v) for v in ([10, 11], [0, 1], [30, 40])),
    "points_tuples": lambda e: ((10, 11), (0, 1), (30, 40)),
    "points_ranges": lambda e: (range(10, 12), range(2), range(30, 32)),
    "points_uneven": lambda e: ([10, 11], [0], [30]),
    "points_outside": lambda e: ([10, 1000], [0, 0], [30, 30]),
    "points_empty": lambda e: ([], [], []),
    "points_mixed": lambda e: ([10, 11], slice(0, 2), [30, 31]),
    "string": lambda e: "10-20_0-10_30-40",
    "none": lambda e: None,
    "vec": lambda e: e.Vec(15, 0, 31),
    "array_index": lambda e: np.array([15, 0, 31]),
}
for _name, _index in INDICES.items():
    add(f"get_{_name}", lambda e, index=_index: e.new(tiny(1))[index(e)])
for _name in (
    "all",
    "outside",
    "outside_wholly",
    "empty",
    "points_outside",
    "negative_stop",
    "bbox_outside",
):
    for _label, _settings in {
        "unbounded": {"bounded": False},
        "unbounded_fill": {"bounded": False, "fill_missing": True},
        "autocrop": {"autocrop": True},
        "unbounded_autocrop": {"bounded": False, "autocrop": True},
        "background": {"bounded": False, "background_color": 7},
    }.items():
        add(
            f"get_{_label}_{_name}",
            lambda e, index=INDICES[_name], settings=_settings: e.new(tiny(1), **settings)[
                index(e)
            ],
        )
for _name in (
    "int_x",
    "channel_int",
    "channel_slice_beyond",
    "channel_int_beyond",
    "ellipsis_channel",
    "points_lists",
    "ints",
):
    add(
        f"get_channels_{_name}",
        lambda e, index=INDICES[_name]: e.new(tiny(1, channels=3), channels=3)[index(e)],
    )
add("get_channels_two", lambda e: e.new(tiny(1, channels=3), channels=3)[..., 1:3])
add("get_channels_step", lambda e: e.new(tiny(1, channels=3), channels=3)[..., ::2])
add("get_channels_reversed", lambda e: e.new(tiny(1, channels=3), channels=3)[..., ::-1])

# Reading: download.
BOX = ((20, -10, 35), (60, 40, 60))
BOXES: dict[str, Callable[[Env], Any]] = {
    "bbox": lambda e: e.Bbox(*BOX),
    "slices": lambda e: np.s_[20:60, -10:40, 35:60],
    "slices_partial": lambda e: np.s_[20:60, -10:40],
    "slice_one": lambda e: np.s_[20:60],
    "slices_list": lambda e: list(np.s_[20:60, -10:40, 35:60]),
    "six": lambda e: (20, -10, 35, 60, 40, 60),
    "six_list": lambda e: [20, -10, 35, 60, 40, 60],
    "filename": lambda e: "20-60_-10-40_35-60",
    "dict": lambda e: {"minpt": BOX[0], "maxpt": BOX[1]},
    "dict_dtype": lambda e: {"minpt": BOX[0], "maxpt": BOX[1], "dtype": "int32"},
    "nm": lambda e: e.Bbox(np.array(BOX[0]) * (4, 4, 40), np.array(BOX[1]) * (4, 4, 40), unit="nm"),
    "none": lambda e: None,
    "int": lambda e: 15,
    "outside": lambda e: e.Bbox((0, 0, 30), (20, 10, 40)),
    "empty": lambda e: e.Bbox((20, 0, 30), (20, 10, 40)),
    "single": lambda e: e.Bbox((20, 0, 30), (21, 1, 31)),
}
for _name, _box in BOXES.items():
    add(f"download_{_name}", lambda e, box=_box: e.new(tiny(1)).download(box(e)))
add(
    "download_vec",
    lambda e: e.new(tiny(1, (20, 20, 20)), size=(20, 20, 20), offset=(0, 0, 0)).download(
        e.Vec(5, 6, 7)
    ),
)
for _name in ("outside", "empty"):
    add(
        f"download_autocrop_{_name}",
        lambda e, box=BOXES[_name]: e.new(tiny(1), autocrop=True).download(box(e)),
    )
add(
    "download_single_channels",
    lambda e: e.new(tiny(1, channels=2), channels=2).download(BOXES["single"](e)),
)


def labels(
    seed: int, count: int, size: tuple[int, ...] = SIZE, dtype: str = "uint32"
) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, count, (*size, 1)).astype(dtype)


def seg(
    e: Env, count: int = 50, dtype: str = "uint32", encoding: str = "raw", **settings: Any
) -> Any:
    return e.new(
        labels(2, count, dtype=dtype),
        dtype=dtype,
        encoding=encoding,
        layer_type="segmentation",
        **settings,
    )


for _encoding in ("raw", "compressed_segmentation"):
    for _dtype in ("uint32", "uint64"):
        _t = f"{_encoding}_{_dtype}"
        _mk = lambda e, encoding=_encoding, dtype=_dtype: seg(e, encoding=encoding, dtype=dtype)  # noqa: E731
        add(f"{_t}_all", lambda e, mk=_mk: mk(e)[:])
        add(f"{_t}_renumber", lambda e, mk=_mk: mk(e).download(e.Bbox(*BOX), renumber=True))
        add(f"{_t}_label", lambda e, mk=_mk: mk(e).download(e.Bbox(*BOX), label=7))
        add(f"{_t}_label_zero", lambda e, mk=_mk: mk(e).download(e.Bbox(*BOX), label=0))
        add(f"{_t}_label_huge", lambda e, mk=_mk: mk(e).download(e.Bbox(*BOX), label=2**40))
        add(f"{_t}_label_negative", lambda e, mk=_mk: mk(e).download(e.Bbox(*BOX), label=-1))
        add(f"{_t}_segids", lambda e, mk=_mk: mk(e).download(e.Bbox(*BOX), segids=[3, 5, 2**40]))
        add(
            f"{_t}_segids_preserve",
            lambda e, mk=_mk: mk(e).download(e.Bbox(*BOX), segids=[3, 5], preserve_zeros=True),
        )
        add(f"{_t}_segids_empty", lambda e, mk=_mk: mk(e).download(e.Bbox(*BOX), segids=[]))
        add(f"{_t}_unique", lambda e, mk=_mk: mk(e).unique(e.Bbox(*BOX)))
        add(
            f"{_t}_single_renumber",
            lambda e, mk=_mk: mk(e).download(e.Bbox((20, 0, 30), (21, 1, 31)), renumber=True),
        )
        add(
            f"{_t}_single_label",
            lambda e, mk=_mk: mk(e).download(e.Bbox((20, 0, 30), (21, 1, 31)), label=7),
        )
add("segids_set", lambda e: seg(e).download(e.Bbox(*BOX), segids={3, 5}))
add("segids_int", lambda e: seg(e).download(e.Bbox(*BOX), segids=3))
add("segids_array", lambda e: seg(e).download(e.Bbox(*BOX), segids=np.array([3, 5], np.uint64)))
add("segids_renumber", lambda e: seg(e).download(e.Bbox(*BOX), segids=[3, 5], renumber=True))
add("label_renumber", lambda e: seg(e).download(e.Bbox(*BOX), label=3, renumber=True))
add("label_segids", lambda e: seg(e).download(e.Bbox(*BOX), label=3, segids=[3]))
add(
    "renumber_many",
    lambda e: seg(e, 200000).download(e.Bbox((10, -20, 30), (110, 70, 70)), renumber=True),
)
add(
    "renumber_background",
    lambda e: seg(e, background_color=7).download(e.Bbox(*BOX), renumber=True),
)
add("renumber_parallel", lambda e: seg(e).download(e.Bbox(*BOX), renumber=True, parallel=2))
add("renumber_image", lambda e: e.new(tiny(1)).download(e.Bbox(*BOX), renumber=True))
add(
    "renumber_outside",
    lambda e: seg(e, bounded=False).download(e.Bbox((500, 0, 0), (510, 10, 10)), renumber=True),
)
add("crackle_image", lambda e: e.new(tiny(1)).download(e.Bbox(*BOX), crackle=True))
add("unique_image", lambda e: e.new(tiny(1)).unique(e.Bbox(*BOX)))
add("unique_slices", lambda e: seg(e).unique(np.s_[20:60, 0:10, 30:32]))
add("unique_outside", lambda e: seg(e).unique(e.Bbox((0, 0, 30), (20, 10, 40))))
add(
    "unique_autocrop",
    lambda e: seg(e, bounded=False, autocrop=True).unique(e.Bbox((0, 0, 30), (20, 10, 40))),
)
add(
    "float_label",
    lambda e: e.new(tiny(1, dtype="float32"), dtype="float32").download(e.Bbox(*BOX), label=1),
)


def pyramid(e: Env, **settings: Any) -> Any:
    vol = e.new(tiny(1), max_mip=2, **settings)
    for mip in (1, 2):
        at = e.CloudVolume(vol.cloudpath, mip=mip, progress=False)
        at[:, :, :] = tiny(10 + mip, tuple(at.volume_size))
    return vol


add("mip_download", lambda e: pyramid(e).download(e.Bbox((10, -10, 35), (30, 20, 60)), mip=1))
add(
    "mip_download_resolution",
    lambda e: pyramid(e).download(e.Bbox((10, -10, 35), (30, 20, 60)), mip=[8, 8, 40]),
)
add(
    "mip_download_outside_mip0",
    lambda e: pyramid(e).download(e.Bbox((5, -10, 30), (20, 20, 60)), mip=1),
)
add("mip_download_beyond", lambda e: pyramid(e).download(e.Bbox((5, -10, 30), (20, 20, 60)), mip=3))
add(
    "mip_coord_resolution",
    lambda e: pyramid(e).download(
        e.Bbox((20, -20, 35), (60, 40, 60)), mip=1, coord_resolution=(4, 4, 40)
    ),
)
add(
    "mip_coord_resolution_fraction",
    lambda e: pyramid(e).download(
        e.Bbox((21, -11, 35), (61, 41, 60)), mip=1, coord_resolution=(4, 4, 40)
    ),
)
add(
    "mip_coord_resolution_slices",
    lambda e: pyramid(e).download(np.s_[20:60, -20:40, 35:60], mip=1, coord_resolution=(4, 4, 40)),
)
add(
    "mip_coord_resolution_nm",
    lambda e: pyramid(e).download(
        e.Bbox((80, -40, 1400), (240, 160, 2400)), mip=0, coord_resolution=(1, 1, 1)
    ),
)
add("mip_negative", lambda e: e.CloudVolume(pyramid(e).cloudpath, mip=-1).mip)
add("mip_float", lambda e: e.CloudVolume(pyramid(e).cloudpath, mip=1.0).mip)
add("mip_string", lambda e: e.CloudVolume(pyramid(e).cloudpath, mip="1").mip)
add("mip_beyond", lambda e: e.CloudVolume(pyramid(e).cloudpath, mip=3).mip)
add("mip_negative_beyond", lambda e: e.CloudVolume(pyramid(e).cloudpath, mip=-4).mip)
add("mip_by_resolution", lambda e: e.CloudVolume(pyramid(e).cloudpath, mip=(16, 16, 40)).mip)
add(
    "mip_by_unknown_resolution", lambda e: e.CloudVolume(pyramid(e).cloudpath, mip=(17, 16, 40)).mip
)


# Points.
add("point_default", lambda e: e.new(tiny(1)).download_point((60, 20, 50), size=16))
add("point_odd", lambda e: e.new(tiny(1)).download_point((60, 20, 50), size=15))
add("point_sizes", lambda e: e.new(tiny(1)).download_point((60, 20, 50), size=(10, 1, 7)))
add("point_one", lambda e: e.new(tiny(1)).download_point((60, 20, 50), size=1))
add("point_256", lambda e: e.new(tiny(1)).download_point((60, 20, 50)))
add(
    "point_256_autocrop",
    lambda e: e.new(tiny(1), bounded=False, autocrop=True).download_point((60, 20, 50)),
)
add("point_mip", lambda e: pyramid(e).download_point((61, 21, 50), size=6, mip=1))
add(
    "point_coord_resolution",
    lambda e: pyramid(e).download_point((240, 80, 2000), size=6, mip=1, coord_resolution=(1, 1, 1)),
)
add("point_float", lambda e: e.new(tiny(1)).download_point((60.7, 20.2, 50.5), size=6))
add("scattered", lambda e: e.new(tiny(1)).scattered_points([(10, 0, 30), (11, 1, 40), (10, 0, 30)]))
add("scattered_one", lambda e: e.new(tiny(1)).scattered_points((10, 0, 30)))
add(
    "scattered_array",
    lambda e: e.new(tiny(1)).scattered_points(np.array([(10, 0, 30), (60, 20, 50)])),
)
add("scattered_set", lambda e: e.new(tiny(1)).scattered_points({(10, 0, 30)}))
add("scattered_float", lambda e: e.new(tiny(1)).scattered_points([(10.9, -0.5, 30.1)]))
add("scattered_mip", lambda e: pyramid(e).scattered_points([(21, 1, 33), (20, 0, 33)], mip=1))
add(
    "scattered_coord_resolution",
    lambda e: pyramid(e).scattered_points([(240, 80, 2000)], mip=1, coord_resolution=(1, 1, 1)),
)
add("scattered_outside", lambda e: e.new(tiny(1)).scattered_points([(0, 0, 0)]))
add(
    "scattered_channels",
    lambda e: e.new(tiny(1, channels=2), channels=2).scattered_points([(10, 0, 30)]),
)
add(
    "scattered_segmentation",
    lambda e: seg(e, encoding="compressed_segmentation").scattered_points(
        [(10, 0, 30), (60, 20, 50)]
    ),
)


# Missing chunks and regions of interest.
def sparse(e: Env, **settings: Any) -> Any:
    vol = e.new(None, **settings)
    at = e.CloudVolume(vol.cloudpath, progress=False)
    at[10:42, -20:12, 30:46] = tiny(1, (32, 32, 16))
    return vol


add("missing", lambda e: sparse(e)[:])
add("missing_fill", lambda e: sparse(e, fill_missing=True)[:])
add("missing_fill_background", lambda e: sparse(e, fill_missing=True, background_color=9)[:])
add("missing_single", lambda e: sparse(e)[100, 0, 31])
add("missing_points", lambda e: sparse(e)[[100, 10], [0, 0], [31, 31]])
add(
    "missing_points_fill",
    lambda e: sparse(e, fill_missing=True, background_color=9)[[100, 10], [0, 0], [31, 31]],
)
add("missing_scattered", lambda e: sparse(e).scattered_points([(100, 0, 31)]))
add(
    "missing_scattered_fill",
    lambda e: sparse(e, fill_missing=True).scattered_points([(100, 0, 31)]),
)
add("missing_unique", lambda e: sparse(e).unique(e.Bbox((10, -20, 30), (110, 70, 70))))
add(
    "missing_unique_fill",
    lambda e: sparse(e, fill_missing=True, background_color=9).unique(
        e.Bbox((10, -20, 30), (110, 70, 70))
    ),
)
add(
    "missing_nan",
    lambda e: e.new(None, dtype="float32", fill_missing=True, background_color=float("nan"))[
        10:12, 0:2, 30:32
    ],
)


def zero_byte(e: Env, **settings: Any) -> Any:
    vol = sparse(e, **settings)
    for file in (Path(vol.cloudpath.removeprefix("file://")) / vol.key).iterdir():
        file.unlink()
        file.with_suffix("").write_bytes(b"")
    return vol[10:12, 0:2, 30:32]


add("zero_byte", zero_byte)
add("zero_byte_fill", lambda e: zero_byte(e, fill_missing=True))

ROIS = {"rois": [[20, -10, 35, 40, 10, 50]]}
add("roi_outside", lambda e: e.new(tiny(1), options=ROIS)[80:90, 0:10, 30:40])
add("roi_inside", lambda e: e.new(tiny(1), options=ROIS)[20:40, -10:10, 35:50])
add("roi_overlap", lambda e: e.new(tiny(1), options=ROIS)[30:90, 0:10, 30:40])
add("roi_touching", lambda e: e.new(tiny(1), options=ROIS)[40:50, 0:10, 35:40])
add(
    "roi_background", lambda e: e.new(tiny(1), options=ROIS, background_color=5)[80:90, 0:10, 30:40]
)
add(
    "roi_label",
    lambda e: e.new(tiny(1), options=ROIS).download(e.Bbox((80, 0, 30), (90, 10, 40)), label=0),
)


# Writing.
def write(
    e: Env,
    index: Any,
    image: Any,
    *,
    over: bool = True,
    dtype: str = "uint8",
    channels: int = 1,
    **settings: Any,
) -> Any:
    vol = e.new(
        tiny(1, dtype=dtype, channels=channels) if over else None,
        dtype=dtype,
        channels=channels,
        **settings,
    )
    vol[index(e) if callable(index) else index] = image
    return stored(vol)


_ALIGNED = np.s_[10:42, -20:12, 30:46]
_A = tiny(5, (32, 32, 16))
WRITES: dict[str, tuple[Any, Any, dict[str, Any]]] = {
    "all": (np.s_[:], tiny(5), {}),
    "aligned": (_ALIGNED, _A, {}),
    "aligned_3d": (_ALIGNED, _A[..., 0], {}),
    "aligned_c_order": (_ALIGNED, np.ascontiguousarray(_A), {}),
    "aligned_fortran": (_ALIGNED, np.asfortranarray(_A), {}),
    "aligned_reversed": (_ALIGNED, _A[::-1, ::-1, ::-1], {}),
    "aligned_bbox": (lambda e: e.Bbox((10, -20, 30), (42, 12, 46)), _A, {}),
    "bbox_nm": (lambda e: e.Bbox((40, -80, 1200), (168, 48, 1840), unit="nm"), _A, {}),
    "to_the_end": (np.s_[106:110, 44:70, 62:70], tiny(5, (4, 26, 8)), {}),
    "list": (_ALIGNED, _A.tolist(), {}),
    "scalar": (_ALIGNED, 7, {}),
    "scalar_zero": (_ALIGNED, 0, {}),
    "scalar_float": (_ALIGNED, 7.5, {}),
    "scalar_whole_float": (_ALIGNED, 7.0, {}),
    "scalar_negative": (_ALIGNED, -1, {}),
    "scalar_300": (_ALIGNED, 300, {}),
    "scalar_np_uint8": (_ALIGNED, np.uint8(7), {}),
    "scalar_np_int64": (_ALIGNED, np.int64(7), {}),
    "scalar_bool": (_ALIGNED, True, {}),
    "shape": (_ALIGNED, _A[:5], {}),
    "shape_2d": (_ALIGNED, _A[:, :, 0, 0], {}),
    "shape_5d": (_ALIGNED, _A[..., np.newaxis], {}),
    "dtype": (_ALIGNED, _A.astype(np.uint16), {}),
    "dtype_float": (_ALIGNED, _A.astype(np.float32), {}),
    "outside": (np.s_[0:32, -20:12, 30:46], _A, {}),
    "outside_unbounded": (np.s_[-22:42, -20:12, 30:46], tiny(5, (64, 32, 16)), {"bounded": False}),
    "outside_autocrop": (
        np.s_[-22:42, -20:12, 30:46],
        tiny(5, (64, 32, 16)),
        {"bounded": False, "autocrop": True},
    ),
    "outside_autocrop_unaligned": (
        np.s_[-22:40, -20:12, 30:46],
        tiny(5, (62, 32, 16)),
        {"bounded": False, "autocrop": True},
    ),
    "outside_wholly_autocrop": (
        np.s_[-54:-22, -20:12, 30:46],
        _A,
        {"bounded": False, "autocrop": True},
    ),
    "bounded_autocrop": (np.s_[-22:42, -20:12, 30:46], tiny(5, (64, 32, 16)), {"autocrop": True}),
    "unaligned": (np.s_[11:43, -20:12, 30:46], _A, {}),
    "unaligned_merge": (np.s_[11:43, -20:12, 30:46], _A, {"non_aligned_writes": True}),
    "unaligned_merge_small": (
        np.s_[11:13, -19:-12, 31:36],
        tiny(5, (2, 7, 5)),
        {"non_aligned_writes": True},
    ),
    "unaligned_merge_missing": (
        np.s_[11:43, -20:12, 30:46],
        _A,
        {"non_aligned_writes": True, "over": False},
    ),
    "unaligned_merge_fill": (
        np.s_[11:43, -20:12, 30:46],
        _A,
        {"non_aligned_writes": True, "over": False, "fill_missing": True},
    ),
    "unaligned_merge_fill_background": (
        np.s_[11:43, -20:12, 30:46],
        _A,
        {"non_aligned_writes": True, "over": False, "fill_missing": True, "background_color": 9},
    ),
    "unaligned_overwrite": (
        np.s_[11:43, -20:12, 30:46],
        _A,
        {"non_aligned_writes": True, "overwrite_partial_chunks": True},
    ),
    "unaligned_autocrop_merge": (
        np.s_[-22:40, -20:12, 30:46],
        tiny(5, (62, 32, 16)),
        {"bounded": False, "autocrop": True, "non_aligned_writes": True},
    ),
    "overwrite_alone": (np.s_[11:43, -20:12, 30:46], _A, {"overwrite_partial_chunks": True}),
    "overwrite_alone_aligned": (_ALIGNED, _A, {"overwrite_partial_chunks": True}),
    "empty": (np.s_[10:10, -20:12, 30:46], _A[:0], {}),
    "empty_scalar": (np.s_[10:10], 5, {}),
    "reversed": (np.s_[42:10, -20:12, 30:46], _A, {}),
    "step": (np.s_[10:42:2, -20:12, 30:46], _A[::2], {}),
    "step_one": (np.s_[10:42:1, -20:12, 30:46], _A, {}),
    "delete_black": (_ALIGNED, np.zeros_like(_A), {"delete_black_uploads": True}),
    "delete_black_kept": (_ALIGNED, _A, {"delete_black_uploads": True}),
    "delete_background": (
        _ALIGNED,
        np.full_like(_A, 9),
        {"delete_black_uploads": True, "background_color": 9},
    ),
    "channel_zero": ((*_ALIGNED, 0), _A, {}),
    "channel_slice": ((*_ALIGNED, slice(0, 1)), _A, {}),
    "channels_all": (_ALIGNED, tiny(5, (32, 32, 16), channels=2), {"channels": 2}),
    "channels_one_given": (_ALIGNED, _A, {"channels": 2}),
    "channels_3d_given": (_ALIGNED, _A[..., 0], {"channels": 2}),
    "channels_scalar": (_ALIGNED, 7, {"channels": 2}),
    "compress_none": (_ALIGNED, _A, {"over": False, "compress": False}),
    "compress_br": (_ALIGNED, _A, {"over": False, "compress": "br"}),
    "compress_gzip": (_ALIGNED, _A, {"over": False, "compress": "gzip"}),
    "compress_unknown": (_ALIGNED, _A, {"over": False, "compress": "rar"}),
    "points": (([10, 11], [0, 1], [30, 31]), np.array([1, 2], np.uint8), {}),
    "int_index": (np.s_[10, -20, 30], 5, {"non_aligned_writes": True}),
    "string": ("10-42_-20-12_30-46", _A, {}),
    "volume_cutout_list_point": (np.s_[10:12], _A, {}),
}
for _name, (_index, _image, _settings) in WRITES.items():
    add(f"set_{_name}", lambda e, a=(_index, _image, _settings): write(e, a[0], a[1], **a[2]))
add("set_signed_scalar", lambda e: write(e, _ALIGNED, -1, dtype="int32"))
add("set_float_scalar_int", lambda e: write(e, _ALIGNED, 3, dtype="float32"))
add("set_float_scalar_float", lambda e: write(e, _ALIGNED, 3.5, dtype="float32"))
add("set_float_scalar_float64", lambda e: write(e, _ALIGNED, np.float64(3.5), dtype="float32"))
add("set_cseg_default_block", lambda e: stored(seg(e, encoding="compressed_segmentation")))


def upload(e: Env, *args: Any, **kwargs: Any) -> Any:
    vol = e.new(None)
    vol.image.upload(*args, **kwargs)
    return stored(vol)


add("image_upload_offset", lambda e: upload(e, _A, (10, -20, 30), 0))
add("image_upload_vec", lambda e: upload(e, _A, e.Vec(10, -20, 30), 0))
add("image_download", lambda e: e.new(tiny(1)).image.download(e.Bbox(*BOX), 0))
add("image_download_label", lambda e: e.new(tiny(1)).image.download(e.Bbox(*BOX), 0, label=3))
add("image_has_data", lambda e: [e.new(tiny(1)).image.has_data(0), e.new(None).image.has_data(0)])
add("image_has_data_mips", lambda e: [pyramid(e).image.has_data(m) for m in range(3)])
add("image_unique", lambda e: seg(e).image.unique(e.Bbox(*BOX), 0))
add("image_grid_size", lambda e: e.new(tiny(1)).image.grid_size(0))
add("image_exists", lambda e: sparse(e).image.exists(e.Bbox((10, -20, 30), (74, 12, 46)), 0))


# Existence and deletion.
add("exists", lambda e: sparse(e).exists(e.Bbox((10, -20, 30), (74, 12, 46))))
add("exists_unaligned", lambda e: sparse(e).exists(np.s_[11:43, -20:12, 30:46]))
add("exists_outside", lambda e: sparse(e).exists(np.s_[0:43, -20:12, 30:46]))
add("exists_open", lambda e: sparse(e).exists(np.s_[:]))
add("exists_autocrop", lambda e: sparse(e, autocrop=True).exists(np.s_[0:43, -20:12, 30:46]))


def delete(e: Env, index: Any, **settings: Any) -> Any:
    vol = e.new(tiny(1), **settings)
    out = vol.delete(index)
    return [out, stored(vol)]


add("delete", lambda e: delete(e, np.s_[10:42, -20:12, 30:46]))
add("delete_bbox", lambda e: delete(e, e.Bbox((10, -20, 30), (42, 12, 46))))
add("delete_unaligned", lambda e: delete(e, np.s_[11:42, -20:12, 30:46]))
add("delete_outside", lambda e: delete(e, np.s_[-22:42, -20:12, 30:46]))
add("delete_all", lambda e: delete(e, np.s_[:]))
add("delete_missing", lambda e: sparse(e).delete(np.s_[:]))


def locked(e: Env, action: Callable[[Any], Any]) -> Any:
    vol = e.new(tiny(1))
    vol.meta.lock_mips([0])
    return action(vol)


add("lock_write", lambda e: locked(e, lambda v: v.__setitem__(_ALIGNED, _A)))
add("lock_delete", lambda e: locked(e, lambda v: v.delete(_ALIGNED)))
add("lock_read", lambda e: locked(e, lambda v: v[10:12, 0:2, 30:32]))
add("lock_locked_mips", lambda e: locked(e, lambda v: v.meta.locked_mips()))
add(
    "lock_unlock",
    lambda e: locked(
        e, lambda v: [v.meta.unlock_mips(0), v.meta.locked_mips(), v.__setitem__(_ALIGNED, _A)]
    ),
)
add("lock_beyond", lambda e: e.new(tiny(1)).meta.lock_mips([5]))
add("lock_negative", lambda e: e.new(tiny(1)).meta.lock_mips([-1]))


# Metadata.
PROPERTIES = [
    "dataset_name",
    "layer",
    "ndim",
    "shape",
    "volume_size",
    "available_mips",
    "layer_type",
    "dtype",
    "data_type",
    "encoding",
    "num_channels",
    "voxel_offset",
    "resolution",
    "downsample_ratio",
    "chunk_size",
    "underlying",
    "key",
    "bounds",
    "scales",
    "scale",
    "mip",
    "autocrop",
    "background_color",
    "bounded",
    "fill_missing",
    "green_threads",
    "non_aligned_writes",
    "delete_black_uploads",
    "overwrite_partial_chunks",
    "parallel",
    "cdn_cache",
    "compress",
    "progress",
]
for _name in PROPERTIES:
    add(
        f"property_{_name}",
        lambda e, name=_name: getattr(e.new(None, channels=2, max_mip=2, mip=1), name),
    )
for _name in [
    "basepath",
    "layerpath",
    "base_cloudpath",
    "cloudpath",
    "layer_cloudpath",
    "info_cloudpath",
]:
    add(
        f"property_{_name}",
        lambda e, name=_name: (
            getattr(e.new(None), name).replace(str(e.folder), "").replace(f"ds{e.number}", "ds")
        ),
    )
add("property_available_resolutions", lambda e: list(e.new(None, max_mip=2).available_resolutions))
for _name in [
    "shape",
    "bounds",
    "resolution",
    "voxel_offset",
    "volume_size",
    "chunk_size",
    "underlying",
    "key",
    "encoding",
    "scale",
    "ndim",
    "compressed_segmentation_block_size",
]:
    add(f"mip_{_name}", lambda e, name=_name: getattr(e.new(None, max_mip=2), f"mip_{name}")(2))
    add(
        f"mip_{_name}_beyond",
        lambda e, name=_name: getattr(e.new(None, max_mip=2), f"mip_{name}")(9),
    )
for _name, _value in {
    "dataset_name": "other",
    "layer": "other",
    "bounded": 0,
    "mip": 9,
    "parallel": 0,
    "cdn_cache": -1,
    "shape": (1,),
}.items():

    def _set(e: Env, name: str = _name, value: Any = _value) -> Any:
        vol = e.new(None)
        setattr(vol, name, value)
        return getattr(vol, name)

    add(f"set_property_{_name}", _set)

INFOS: dict[str, tuple[tuple[Any, ...], dict[str, Any]]] = {
    "plain": ((1, "image", "uint8", "raw", (4, 4, 40), (0, 0, 0), (100, 100, 100)), {}),
    "float_resolution": (
        (1, "image", "uint8", "raw", (4.5, 4, 40), (0, 0, 0), (100, 100, 100)),
        {"max_mip": 1},
    ),
    "whole_float": ((1, "image", "uint8", "raw", (4.0, 4, 40), (0, 0, 0), (100, 100, 100)), {}),
    "mips": ((1, "image", "uint8", "raw", (4, 4, 40), (-3, 5, 7), (10, 6, 5)), {"max_mip": 2}),
    "factor": (
        (1, "image", "uint8", "raw", (4, 4, 40), (-3, 5, 7), (10, 6, 5)),
        {"max_mip": 2, "factor": (2, 2, 2)},
    ),
    "mesh": (
        (1, "segmentation", "uint64", "raw", (4, 4, 40), (0, 0, 0), (10, 6, 5)),
        {"mesh": True, "skeletons": True},
    ),
    "mesh_str": (
        (1, "segmentation", "uint64", "raw", (4, 4, 40), (0, 0, 0), (10, 6, 5)),
        {"mesh": "m", "skeletons": "s"},
    ),
    "cseg": (
        (1, "segmentation", "uint64", "compressed_segmentation", (4, 4, 40), (0, 0, 0), (10, 6, 5)),
        {},
    ),
    "cseg_block": (
        (1, "segmentation", "uint64", "compressed_segmentation", (4, 4, 40), (0, 0, 0), (10, 6, 5)),
        {"compressed_segmentation_block_size": (4, 4, 4)},
    ),
    "dtype_object": ((1, "image", np.uint8, "raw", (4, 4, 40), (0, 0, 0), (10, 6, 5)), {}),
    "numpy": (
        (
            1,
            "image",
            "uint8",
            "raw",
            np.array([4, 4, 40]),
            np.array([0, 0, 0]),
            np.array([10, 6, 5]),
        ),
        {"chunk_size": np.array([8, 8, 8])},
    ),
    "no_scales": ((0, "image", "uint8", "raw", (4, 4, 40), (0, 0, 0), (10, 6, 5)), {}),
}
for _name, (_args, _kwargs) in INFOS.items():
    add(f"info_{_name}", lambda e, a=_args, k=_kwargs: e.CloudVolume.create_new_info(*a, **k))


def scaled(e: Env, *args: Any, **kwargs: Any) -> Any:
    vol = e.new(None)
    vol.add_scale(*args, **kwargs)
    return vol.scales


add("add_scale", lambda e: scaled(e, (2, 2, 1)))
add(
    "add_scale_twice",
    lambda e: [
        scaled(e, (2, 2, 1)),
        scaled(e, (4, 4, 1), encoding="jpeg", chunk_size=(16, 16, 16)),
    ],
)
add("add_scale_same", lambda e: scaled(e, (1, 1, 1), encoding="jpeg"))
add("add_scale_cseg", lambda e: scaled(e, (2, 2, 1), encoding="compressed_segmentation"))
add("reset_scales", lambda e: [(vol := e.new(None, max_mip=2)).reset_scales(), vol.scales])
add("point_to_mip", lambda e: e.new(None, max_mip=2).point_to_mip((10, 21, 33), 0, 2))
add("point_to_mip_up", lambda e: e.new(None, max_mip=2).point_to_mip((10, -21, 33), 2, 0))
add("point_to_mip_negative", lambda e: e.new(None, max_mip=2).point_to_mip((-3, -1, 33), 0, 2))
add(
    "bbox_to_mip",
    lambda e: e.new(None, max_mip=2).bbox_to_mip(e.Bbox((10, 20, 30), (15, 25, 31)), 0, 1),
)
add(
    "bbox_to_mip_two",
    lambda e: e.new(None, max_mip=2).bbox_to_mip(e.Bbox((11, -19, 30), (15, 25, 31)), 0, 2),
)
add(
    "bbox_to_mip_back",
    lambda e: e.new(None, max_mip=2).bbox_to_mip(e.Bbox((5, 10, 30), (8, 13, 31)), 1, 0),
)
add(
    "bbox_to_mip_slices",
    lambda e: e.new(None, max_mip=2).bbox_to_mip(np.s_[10:20, 0:10, 30:40], 0, 1),
)
add(
    "bbox_to_mip_beyond",
    lambda e: e.new(None, max_mip=2).bbox_to_mip(e.Bbox((5, 10, 30), (8, 13, 31)), 0, 7),
)
add(
    "slices_to_global",
    lambda e: e.new(None, max_mip=2, mip=1).slices_to_global_coords(np.s_[5:8, 10:13, 30:31]),
)
add(
    "slices_from_global",
    lambda e: e.new(None, max_mip=2, mip=1).slices_from_global_coords(np.s_[10:16, 20:26, 30:31]),
)
add("open_missing", lambda e: e.CloudVolume(f"precomputed://{e.path()}"))
add("open_unknown_keyword", lambda e: e.CloudVolume(e.new(None).cloudpath, nonsense=1))
add("open_negative_parallel", lambda e: e.CloudVolume(e.new(None).cloudpath, parallel=-1))
add("open_bad_format", lambda e: e.CloudVolume("foo://file:///tmp/x/y"))
add(
    "open_compress_unknown", lambda e: e.CloudVolume(e.new(None).cloudpath, compress="rar").compress
)
add("open_type", lambda e: [type(e.new(None)).__name__, isinstance(e.new(None), e.CloudVolume)])


def committed(e: Env, change: Callable[[Any], None]) -> Any:
    vol = e.new(None)
    change(vol.info)
    vol.commit_info()
    return hashlib.sha256(
        (Path(vol.cloudpath.removeprefix("file://")) / "info").read_bytes()
    ).hexdigest()[:12]


add("commit_same", lambda e: committed(e, lambda i: None))
add("commit_unknown_member", lambda e: committed(e, lambda i: i.update(extra={"b": 1, "a": [1.5]})))
add(
    "commit_numpy_member",
    lambda e: committed(e, lambda i: i.update(extra=np.array([1, 2]), n=np.int64(3))),
)
add(
    "commit_cseg_without_block",
    lambda e: committed(e, lambda i: i["scales"][0].update(encoding="compressed_segmentation")),
)
add(
    "commit_cseg_uint8",
    lambda e: committed(
        e,
        lambda i: i["scales"][0].update(
            encoding="compressed_segmentation", compressed_segmentation_block_size=[8, 8, 8]
        ),
    ),
)


def redirected(
    e: Env, hops: int, max_redirects: int, action: Callable[[Any], Any], *, cyclic: bool = False
) -> Any:
    last = e.new(tiny(1))
    target, paths = last.cloudpath, [last.cloudpath]
    for _ in range(hops):
        vol = e.new(None)
        vol.info["redirect"] = target
        vol.commit_info()
        target = vol.cloudpath
        paths.append(target)
    if cyclic:
        last.info["redirect"] = target
        last.commit_info()
    opened = e.CloudVolume(target, max_redirects=max_redirects, progress=False)
    return [paths.index(opened.cloudpath), action(opened)]


_READ = lambda v: v[10:12, 0:2, 30:32]  # noqa: E731
_WRITE = lambda v: v.__setitem__(_ALIGNED, _A)  # noqa: E731
add("redirect_1_read", lambda e: redirected(e, 1, 10, _READ))
add("redirect_3_read", lambda e: redirected(e, 3, 10, _READ))
add("redirect_2_write", lambda e: redirected(e, 2, 10, _WRITE))
add("redirect_1_write", lambda e: redirected(e, 1, 10, _WRITE))
add("redirect_too_many", lambda e: redirected(e, 3, 3, _READ))
add("redirect_enough", lambda e: redirected(e, 3, 4, _READ))
add("redirect_none", lambda e: redirected(e, 2, 0, lambda v: v.mip))
add("redirect_cyclic", lambda e: redirected(e, 2, 10, _READ, cyclic=True))

# from_numpy.
for _dtype in (
    "bool",
    "uint8",
    "int8",
    "uint16",
    "int16",
    "uint32",
    "int32",
    "uint64",
    "int64",
    "float32",
    "float64",
):

    def _from(e: Env, dtype: str = _dtype) -> Any:
        data = (np.arange(60) % 2).reshape(5, 4, 3).astype(dtype)
        vol = e.CloudVolume.from_numpy(data, e.path(), chunk_size=(4, 4, 2), progress=False)
        return [vol.info, vol[:], stored(vol)]

    add(f"from_numpy_{_dtype}", _from)
_ODD = np.arange(60, dtype=np.uint8).reshape(5, 4, 3)
add(
    "from_numpy_channels",
    lambda e: e.CloudVolume.from_numpy(np.stack([_ODD, _ODD], 3), e.path())[:],
)
add("from_numpy_2d", lambda e: e.CloudVolume.from_numpy(_ODD[0], e.path())[:])
add("from_numpy_complex", lambda e: e.CloudVolume.from_numpy(_ODD.astype(complex), e.path())[:])
add(
    "from_numpy_offset",
    lambda e: (
        e.CloudVolume.from_numpy(
            _ODD, e.path(), voxel_offset=(-1, 2, 3), resolution=(1, 2, 3), max_mip=1
        ).info
    ),
)
add(
    "from_numpy_c_order",
    lambda e: e.CloudVolume.from_numpy(np.ascontiguousarray(_ODD), e.path())[:],
)
add(
    "from_numpy_provenance",
    lambda e: [p["method"] for p in e.CloudVolume.from_numpy(_ODD, e.path()).provenance.processing],
)


# The cutout.
def cut(e: Env) -> Any:
    return e.new(tiny(1), max_mip=1)[20:30, 0:10, 30:35]


for _name, _get in {
    "attributes": lambda c: [
        c.layer,
        c.resolution,
        c.mip,
        c.layer_type,
        c.bounds,
        c.num_channels,
        c.handle,
    ],
    "dataset_name": lambda c: c.dataset_name[:2],
    "view": lambda c: [(view := c[2:5]).layer, view.bounds, view],
    "sum": lambda c: c.sum(),
    "mean": lambda c: c.mean(),
    "max_axis": lambda c: c.max(axis=2),
    "add": lambda c: c + 1,
    "compare": lambda c: c == 3,
    "np_unique": np.unique,
    "transpose": lambda c: c.T,
    "squeeze": lambda c: c.squeeze(),
    "astype": lambda c: c.astype(np.float32),
    "copy": lambda c: c.copy(),
    "item": lambda c: c[0, 0, 0, 0],
    "pickle": lambda c: pickle.loads(pickle.dumps(np.asarray(c))),
    "concatenate": lambda c: np.concatenate([c, c]),
    "writeable": lambda c: bool(c.flags.writeable),
    "fancy": lambda c: c[c > 100],
}.items():
    add(f"cutout_{_name}", lambda e, get=_get: get(cut(e)))


more_calls.add_all(add)
layer_calls.add_all(add)


def run(package: str, target: str) -> None:
    results: dict[str, Any] = {}
    warnings.simplefilter("ignore")
    with tempfile.TemporaryDirectory() as folder:
        for name, function in CALLS.items():
            env = Env(package, Path(folder) / name)
            with (
                contextlib.redirect_stdout(io.StringIO()),
                contextlib.redirect_stderr(io.StringIO()),
            ):
                try:
                    out = describe(function(env))
                except Exception as error:  # whatever it is, it is the result
                    out = describe_error(error)
                    out["message"] = str(error)[:200].replace(folder, "")
            results[name] = out
    Path(target).write_text(json.dumps(results, indent=1, default=repr))
    sys.stdout.write(f"{len(results)} calls\n")


def is_same(theirs: Any, ours: Any) -> bool:
    """Compare two results; our own exceptions may stand for built-in ones of the same bases."""
    if not (isinstance(theirs, dict) and isinstance(ours, dict)):
        return theirs == ours
    is_builtin = theirs["error"] in theirs["builtin"]
    return set(theirs["builtin"]) <= set(ours["builtin"]) and (
        is_builtin or theirs["error"] == ours["error"]
    )


def is_meant(name: str, theirs: Any, ours: Any) -> bool:
    """Say whether two results differ as they are meant to."""
    from expected import CLOSE, EXPECTED

    return name in EXPECTED and (name not in CLOSE or layer_calls.is_close(theirs, ours))


def differing(theirs: dict[str, Any], ours: dict[str, Any]) -> list[str]:
    """Return the names of the calls that give something else."""
    return [name for name in theirs if not is_same(theirs[name], ours.get(name))]


def diff(first: str, second: str) -> int:
    """Print what differs, by reason; return 1 if anything does that is not listed."""
    from expected import REASONS

    one, two = (json.loads(Path(name).read_text()) for name in (first, second))
    rest = differing(one, two)
    total = len(rest)
    for reason, names in REASONS.items():
        found = [
            name
            for name in names.split()
            if name in rest and is_meant(name, one[name], two.get(name))
        ]
        rest = [name for name in rest if name not in found]
        sys.stdout.write(f"{len(found):4} meant: {reason}\n")
        for name in sorted(set(names.split()) - set(found)):
            sys.stdout.write(f"     not found: {name}\n")
    for name in rest:
        sys.stdout.write(
            f"{name}\n  {json.dumps(one[name])[:500]}\n  {json.dumps(two.get(name))[:500]}\n"
        )
    sys.stdout.write(
        f"parity: {len(one)} calls, {len(one) - total} the same, {total - len(rest)} meant to differ, "
        f"{len(rest)} differ\n"
    )
    return 1 if rest else 0


if __name__ == "__main__":
    os.environ.setdefault("PYTHONWARNINGS", "ignore")
    if sys.argv[1] == "run":
        run(sys.argv[2], sys.argv[3])
    else:
        sys.exit(diff(sys.argv[2], sys.argv[3]))
