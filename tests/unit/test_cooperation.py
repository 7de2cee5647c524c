# SPDX-License-Identifier: BSD-3-Clause
"""Unrelated processes that fill one segment together."""

from __future__ import annotations

import json
import random
import signal
import subprocess
import sys
import time
import uuid
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import support
from kills.runs import shm_names, write_volume
from servers.faulty import Answer, FaultServer

from cloudvolume_fast import Bbox, CloudVolume, _runtime
from cloudvolume_fast.errors import ChunkDecodeError, InvalidArgumentError

SHM = Path(_runtime.shm_folder())

JOIN = """
import hashlib, json, sys
import numpy as np
from cloudvolume_fast import CloudVolume, _runtime
from cloudvolume_fast.deliver import shared_job
vol = CloudVolume(sys.argv[1])
fetched = []
do = shared_job.JobItems.do
claims = open(sys.argv[3], "a") if len(sys.argv) > 3 else None
def count(self, number):
    fetched.append(number)
    if claims is not None:
        names = shared_job.chunk_names(self._scale, self._job.runs, number)
        print(json.dumps(names), file=claims, flush=True)
    return do(self, number)
shared_job.JobItems.do = count
print("ready", flush=True)
sys.stdin.readline()
image = vol.download_to_shared_memory(np.s_[:], location=sys.argv[2], cooperate=True)
print(json.dumps([hashlib.sha256(image.tobytes("F")).hexdigest(), sorted(fetched)]))
"""


class Party:
    """Processes that are ready to begin at the same moment."""

    def __init__(self, path: str, name: str, count: int, claims: Path | None = None) -> None:
        """Members write the names of the chunks that they claim into files in `claims`, where that is given."""
        self.claims = [] if claims is None else [claims / f"member-{n}" for n in range(count)]
        self.members = [
            subprocess.Popen(
                [sys.executable, "-c", JOIN, path, name, *map(str, self.claims[n : n + 1])],
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
            )
            for n in range(count)
        ]  # fmt: skip
        for member in self.members:
            assert member.stdout.readline() == "ready\n"

    def begin(self) -> None:
        for member in self.members:
            member.stdin.write("\n")
            member.stdin.flush()

    def last_claim(self, member: int) -> list[str]:
        """Return the names of the chunks that a member was about to read at last."""
        file = self.claims[member]
        lines = file.read_text().splitlines(keepends=True) if file.exists() else []
        return json.loads(lines[-1]) if lines and lines[-1].endswith("\n") else []

    def results(self, members: list[subprocess.Popen] | None = None) -> list:
        out = []
        for member in self.members if members is None else members:
            text, _ = member.communicate(timeout=60)
            assert member.returncode == 0
            out.append(json.loads(text))
        return out


@pytest.fixture(scope="module")
def volume(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, np.ndarray]:
    return write_volume(tmp_path_factory.mktemp("layer"), "compressed_segmentation")


@pytest.fixture
def name():
    name = f"cvfast-test-party-{uuid.uuid4()}"
    yield name
    from cloudvolume_fast import sharedmemory

    sharedmemory.unlink(name)
    _runtime.shm_remove_abandoned()
    assert [entry for entry in shm_names() if name in entry] == []


def digest(voxels: np.ndarray) -> str:
    import hashlib

    return hashlib.sha256(voxels.tobytes("F")).hexdigest()


@pytest.mark.parametrize("count", [2, 5])
def test_each_chunk_is_fetched_once_by_all_together(volume, name: str, count: int) -> None:
    path, voxels = volume
    party = Party(path, name, count)
    party.begin()
    results = party.results()
    assert {found for found, _ in results} == {digest(voxels)}
    runs = sorted(number for _, fetched in results for number in fetched)
    assert runs == list(range(len(runs)))  # none twice, none left out
    assert len(runs) > 50
    assert (SHM / name).stat().st_size == voxels.nbytes
    # Who comes later fetches nothing, also when all the others are gone.
    late = Party(path, name, 1)
    late.begin()
    assert late.results() == [[digest(voxels), []]]


def chunk_requests(server: FaultServer) -> list[str]:
    return sorted(r.path for r in server.requests if "info" not in r.path and r.method == "GET")


@pytest.mark.parametrize("count", [1, 4])
def test_a_server_is_asked_for_each_chunk_once(
    tmp_path: Path, name: str, faulty: FaultServer, count: int
) -> None:
    _, voxels = support.write_layer(tmp_path, size=(160, 128, 96), chunk_size=(32, 32, 32))
    party = Party(faulty.put_folder("/layer", tmp_path), name, count)
    party.begin()
    assert {found for found, _ in party.results()} == {digest(voxels)}
    chunks = [f"/layer/{file}" for file in support.files_in(tmp_path) if file.startswith("4_4_40")]
    assert len(chunks) == 60
    assert chunk_requests(faulty) == sorted(chunk.removesuffix(".gz") for chunk in chunks)


@pytest.mark.parametrize("seed", range(4))
def test_a_server_is_asked_anew_only_for_what_the_killed_had_claimed(
    tmp_path: Path, name: str, faulty: FaultServer, seed: int
) -> None:
    layer, claims = tmp_path / "layer", tmp_path / "claims"
    claims.mkdir()
    _, voxels = support.write_layer(layer, size=(256, 256, 192), chunk_size=(64, 64, 64))
    faulty.script = lambda request, count: Answer(
        delay_seconds=0 if "info" in request.path else 0.03
    )
    party = Party(faulty.put_folder("/layer", layer), name, 5, claims)
    party.begin()
    rng = random.Random(seed)
    killed = rng.sample(range(5), 3)
    for number, after in zip(killed, sorted(rng.sample(range(1, 40), 3)), strict=True):
        until = time.monotonic() + 20
        while len(chunk_requests(faulty)) < after and time.monotonic() < until:
            time.sleep(0.001)
        party.members[number].kill()
    survivors = [party.members[number] for number in range(5) if number not in killed]
    results = party.results(survivors)
    for number in killed:
        party.members[number].communicate()
    assert {found for found, _ in results} == {digest(voxels)}
    assert (SHM / name).read_bytes() == voxels.tobytes("F")
    asked = Counter(path.rpartition("/")[2] for path in chunk_requests(faulty))
    assert len(asked) == 48  # every chunk
    claimed = Counter(chunk for number in killed for chunk in party.last_claim(number))
    again = {chunk: times for chunk, times in asked.items() if times > 1}
    assert all(times <= 1 + claimed[chunk] for chunk, times in again.items()), (again, claimed)


@pytest.mark.parametrize("seed", range(5))
def test_members_that_are_killed_do_not_show(volume, name: str, seed: int) -> None:
    path, voxels = volume
    party = Party(path, name, 4)
    party.begin()
    rng = random.Random(seed)
    for victim in party.members[:2]:
        time.sleep(rng.uniform(0, 0.06))
        victim.kill()
    survivors = party.results(party.members[2:])
    for victim in party.members[:2]:
        victim.communicate()
    assert {found for found, _ in survivors} == {digest(voxels)}
    assert (SHM / name).read_bytes() == voxels.tobytes("F")


def test_job_whose_members_all_died_is_begun_anew(volume, name: str) -> None:
    path, voxels = volume
    party = Party(path, name, 2)
    party.begin()
    time.sleep(0.02)
    for member in party.members:
        member.send_signal(signal.SIGKILL)
        member.communicate()
    vol = CloudVolume(path)
    assert np.array_equal(
        vol.download_to_shared_memory(np.s_[:], location=name, cooperate=True), voxels
    )


def test_other_box_under_the_same_name_is_refused(tmp_path: Path, name: str) -> None:
    path, voxels = support.write_layer(tmp_path)
    vol = CloudVolume(path)
    vol.download_to_shared_memory(np.s_[:], location=name, cooperate=True)
    for change in ({"slices": np.s_[:8]}, {"fill_missing": True}):
        other = CloudVolume(path, fill_missing=change.get("fill_missing", False))
        with pytest.raises(InvalidArgumentError, match="something else"):
            other.download_to_shared_memory(
                change.get("slices", np.s_[:]), location=name, cooperate=True
            )
    vol.shared_memory_id = name
    assert vol.unlink_shared_memory()
    part = vol.download_to_shared_memory(np.s_[:8], location=name, cooperate=True)
    assert np.array_equal(part, voxels[:8])


def test_error_of_one_is_raised_by_all_and_can_be_tried_again(tmp_path: Path, name: str) -> None:
    path, voxels = support.write_layer(tmp_path, compress=False)
    chunk = tmp_path / support.KEY / "8-16_0-8_0-8"
    good = chunk.read_bytes()
    chunk.write_bytes(b"x")
    vol = CloudVolume(path)
    for _ in range(2):
        with pytest.raises(ChunkDecodeError, match="8-16_0-8_0-8"):
            vol.download_to_shared_memory(np.s_[:], location=name, cooperate=True)
    assert [entry for entry in shm_names() if name in entry] == []
    chunk.write_bytes(good)
    found = vol.download_to_shared_memory(np.s_[:], location=name, cooperate=True)
    assert np.array_equal(found, voxels)


@pytest.mark.parametrize("by", ["another read", "another program"])
def test_name_that_stands_for_other_memory_by_now_is_not_taken_for_the_result(
    tmp_path: Path, name: str, by: str
) -> None:
    path, voxels = support.write_layer(tmp_path)
    vol = CloudVolume(path)
    first = vol.download_to_shared_memory(np.s_[:8], location=name, cooperate=True)
    if by == "another read":  # of a box of the same shape
        vol.download_to_shared_memory(np.s_[8:16], location=name)
    else:
        (SHM / name).unlink()
        (SHM / name).write_bytes(bytes(first.nbytes))
    again = vol.download_to_shared_memory(np.s_[:8], location=name, cooperate=True)
    assert np.array_equal(again, voxels[:8])
    assert (SHM / name).read_bytes() == voxels[:8].tobytes("F")


def test_latecomers_get_the_memory_as_it_is(tmp_path: Path, name: str) -> None:
    path, _ = support.write_layer(tmp_path)
    first = CloudVolume(path).download_to_shared_memory(np.s_[:], location=name, cooperate=True)
    first[...] = 77
    later = CloudVolume(path).download_to_shared_memory(np.s_[:], location=name, cooperate=True)
    assert (later == 77).all()


def test_result_that_was_unlinked_is_made_again(tmp_path: Path, name: str) -> None:
    path, voxels = support.write_layer(tmp_path)
    vol = CloudVolume(path)
    vol.download_to_shared_memory(np.s_[:], location=name, cooperate=True)
    (SHM / name).unlink()  # by a program that knows nothing of ledgers
    found = vol.download_to_shared_memory(np.s_[:], location=name, cooperate=True)
    assert np.array_equal(found, voxels)
    assert (SHM / name).exists()


def test_a_name_that_other_memory_has_now_is_free_for_another_box(volume, name: str) -> None:
    path, voxels = volume
    vol = CloudVolume(path, progress=False)
    vol.download_to_shared_memory(vol.bounds, location=name, cooperate=True)
    (SHM / name).unlink()
    (SHM / name).write_bytes(bytes(100))
    low = vol.bounds.minpt
    part = vol.download_to_shared_memory(Bbox(low, low + 16), location=name, cooperate=True)
    np.testing.assert_array_equal(part, voxels[:16, :16, :16])
