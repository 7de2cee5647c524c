# SPDX-License-Identifier: BSD-3-Clause
"""From the path of a layer to the requests that reach it, for the protocols that the core speaks."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import quote, unquote_plus, urlencode
from xml.etree import ElementTree

from cloudvolume_fast import _runtime
from cloudvolume_fast.errors import ChunkReadError, UnsupportedProtocolError
from cloudvolume_fast.fetch.remote.bounds import request_bounds
from cloudvolume_fast.fetch.remote.credentials import (
    AwsCredentials,
    CaveCredentials,
    Credentials,
    GoogleCredentials,
    HttpCredentials,
)
from cloudvolume_fast.fetch.secrets import Secret
from cloudvolume_fast.model.layer_path import LayerPath, alias_endpoint

__all__ = ["Location", "Page", "locate_remote"]

_GOOGLE = "https://storage.googleapis.com"
# A host name cannot have other characters, and a dot in a bucket's name would need a certificate of its own.
_HOST_CHARACTERS = frozenset("abcdefghijklmnopqrstuvwxyz0123456789-")


@dataclass(frozen=True, slots=True)
class Page:
    """Part of a listing.

    Attributes
    ----------
    keys : list of str
        Within the bucket.
    next_url : str or None
        Of the next part.
    """

    keys: list[str]
    next_url: str | None


@dataclass(frozen=True)
class Location:
    """Where a layer's objects are, and who asks for them.

    Attributes
    ----------
    endpoint : Endpoint
    credentials : Credentials
    key_prefix : str
        What stands before a layer's keys within the bucket, with its slash.
    list_url : callable, optional
        From a prefix within the bucket, and whether only keys without a further slash are wanted, to the URL of the
        first page.  Without it nothing can be listed.
    read_page : callable, optional
        From the URL of a page and its body to what it says.
    hides_absence : bool or None
        Whether the store may answer 403 for what is absent; None where the answers show it.
    json_type : str
        Content-Type of metadata.
    about : Endpoint, optional
        Where objects are asked about, by GET, and removed, if not at `endpoint`.
    """

    endpoint: _runtime.Endpoint
    credentials: Credentials
    key_prefix: str = ""
    list_url: Callable[[str, bool], str] | None = None
    read_page: Callable[[str, bytes], Page] | None = None
    hides_absence: bool | None = None
    json_type: str = "application/json"
    about: _runtime.Endpoint | None = None


def locate_remote(path: LayerPath, secrets: Secret | None) -> Location | None:
    """Return where a layer is, None for protocols that the core does not speak.

    Raises
    ------
    UnsupportedProtocolError
        An alias stands for something without a host.
    InvalidArgumentError
        The environment bounds requests by something that is no number.
    """
    if path.protocol in ("http", "https"):
        return _http(path, secrets)
    if path.protocol == "middleauth+https":
        return _http(path, secrets)
    if path.protocol == "gs":
        return _google(path, secrets)
    if path.protocol == "s3":
        return _s3(path, path.host, "aws", secrets)
    alias = alias_endpoint(path.protocol)
    if alias is None:
        return None
    if alias.startswith("s3://"):
        alias = alias.removeprefix("s3://")
    if not alias.startswith(("http://", "https://")):
        raise UnsupportedProtocolError(
            f"{path.cloudpath}: expected an alias of s3://https://HOST/, found {alias}",
            key=path.cloudpath,
            expected="s3://https://HOST/",
            found=alias,
        )
    return _s3(path, alias, path.protocol, secrets)


def _folder(prefix: str) -> str:
    return prefix + "/" if prefix else ""


def _http(path: LayerPath, secrets: Secret | None) -> Location:
    scheme, has_token = (
        path.protocol.removeprefix("middleauth+"),
        path.protocol.startswith("middle"),
    )
    credentials = (CaveCredentials if has_token else HttpCredentials)(path.bucket, secrets)
    # As the caller wrote it, but for what no URL holds; it may be percent encoded already.
    below = quote(path.key_prefix, safe="/%:@!$&'()*+,;=~")
    endpoint = _runtime.Endpoint(
        f"{scheme}://{path.bucket}/{_folder(below)}",
        signer=credentials.signer,
        client=request_bounds(),
    )
    return Location(endpoint, credentials)


# S3.


def _s3(path: LayerPath, host: str | None, service: str, secrets: Secret | None) -> Location:
    credentials = AwsCredentials(path.bucket, service, secrets)
    host = (
        host or os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL") or ""
    ).rstrip("/")
    if host:
        base = f"{host}/{quote(path.bucket, safe='')}/"
    elif set(path.bucket) <= _HOST_CHARACTERS:
        base = f"https://{path.bucket}.s3.amazonaws.com/"
    else:
        region = os.environ.get("AWS_DEFAULT_REGION") or "us-east-1"
        base = f"https://s3.{region}.amazonaws.com/{quote(path.bucket, safe='')}/"
    prefix = _folder(path.key_prefix)
    whole = base + quote(prefix, safe="/~")
    endpoint = _runtime.Endpoint(
        whole,
        write_prefix=whole,
        signer=credentials.signer,
        is_etag_md5=True,
        client=request_bounds(),
    )

    def list_url(start: str, is_flat: bool) -> str:
        return f"{base}?{_query(**_listing(start, is_flat), encoding_type='url')}"

    return Location(endpoint, credentials, prefix, list_url, _read_s3_page, hides_absence=True)


def _listing(start: str, is_flat: bool) -> dict[str, str]:
    return {"list_type": "2", "prefix": start} | ({"delimiter": "/"} if is_flat else {})


def _query(**parameters: str) -> str:
    return urlencode(
        {name.replace("_", "-"): value for name, value in parameters.items()},
        quote_via=quote,
        safe="~",
    )


def _read_s3_page(url: str, body: bytes) -> Page:
    try:
        root = ElementTree.fromstring(body)
    except ElementTree.ParseError as error:
        raise ChunkReadError(
            f"{url.partition('?')[0]}: expected a listing in XML: {error}",
            key=url.partition("?")[0],
        ) from error
    space = root.tag[: root.tag.find("}") + 1]
    is_encoded = root.findtext(f"{space}EncodingType") == "url"
    keys = [item.findtext(f"{space}Key") or "" for item in root.iter(f"{space}Contents")]
    token = root.findtext(f"{space}NextContinuationToken")
    following = None
    if root.findtext(f"{space}IsTruncated") == "true" and token:
        first = url.partition("&continuation-token=")[0]
        following = f"{first}&continuation-token={quote(token, safe='~')}"
    return Page([unquote_plus(key) for key in keys] if is_encoded else keys, following)


# Google.


def _google(path: LayerPath, secrets: Secret | None) -> Location:
    credentials = GoogleCredentials(path.bucket, secrets)
    emulator = os.environ.get("STORAGE_EMULATOR_HOST")
    host = (emulator or _GOOGLE).rstrip("/")
    if "://" not in host:
        host = f"http://{host}"
    bucket = quote(path.bucket, safe="")
    prefix = _folder(path.key_prefix)
    # The XML interface takes and gives headers together with an object, in one request; all else is done with the JSON
    # one, since that is what emulators have.
    whole = f"{host}/{bucket}/{quote(prefix, safe='/~')}"
    client = request_bounds()
    endpoint = _runtime.Endpoint(
        whole, write_prefix=whole, signer=credentials.signer, client=client
    )
    described = f"{host}/storage/v1/b/{bucket}/o/{quote(prefix, safe='~')}"
    about = _runtime.Endpoint(
        described,
        read_suffix="?fields=name",
        write_prefix=described,
        encodes_slashes=True,
        signer=credentials.signer,
        client=client,
    )

    def list_url(start: str, is_flat: bool) -> str:
        parameters = {"prefix": start, "fields": "items(name),nextPageToken"}
        if is_flat:
            parameters["delimiter"] = "/"
        return f"{host}/storage/v1/b/{bucket}/o?{_query(**parameters)}"

    return Location(
        endpoint,
        credentials,
        prefix,
        list_url,
        _read_google_page,
        hides_absence=True,
        # An emulator may take a body of JSON for a call of the other interface.
        json_type="application/octet-stream" if emulator else "application/json",
        about=about,
    )


def _read_google_page(url: str, body: bytes) -> Page:
    try:
        content = json.loads(body)
        keys = [str(item["name"]) for item in content.get("items", ())]
        token = content.get("nextPageToken")
    except (ValueError, AttributeError, KeyError, TypeError) as error:
        raise ChunkReadError(
            f"{url.partition('?')[0]}: expected a listing in JSON", key=url.partition("?")[0]
        ) from error
    first = url.partition("&pageToken=")[0]
    return Page(keys, f"{first}&pageToken={quote(str(token), safe='')}" if token else None)
