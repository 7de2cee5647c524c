# SPDX-License-Identifier: BSD-3-Clause
"""Paths of layers in upstream's form, over `model.layer_path`."""

from __future__ import annotations

import os
import re
from typing import NamedTuple

from cloudvolume_fast.errors import UnsupportedProtocolError
from cloudvolume_fast.model.layer_path import (
    FORMATS,
    PROTOCOLS,
    LayerPath,
    alias_endpoint,
    parse_layer_path,
    to_https,
)

__all__ = [
    "ALLOWED_FORMATS",
    "ALLOWED_PROTOCOLS",
    "ExtractedPath",
    "ascloudpath",
    "cloudpath_error",
    "extract",
    "extract_format_protocol",
    "pop_protocol",
    "strict_extract",
    "to_https_protocol",
]

ALLOWED_FORMATS = list(FORMATS)
ALLOWED_PROTOCOLS = list(PROTOCOLS)

_HTTPS = {"gs": "https://storage.googleapis.com", "s3": "https://s3.amazonaws.com"}
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.\-]*)://(.*)", re.DOTALL)


class ExtractedPath(NamedTuple):
    """The parts of a path; see `LayerPath`."""

    format: str
    protocol: str
    bucket: str
    basepath: str
    no_bucket_basepath: str
    dataset: str
    layer: str


def extract(
    cloudpath: str | os.PathLike[str], windows: bool | None = None, disable_toabs: bool = False
) -> ExtractedPath:
    """Take a path apart; see `parse_layer_path`.

    Parameters
    ----------
    cloudpath : str or path
    windows : bool, optional
        Taken and not needed: a drive letter is known by its form.
    disable_toabs : bool
        Do not make local paths absolute.

    Raises
    ------
    UnsupportedProtocolError, UnsupportedFormatError
    """
    path = parse_layer_path(cloudpath)
    if disable_toabs and path.protocol == "file":
        return _relative(path, os.fspath(cloudpath))
    return ExtractedPath(
        path.format,
        path.protocol,
        path.bucket if path.host is None else f"{path.host}/{path.bucket}",
        path.basepath,
        path.no_bucket_basepath,
        path.dataset,
        path.layer,
    )


def _relative(path: LayerPath, given: str) -> ExtractedPath:
    local = given.rpartition("://")[2].rstrip("/")
    if os.path.isabs(local) or local.startswith("~"):
        return extract(given)
    bucket, *middle = local.split("/")[:-1] or [local]
    base = "/".join([bucket, *middle])
    return ExtractedPath(
        path.format,
        "file",
        bucket,
        base,
        "/".join(middle),
        (middle or [bucket])[-1],
        local.split("/")[-1],
    )


def strict_extract(
    cloudpath: str | os.PathLike[str], windows: bool | None = None, disable_toabs: bool = False
) -> ExtractedPath:
    """Take a path apart that has dataset and layer; see `extract`."""
    found = extract(cloudpath, windows, disable_toabs)
    if not found.dataset or not found.layer:
        raise UnsupportedProtocolError(cloudpath_error(os.fspath(cloudpath)), key=str(cloudpath))
    return found


def extract_format_protocol(cloudpath: str) -> tuple[str, str, str]:
    """Return format, protocol and what follows them.

    Raises
    ------
    UnsupportedProtocolError
        The path has no protocol.
    """
    rest = cloudpath
    layer_format = "precomputed"
    scheme = _SCHEME.fullmatch(rest)
    if scheme is not None and scheme.group(1) in ALLOWED_FORMATS:
        layer_format, rest = scheme.groups()
        scheme = _SCHEME.fullmatch(rest)
    if scheme is None or scheme.group(1) not in ALLOWED_PROTOCOLS or "://" in scheme.group(2):
        raise UnsupportedProtocolError(cloudpath_error(cloudpath), key=cloudpath)
    return layer_format, scheme.group(1), scheme.group(2)


def pop_protocol(cloudpath: str) -> tuple[str | None, str]:
    """Return what is in front of the first ``://``, None if there is none, and the rest."""
    head, separator, rest = cloudpath.partition("://")
    return (head, rest) if separator else (None, cloudpath)


def to_https_protocol(cloudpath: str | ExtractedPath) -> str | ExtractedPath:
    """Return where the same files are by plain HTTPS; a path without such a place as it is."""
    if isinstance(cloudpath, ExtractedPath):
        return extract(to_https(parse_layer_path(ascloudpath(cloudpath))).qualified_cloudpath)
    head, separator, rest = cloudpath.partition("://")
    if separator and head in ALLOWED_FORMATS:
        return f"{head}://{to_https_protocol(rest)}"
    host = _HTTPS.get(head)
    if host is None and separator and (endpoint := alias_endpoint(head)) is not None:
        host = endpoint.removeprefix("s3://").rstrip("/")
    return cloudpath if host is None else f"{host}/{rest}"


def ascloudpath(epath: ExtractedPath) -> str:
    """Return the path of which `extract` made the parts."""
    whole = f"{epath.basepath}/{epath.layer}" if epath.basepath else epath.bucket
    return f"{epath.format}://{epath.protocol}://{whole}"


def cloudpath_error(cloudpath: str) -> str:
    """Return the message for a path that is none."""
    return (
        f"{cloudpath}: expected [FORMAT://]PROTOCOL://BUCKET/PATH with a format among {', '.join(ALLOWED_FORMATS)} "
        f"and a protocol among {', '.join(ALLOWED_PROTOCOLS)}"
    )
