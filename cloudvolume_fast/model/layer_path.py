# SPDX-License-Identifier: BSD-3-Clause
"""Where a layer is: ``[FORMAT://]PROTOCOL://BUCKET/.../DATASET/LAYER``, taken apart."""

from __future__ import annotations

import json
import os
import posixpath
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cloudvolume_fast.errors import UnsupportedFormatError, UnsupportedProtocolError

if TYPE_CHECKING:
    from pathlib import Path

__all__ = [
    "ALIASES",
    "FORMATS",
    "PROTOCOLS",
    "LayerPath",
    "alias_endpoint",
    "parse_layer_path",
    "to_https",
]

FORMATS = ("graphene", "precomputed", "boss", "n5", "zarr", "zarr2", "zarr3")

# S3 endpoints with names of their own.
ALIASES: Mapping[str, str] = {
    "matrix": "s3://https://s3-hpcrc.rc.princeton.edu/",
    "nokura": "s3://https://c10s.pni.princeton.edu/",
    "tigerdata": "s3://https://td.princeton.edu/",
}

PROTOCOLS = (
    "gs",
    "file",
    "s3",
    "http",
    "https",
    "mem",
    "middleauth+https",
    "ngauth+https",
    *ALIASES,
)

_HTTPS_HOSTS: Mapping[str, str] = {
    "gs": "storage.googleapis.com",
    "s3": "s3.amazonaws.com",
}

_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.\-]*)://(.*)", re.DOTALL)
_PIPE = re.compile(r"(.*)\|([A-Za-z0-9_.+\-]+):", re.DOTALL)
_ENDPOINT = re.compile(r"(https?://[^/]+)/*(.*)", re.DOTALL)
_DRIVE = re.compile(r"/?([A-Za-z]:)(/.*|$)", re.DOTALL)

_EXPECTED = "[FORMAT://]PROTOCOL://BUCKET/PATH"


@dataclass(frozen=True, slots=True)
class LayerPath:
    """The parts of the path of a layer.

    Attributes
    ----------
    format : str
        One of `FORMATS`; ``"precomputed"`` unless stated.
    protocol : str
        One of `PROTOCOLS`, or an alias of the user's.
    bucket : str
        For ``file`` the first directory, with its slash: ``/tmp``.
    basepath : str
        Everything but the last part, starting with the bucket; ``""`` if there is only a bucket.
    no_bucket_basepath : str
        ``basepath`` without the bucket.
    dataset : str
        Last part but one.
    layer : str
        Last part.
    host : str or None
        Endpoint such as ``https://host`` if the path itself names one
        (``s3://https://host/bucket/path``).
    """

    format: str
    protocol: str
    bucket: str
    basepath: str
    no_bucket_basepath: str
    dataset: str
    layer: str
    host: str | None = None

    @property
    def path(self) -> str:
        """Everything after the protocol and host, starting with the bucket."""
        return posixpath.join(self.basepath, self.layer) if self.basepath else self.bucket

    @property
    def key_prefix(self) -> str:
        """The path within the bucket, without slashes at its ends; ``""`` for the bucket itself."""
        return self.path[len(self.bucket) :].strip("/")

    @property
    def cloudpath(self) -> str:
        """The path without format: ``PROTOCOL://BUCKET/.../LAYER``."""
        return f"{self._prefix}{self.path}"

    @property
    def base_cloudpath(self) -> str:
        """`cloudpath` without the layer."""
        return f"{self._prefix}{self.basepath}"

    @property
    def qualified_cloudpath(self) -> str:
        """`cloudpath` with the format in front."""
        return f"{self.format}://{self.cloudpath}"

    @property
    def _prefix(self) -> str:
        if self.protocol == "file" and not self.bucket.startswith("/"):  # a Windows drive
            return "file:///"
        return f"{self.protocol}://" + (f"{self.host}/" if self.host else "")

    @property
    def local_directory(self) -> Path:
        """The directory of a layer on this machine.

        Raises
        ------
        UnsupportedProtocolError
            The protocol is not ``file``.
        """
        if self.protocol != "file":
            raise UnsupportedProtocolError(
                f"{self.cloudpath}: expected protocol file, found {self.protocol}",
                key=self.cloudpath,
                expected="file",
                found=self.protocol,
            )
        from pathlib import Path  # brings urllib with it, and reading needs neither

        return Path(self.path)


def parse_layer_path(path: str | os.PathLike[str]) -> LayerPath:
    """Take the path of a layer apart.

    Parameters
    ----------
    path : str or os.PathLike
        ``[FORMAT://]PROTOCOL://BUCKET/.../DATASET/LAYER``, optionally followed by
        ``|FORMAT:`` or ``|neuroglancer-precomputed:``. Without protocol it is a local path, which
        is made absolute; ``~`` is the home directory. Slashes at the end do not matter.

    Returns
    -------
    LayerPath

    Raises
    ------
    UnsupportedProtocolError
        The path is malformed, or its protocol is not known.
    UnsupportedFormatError
        The format is not known.

    Notes
    -----
    Upstream behaviour ``paths.extract``.
    """
    whole = os.fspath(path)
    layer_format, rest = _split_format(whole)
    protocol, rest = _split_protocol(whole, rest, layer_format)
    if protocol == "file":
        bucket, parts = _local_parts(whole, rest)
        host = None
    else:
        host, rest = _split_host(protocol, rest)
        # Keys with empty segments cannot be told from careless joining, so there are none.
        bucket, *parts = [*_segments(whole, rest)]
    if not parts:
        return LayerPath(layer_format, protocol, bucket, "", "", bucket, bucket.lstrip("/"), host)
    middle = parts[:-1]
    return LayerPath(
        format=layer_format,
        protocol=protocol,
        bucket=bucket,
        basepath="/".join([bucket, *middle]),
        no_bucket_basepath="/".join(middle),
        dataset=middle[-1] if middle else bucket.lstrip("/"),
        layer=parts[-1],
        host=host,
    )


def alias_endpoint(protocol: str) -> str | None:
    """Return what an alias stands for, such as ``s3://https://host/``.

    Parameters
    ----------
    protocol : str

    Returns
    -------
    str or None
        None if ``protocol`` is not an alias.

    Notes
    -----
    Aliases of the user are in ``aliases.json`` in ``$CLOUD_FILES_DIR`` (default
    ``~/.cloudfiles``): ``{"name": {"host": url}}``. The file is read each time one of them is
    needed, and never for a protocol that is known without it.
    """
    if protocol in ALIASES:
        return ALIASES[protocol]
    if protocol in PROTOCOLS:
        return None
    return _user_aliases().get(protocol)


def to_https(path: LayerPath) -> LayerPath:
    """Return the path at which the same files can be read by plain HTTPS.

    Parameters
    ----------
    path : LayerPath

    Returns
    -------
    LayerPath
        ``path`` itself if its protocol has no such equivalent.

    Notes
    -----
    Upstream behaviour ``paths.to_https_protocol``.
    """
    endpoint = path.host or _HTTPS_HOSTS.get(path.protocol) or alias_endpoint(path.protocol)
    if endpoint is None:
        return path
    scheme, host = "https", endpoint
    if "://" in endpoint:
        scheme, _, host = endpoint.rpartition("://")
        scheme = scheme.rpartition("://")[2]
    if scheme not in ("http", "https"):
        return path
    return parse_layer_path(f"{path.format}://{scheme}://{host.strip('/')}/{path.path}")


def _split_format(whole: str) -> tuple[str, str]:
    """Return the format and the rest of the path."""
    layer_format: str | None = None
    rest = whole
    pipe = _PIPE.fullmatch(rest)
    if pipe is not None:
        rest, name = pipe.group(1), pipe.group(2)
        layer_format = "precomputed" if name == "neuroglancer-precomputed" else name
        if layer_format not in FORMATS:
            raise _unsupported_format(whole, name)
    scheme = _SCHEME.fullmatch(rest)
    if scheme is not None:
        name, remainder = scheme.groups()
        if name in FORMATS:
            return (layer_format or name), remainder
        if _SCHEME.fullmatch(remainder) and name != "s3" and not _is_protocol(name):
            raise _unsupported_format(whole, name)
    return (layer_format or "precomputed"), rest


def _split_protocol(whole: str, rest: str, layer_format: str) -> tuple[str, str]:
    """Return the protocol and the rest of the path."""
    scheme = _SCHEME.fullmatch(rest)
    if scheme is None:
        if "://" in rest:
            raise _malformed(whole)
        # Upstream takes boss://collection/... for a directory of that name.
        if layer_format == "boss":
            raise _malformed(whole, "boss://PROTOCOL://...")
        return "file", rest
    protocol, remainder = scheme.groups()
    if not _is_protocol(protocol):
        expected = f"one of the protocols {' '.join(PROTOCOLS)} or an alias in aliases.json"
        raise UnsupportedProtocolError(
            f"{whole}: expected {expected}, found {protocol}",
            key=whole,
            expected=expected,
            found=protocol,
        )
    if "://" in remainder and (protocol != "s3" or not _ENDPOINT.fullmatch(remainder)):
        raise _malformed(whole)
    return protocol, remainder


def _split_host(protocol: str, rest: str) -> tuple[str | None, str]:
    endpoint = _ENDPOINT.fullmatch(rest) if protocol == "s3" else None
    if endpoint is None:
        return None, rest
    return endpoint.group(1), endpoint.group(2)


def _segments(whole: str, rest: str) -> list[str]:
    if not rest or rest.startswith("/"):
        raise _malformed(whole)
    return [segment for segment in rest.split("/") if segment]


def _local_parts(whole: str, rest: str) -> tuple[str, list[str]]:
    """Return the first directory of an absolute local path, and the names below it."""
    if not rest:
        raise _malformed(whole)
    if os.name == "nt":  # pragma: no cover - only there do paths have drives
        rest = rest.replace("\\", "/")
        drive = _DRIVE.fullmatch(rest)
        if drive is not None:
            rest = drive.group(1) + (drive.group(2) or "/")
    # Not Path.resolve(), which follows links, nor Path.expanduser(), which rejects unknown users.
    expanded = os.path.expanduser(rest)
    absolute = os.path.abspath(expanded).replace(os.sep, "/")
    # POSIX gives two leading slashes a meaning of their own; here they have none.
    names = [name for name in absolute.split("/") if name]
    if not names:
        raise _malformed(whole, "a directory below the root")
    root = "/" if absolute.startswith("/") else ""
    return root + names[0], names[1:]


def _is_protocol(name: str) -> bool:
    return name in PROTOCOLS or name in _user_aliases()


def _user_aliases() -> dict[str, str]:
    directory = os.environ.get("CLOUD_FILES_DIR") or "~/.cloudfiles"
    try:
        with open(os.path.join(os.path.expanduser(directory), "aliases.json"), "rb") as file:
            content = json.loads(file.read())
    except (OSError, ValueError):
        return {}
    if not isinstance(content, dict):
        return {}
    return {
        name: entry["host"]
        for name, entry in content.items()
        if isinstance(entry, dict) and isinstance(entry.get("host"), str)
    }


def _malformed(whole: str, expected: str = _EXPECTED) -> UnsupportedProtocolError:
    return UnsupportedProtocolError(
        f"{whole!r}: expected {expected}", key=whole, expected=expected, found=whole
    )


def _unsupported_format(whole: str, name: str) -> UnsupportedFormatError:
    expected = f"one of the formats {' '.join(FORMATS)}"
    return UnsupportedFormatError(
        f"{whole}: expected {expected}, found {name}", key=whole, expected=expected, found=name
    )
