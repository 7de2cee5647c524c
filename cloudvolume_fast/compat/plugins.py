# SPDX-License-Identifier: BSD-3-Clause
"""Formats by name: which function opens a layer, and how other packages add theirs."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from typing import Any

from cloudvolume_fast.compat.facade import CloudVolume
from cloudvolume_fast.compat.registry import (
    REGISTERED_ANNOTATION_PLUGINS,
    REGISTERED_IMAGE_PLUGINS,
    REGISTERED_MESH_PLUGINS,
)
from cloudvolume_fast.compat.stores import open_store
from cloudvolume_fast.errors import InfoUnavailableError, UnsupportedFormatError
from cloudvolume_fast.model.layer_path import parse_layer_path

__all__ = [
    "REGISTERED_ANNOTATION_PLUGINS",
    "REGISTERED_IMAGE_PLUGINS",
    "REGISTERED_MESH_PLUGINS",
    "create_precomputed",
    "create_precomputed_annotation",
    "create_precomputed_mesh",
    "from_cloudpath",
    "register_annotation_plugin",
    "register_boss",
    "register_graphene",
    "register_mesh_plugin",
    "register_n5",
    "register_plugin",
    "register_precomputed",
    "register_precomputed_annotation",
    "register_precomputed_mesh",
    "register_zarr",
    "register_zarr2",
    "register_zarr3",
]

Creation = Callable[..., Any]  # Any: what a format's layers are

_MESHES = {"neuroglancer_multilod_draco", "neuroglancer_legacy_mesh"}
_ANNOTATIONS = {"neuroglancer_annotations_v1"}


def register_plugin(key: str, creation_function: Creation) -> None:
    """Let ``CloudVolume("key://...", ...)`` call a function, given all arguments by their names.

    Parameters
    ----------
    key : str
        Name of a format; one that exists is replaced.
    creation_function : callable
    """
    REGISTERED_IMAGE_PLUGINS[key] = creation_function


def register_annotation_plugin(key: str, creation_function: Creation) -> None:
    """Let `from_cloudpath` open annotations of a format by a function; see `register_plugin`."""
    REGISTERED_ANNOTATION_PLUGINS[key] = creation_function


def register_mesh_plugin(key: str, creation_function: Creation) -> None:
    """Let `from_cloudpath` open meshes of a format by a function; see `register_plugin`."""
    REGISTERED_MESH_PLUGINS[key] = creation_function


def create_precomputed(cloudpath: str, *args: Any, **kwargs: Any) -> Any:
    """Open a Precomputed layer; arguments as for `CloudVolume`."""
    return CloudVolume.open_precomputed(cloudpath, *args, **kwargs)


def create_precomputed_mesh(cloudpath: str, *args: Any, **kwargs: Any) -> Any:
    """Open a folder of Precomputed meshes on its own.

    Raises
    ------
    UnsupportedFormatError
        Always: that is not available in this version.
    """
    raise UnsupportedFormatError(
        f"{cloudpath}: meshes without a volume are not available in this version", key=cloudpath
    )


def create_precomputed_annotation(cloudpath: str, *args: Any, **kwargs: Any) -> Any:
    """Open Precomputed annotations.

    Raises
    ------
    UnsupportedFormatError
        Always: annotations are not available in this version.
    """
    from cloudvolume_fast.compat.later import PrecomputedAnnotationSource

    return PrecomputedAnnotationSource(cloudpath, *args, **kwargs)


def from_cloudpath(cloudpath: str, *args: Any, **kwargs: Any) -> Any:
    """Open whatever lies at a path: a volume, or a folder of meshes or annotations, by its info.

    Parameters
    ----------
    cloudpath : str
    *args, **kwargs
        As for what it turns out to be; for volumes as for `CloudVolume`.

    Raises
    ------
    UnsupportedFormatError
        Nothing is registered for what it is.
    """
    path = parse_layer_path(os.fspath(cloudpath))
    kind = None
    if path.format == "precomputed" and kwargs.get("info") is None:
        data = open_store(path.cloudpath).get("info")
        if data is None:
            raise InfoUnavailableError(
                f"{path.cloudpath}/info: expected a file, found none", key=path.cloudpath
            )
        info = json.loads(data)
        kind = info.get("@type") if isinstance(info, dict) else None
    if kind in _ANNOTATIONS:
        return _registered(REGISTERED_ANNOTATION_PLUGINS, path.format, kind)(
            cloudpath, *args, **kwargs
        )
    if kind in _MESHES:
        return _registered(REGISTERED_MESH_PLUGINS, path.format, kind)(cloudpath, *args, **kwargs)
    return CloudVolume(cloudpath, *args, **kwargs)


def _registered(registry: dict[str, Creation], name: str, kind: str) -> Creation:
    if name not in registry:
        raise UnsupportedFormatError(
            f"{kind}: expected a registered format, found {name}", key=name, found=kind
        )
    return registry[name]


def _register(key: str, creation: str) -> Callable[[], None]:
    def register() -> None:
        from cloudvolume_fast.compat import later

        register_plugin(key, getattr(later, creation))

    register.__name__ = register.__qualname__ = f"register_{key}"
    register.__doc__ = f"Let format {key} be opened as this package does."
    return register


register_boss = _register("boss", "create_boss")
register_graphene = _register("graphene", "create_graphene")
register_n5 = _register("n5", "create_n5")
register_zarr = _register("zarr", "create_zarr")
register_zarr2 = _register("zarr2", "create_zarr2")
register_zarr3 = _register("zarr3", "create_zarr3")


def register_precomputed() -> None:
    """Let format precomputed be opened as this package does."""
    register_plugin("precomputed", create_precomputed)


def register_precomputed_mesh() -> None:
    """Let meshes of format precomputed be opened as this package does."""
    register_mesh_plugin("precomputed", create_precomputed_mesh)


def register_precomputed_annotation() -> None:
    """Let annotations of format precomputed be opened as this package does."""
    register_annotation_plugin("precomputed", create_precomputed_annotation)


for _register_one in (
    register_precomputed_mesh,
    register_precomputed_annotation,
):
    _register_one()
