# SPDX-License-Identifier: BSD-3-Clause
"""Info, provenance and credentials of volumes that are not on this machine."""

from __future__ import annotations

import json
import pickle
from pathlib import Path

import numpy as np
import pytest
from servers.clouds import GoogleServer, S3Server
from servers.faulty import Answer, FaultServer

from cloudvolume_fast import CloudVolume
from cloudvolume_fast.errors import (
    AuthorizationError,
    ChunkReadError,
    InfoUnavailableError,
    InvalidArgumentError,
    ReadOnlyException,
)

INFO = CloudVolume.create_new_info(
    1, "image", "uint8", "raw", (4, 4, 40), (0, 0, 0), (16, 16, 8), chunk_size=(8, 8, 8)
)
VOXELS = np.random.default_rng(1).integers(0, 255, (16, 16, 8, 1)).astype(np.uint8)
ANY = {"AWS_ACCESS_KEY_ID": "any", "AWS_SECRET_ACCESS_KEY": "any"}


@pytest.fixture
def server(faulty: FaultServer, home: Path) -> FaultServer:
    faulty.objects["/ds/layer/info"] = json.dumps(INFO).encode()
    return faulty


def test_an_absent_info_is_named(server: FaultServer) -> None:
    with pytest.raises(InfoUnavailableError, match=r"/ds/other/info: expected an info file"):
        CloudVolume(f"{server.url}/ds/other")


@pytest.mark.parametrize(
    ("status", "error"),
    [(403, AuthorizationError), (401, AuthorizationError), (400, ChunkReadError)],
)
def test_an_info_that_is_refused_is_not_absent(
    server: FaultServer, status: int, error: type[Exception]
) -> None:
    server.script = lambda request, count: Answer(status=status, body=b"no")
    with pytest.raises(error, match=rf"/ds/layer/info: .*{status}"):
        CloudVolume(f"{server.url}/ds/layer", fill_missing=True)


def test_a_web_server_takes_no_info(server: FaultServer) -> None:
    vol = CloudVolume(f"{server.url}/ds/layer")
    with pytest.raises(ReadOnlyException):
        vol.commit_info()
    with pytest.raises(ReadOnlyException):
        vol.commit_provenance()
    assert vol.provenance.description == ""


@pytest.mark.xdist_group("s3")
def test_a_volume_on_s3(s3: S3Server, tmp_path: Path) -> None:
    s3.client().create_bucket(Bucket="volumes")
    path = f"s3://{s3.url}/volumes/ds/layer"
    with pytest.raises(InfoUnavailableError):
        CloudVolume(path, secrets=ANY)
    vol = CloudVolume(path, info=INFO, secrets=ANY, progress=False)
    vol.commit_info()
    vol.provenance.description = "remote"
    vol.commit_provenance()
    vol[:] = VOXELS
    again = CloudVolume(path, secrets=json.dumps(ANY), progress=False)
    np.testing.assert_array_equal(again[:], VOXELS)
    assert again.provenance.description == "remote"
    assert again.info == INFO


@pytest.mark.xdist_group("google")
def test_a_volume_on_google_storage(google: GoogleServer) -> None:
    google.make_bucket("volumes")
    path = "gs://volumes/ds/layer"
    vol = CloudVolume(path, info=INFO, progress=False)
    vol.commit_info()
    vol[:] = VOXELS
    np.testing.assert_array_equal(CloudVolume(path, progress=False)[:], VOXELS)


@pytest.mark.xdist_group("s3")
def test_use_https_reads_what_a_web_server_shows(s3: S3Server, home: Path) -> None:
    """Here of an alias, whose server is on loopback."""
    (home / ".cloudfiles").mkdir()
    (home / ".cloudfiles/aliases.json").write_text(json.dumps({"lab": {"host": f"s3://{s3.url}/"}}))
    client = s3.client()
    client.create_bucket(Bucket="shown", ACL="public-read")
    client.put_object(
        Bucket="shown", Key="layer/info", Body=json.dumps(INFO).encode(), ACL="public-read"
    )
    vol = CloudVolume("lab://shown/layer", use_https=True)
    assert vol.cloudpath == "lab://shown/layer"
    assert vol.info == INFO
    with pytest.raises(ReadOnlyException):
        vol.commit_info()


def test_secrets_are_not_taken_along_to_another_server(server: FaultServer) -> None:
    with FaultServer() as other:
        other.objects["/layer/info"] = json.dumps(INFO).encode()
        server.objects["/ds/layer/info"] = json.dumps(
            {**INFO, "redirect": f"{other.url}/layer"}
        ).encode()
        with pytest.warns(UserWarning, match="redirects"):
            CloudVolume(f"{server.url}/ds/layer", secrets={"user": "me", "password": "p"})
        assert [r.headers.get("authorization") is None for r in server.requests] == [False]
        assert [r.headers.get("authorization") for r in other.requests] == [None]


def test_volumes_are_pickled_without_secrets(server: FaultServer) -> None:
    vol = CloudVolume(f"{server.url}/ds/layer", secrets={"user": "me", "password": "very-secret"})
    pickled = pickle.dumps(vol)
    assert b"very-secret" not in pickled
    again = pickle.loads(pickled)
    assert again.refresh_info() == INFO
    assert server.requests[-1].headers.get("authorization") is None


def test_malformed_secrets_are_not_repeated(server: FaultServer) -> None:
    with pytest.raises(InvalidArgumentError, match="secrets") as raised:
        CloudVolume(f"{server.url}/ds/layer", secrets="very-secret")
    assert "very-secret" not in repr(raised.value)


def test_chunks_are_read_again_with_keys_that_replace_expired_ones(
    server: FaultServer, home: Path
) -> None:
    def write_keys(access_key: str) -> None:
        (home / ".cloudvolume/secrets").mkdir(parents=True, exist_ok=True)
        keys = {"AWS_ACCESS_KEY_ID": access_key, "AWS_SECRET_ACCESS_KEY": "s"}
        (home / ".cloudvolume/secrets/aws-secret.json").write_text(json.dumps(keys))

    write_keys("old")
    server.objects["/bucket/layer/info"] = json.dumps(INFO).encode()
    for x, y in ((0, 0), (0, 8), (8, 0), (8, 8)):
        chunk = np.asfortranarray(VOXELS[x : x + 8, y : y + 8])
        name = f"{x}-{x + 8}_{y}-{y + 8}_0-8"
        server.objects[f"/bucket/layer/4_4_40/{name}"] = chunk.tobytes("F")
    vol = CloudVolume(f"s3://{server.url}/bucket/layer", progress=False)
    server.script = lambda request, count: (
        Answer()
        if "Credential=new/" in request.headers["authorization"]
        else Answer(status=400, body=b"<Error><Code>ExpiredToken</Code></Error>")
    )
    with pytest.raises(AuthorizationError, match=r"400 \(ExpiredToken\)"):
        vol[:]
    write_keys("new")
    np.testing.assert_array_equal(vol[:], VOXELS)
