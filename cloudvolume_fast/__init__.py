# SPDX-License-Identifier: BSD-3-Clause
"""cloudvolume_fast: IO for Neuroglancer volumes, a fast and safe drop-in for cloud-volume.

>>> from cloudvolume_fast import CloudVolume
>>> vol = CloudVolume("file:///data/image")  # doctest: +SKIP
>>> cutout = vol[0:64, 0:64, 0:64]  # doctest: +SKIP
"""

from __future__ import annotations

import importlib
import os
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cloudvolume_fast.compat.facade import CloudVolume as CloudVolume
    from cloudvolume_fast.compat.facade import CloudVolumePrecomputed as CloudVolumePrecomputed
    from cloudvolume_fast.compat.finder import install_as_cloudvolume as install_as_cloudvolume
    from cloudvolume_fast.deliver.cutout import VolumeCutout as VolumeCutout
    from cloudvolume_fast.deliver.skeleton import PrecomputedSkeleton as PrecomputedSkeleton
    from cloudvolume_fast.deliver.skeleton import Skeleton as Skeleton
    from cloudvolume_fast.errors import AlignmentError as AlignmentError
    from cloudvolume_fast.errors import EmptyRequestException as EmptyRequestException
    from cloudvolume_fast.errors import EmptyVolumeException as EmptyVolumeException
    from cloudvolume_fast.model.bbox import Bbox as Bbox
    from cloudvolume_fast.model.mesh import Mesh as Mesh
    from cloudvolume_fast.model.provenance import DataLayerProvenance as DataLayerProvenance
    from cloudvolume_fast.model.vec import Vec as Vec

__version__ = "0.1.0"

# Name: module and attribute.  Resolved on first use, so that importing the package stays cheap.
_PUBLIC = {
    "AlignmentError": "errors",
    "Bbox": "model.bbox",
    "CloudVolume": "compat.facade",
    "CloudVolumePrecomputed": "compat.facade",
    "ConnectionPool": "compat.connectionpools",
    "DataLayerProvenance": "model.provenance",
    "EmptyRequestException": "errors",
    "EmptyVolumeException": "errors",
    "Mesh": "model.mesh",
    "PrecomputedSkeleton": "deliver.skeleton",
    "Skeleton": "deliver.skeleton",
    "SkeletonDecodeError": "errors",
    "SkeletonEncodeError": "errors",
    "Storage": "compat.storage",
    "ThreadedQueue": "compat.threaded_queue",
    "Vec": "model.vec",
    "VolumeCutout": "deliver.cutout",
    "from_cloudpath": "compat.plugins",
    "register_boss": "compat.plugins",
    "register_graphene": "compat.plugins",
    "register_n5": "compat.plugins",
    "register_plugin": "compat.plugins",
    "register_precomputed": "compat.plugins",
    "register_precomputed_annotation": "compat.plugins",
    "register_precomputed_mesh": "compat.plugins",
    "register_zarr": "compat.plugins",
    "register_zarr2": "compat.plugins",
    "register_zarr3": "compat.plugins",
}

# Modules that upstream's package has as attributes once it is imported.
_MODULES = frozenset(
    {"chunks", "exceptions", "lib", "paths", "provenance", "secrets", "sharedmemory"}
    | {
        "cacheservice",
        "cloudvolume",
        "compression",
        "connectionpools",
        "dask",
        "datasource",
        "frontends",
        "lru",
        "mesh",
    }
    | {"scheduler", "server", "skeleton", "storage", "threaded_queue", "types", "volumecutout"}
)

__all__ = [*_PUBLIC, "build_config", "get_include", "install_as_cloudvolume"]  # noqa: PLE0604

# The finder stands above everything, and everything is imported through this package: not a static import.
_finder = importlib.import_module(f"{__name__}.compat.finder")
_finder.register()
if not TYPE_CHECKING:
    install_as_cloudvolume = _finder.install_as_cloudvolume


def __getattr__(name: str) -> Any:  # Any: whatever the name stands for
    if name in _MODULES:
        return importlib.import_module(f"{__name__}.{name}")
    if name not in _PUBLIC:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = _finder.resolve(__name__, name, _PUBLIC[name], name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_PUBLIC, *_MODULES})


def get_include() -> str:
    """Return the folder of the C++ headers (``cvfast/...``), for extensions that use ``libcvfast``.

    Raises
    ------
    FileNotFoundError
        The headers are not installed.
    """
    for root in __path__:
        folder = os.path.join(root, "include")
        if os.path.isdir(os.path.join(folder, "cvfast")):
            return folder
    raise FileNotFoundError(
        f"the C++ headers are not installed: no include/cvfast in {list(__path__)}"
    )


def build_config() -> dict[str, Any]:
    """Return how this installation was built, to be pasted into a bug report.

    Returns
    -------
    dict
        Versions, compiler, flags, sanitizers, and the number of threads that is used by default.
    """
    import platform

    import numpy

    runtime = importlib.import_module(f"{__name__}._runtime")
    return {
        "version": __version__,
        "python": platform.python_version(),
        "platform": platform.platform(),
        "numpy": numpy.__version__,
        **runtime.build_config(),
    }
