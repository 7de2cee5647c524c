# SPDX-License-Identifier: BSD-3-Clause
"""Write small layers with cloud-volume, one per encoding of a package: `python make_golden_packages.py`.

Needs cloud-volume with all of its codecs.  Each layer goes to the folder packages beside this file, with the voxels
that the encoding's own package finds in its chunks as expected.npy.
"""

from __future__ import annotations

import gzip
import hashlib
import importlib.metadata
import json
import shutil
from pathlib import Path

import imagecodecs
import numpy as np
import simplejpeg
from cloudvolume import Bbox, CloudVolume

HERE = Path(__file__).parent / "packages"
SIZE, CHUNK, OFFSET = (11, 7, 5), (6, 4, 3), (-5, 3, 10)
# cloud-volume's jxl has forms of its own for these.
NARROW_CHUNKS = {"narrow_4": (4, 4, 3), "narrow_3": (3, 4, 3), "narrow_2": (2, 4, 4)}
PACKAGES = ("cloud-volume", "fpzip", "imagecodecs", "numpy", "simplejpeg", "zfpc", "zfpy")


def smooth(dtype, channels):
    x, y, z, c = np.indices((*SIZE, channels)).astype(np.float64)
    values = np.sin(x / 3) + np.cos(y / 4) + z / 5 + c
    if np.dtype(dtype).kind in "iu":
        values = values * 20 + (60 if np.dtype(dtype).kind == "u" else -40)
    return np.asfortranarray(values.astype(dtype))


# Name: (dtype, channels, encoding, members of the scale).
LAYERS = {
    "jpeg_gray": ("uint8", 1, "jpeg", {}),
    "jpeg_rgb": ("uint8", 3, "jpeg", {}),
    "jpeg_gray_quality_30": ("uint8", 1, "jpeg", {"jpeg_quality": 30}),
    "jxl_gray": ("uint8", 1, "jxl", {}),
    "jxl_rgb": ("uint8", 3, "jxl", {}),
    "jxl_rgb_narrow_4": ("uint8", 3, "jxl", {"jxl_quality": 100}),
    "jxl_rgb_narrow_3": ("uint8", 3, "jxl", {"jxl_quality": 100}),
    "jxl_rgb_narrow_2": ("uint8", 3, "jxl", {"jxl_quality": 100}),
    "jxl_gray_lossless": ("uint8", 1, "jxl", {"jxl_quality": 100}),
    "jxl_rgb_lossless": ("uint8", 3, "jxl", {"jxl_quality": 100}),
    "fpzip_float32": ("float32", 1, "fpzip", {}),
    "fpzip_float64_2": ("float64", 2, "fpzip", {}),
    "fpzip_float32_precision_16": ("float32", 3, "fpzip", {"fpzip_precision": 16}),
    "kempressed_3": ("float32", 3, "kempressed", {}),
    "kempressed_1": ("float32", 1, "kempressed", {}),
    "kempressed_1_from_c_order": ("float32", 1, "kempressed", {}),
    "zfpc_float32": ("float32", 1, "zfpc", {}),
    "zfpc_float64": ("float64", 1, "zfpc", {}),
    "zfpc_int32": ("int32", 1, "zfpc", {}),
    "zfpc_int64": ("int64", 1, "zfpc", {}),
    "zfpc_float32_2_uncorrelated": (
        "float32",
        2,
        "zfpc",
        {"zfpc_correlated_dims": [True, True, False, False]},
    ),
    "zfpc_float32_rate": ("float32", 1, "zfpc", {"zfpc_rate": 12.0}),
    "zfpc_float32_precision": ("float32", 1, "zfpc", {"zfpc_precision": 14.0}),
    "zfpc_float32_tolerance": ("float32", 1, "zfpc", {"zfpc_tolerance": 0.01}),
}


def picture_voxels(vol, folder):
    """Decode by the package and lay out as the format says; cloud-volume mixes up channels when it reads."""
    out = np.zeros(vol.shape, np.uint8, order="F")
    for path in sorted(folder.iterdir()):
        box = Bbox.from_filename(path.name)
        x, y, z = (int(n) for n in box.size3())
        data = path.read_bytes()
        if vol.encoding == "jpeg":
            pixels = simplejpeg.decode_jpeg(data, "GRAY" if vol.num_channels == 1 else "RGB")
        else:
            pixels = imagecodecs.jpegxl_decode(data)
            if vol.num_channels == 3:  # as cloud-volume gave them to the package: planes
                pixels = np.moveaxis(pixels.reshape(3, y * z, x), 0, -1)
        begin = np.array(box.minpt) - np.array(OFFSET)
        where = tuple(slice(int(b), int(b) + n) for b, n in zip(begin, (x, y, z), strict=True))
        out[where] = pixels.reshape(z, y, x, vol.num_channels).transpose(2, 1, 0, 3)
    return out


def main():
    """Write all layers."""
    shutil.rmtree(HERE, ignore_errors=True)
    for name, (dtype, channels, encoding, members) in LAYERS.items():
        folder = HERE / name
        chunk = NARROW_CHUNKS.get(name[-8:], CHUNK)
        info = CloudVolume.create_new_info(
            channels, "image", dtype, encoding, (1, 1, 1), OFFSET, SIZE, chunk_size=chunk
        )
        info["scales"][0].update(members)
        vol = CloudVolume(f"file://{folder}", info=info, progress=False)
        vol.commit_info()
        voxels = smooth(dtype, channels)
        vol[:] = np.ascontiguousarray(voxels) if name.endswith("c_order") else voxels
        if encoding in ("jpeg", "jxl"):
            expected = picture_voxels(vol, folder / "1_1_1")
        elif encoding == "zfpc" and not any(
            n in members for n in ("zfpc_rate", "zfpc_precision", "zfpc_tolerance")
        ):
            expected = voxels  # lossless; cloud-volume reads it as float32 whatever it is
        else:
            expected = np.asfortranarray(vol[:])
        np.save(folder / "expected.npy", expected)
        # File names and times of gzip would make every run differ.
        for path in folder.rglob("*.gz"):
            path.write_bytes(gzip.compress(gzip.decompress(path.read_bytes()), mtime=0))
        for path in folder.rglob("provenance*"):
            path.unlink()
    files = {
        str(path.relative_to(HERE)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(HERE.rglob("*"))
        if path.is_file()
    }
    manifest = {
        "origin": "written by make_golden_packages.py from computed values",
        "licence": "BSD-3-Clause",
        "packages": {package: importlib.metadata.version(package) for package in PACKAGES},
        "sha256": files,
    }
    (HERE / "MANIFEST.json").write_text(json.dumps(manifest, indent=1) + "\n")


if __name__ == "__main__":
    main()
