# SPDX-License-Identifier: BSD-3-Clause
from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import meshes
import numpy as np
import pytest

from cloudvolume_fast import Bbox, CloudVolume, Mesh
from cloudvolume_fast.errors import (
    InfoValidationError,
    InvalidArgumentError,
    MeshDecodeError,
    MeshMissingError,
    ReadOnlyException,
    ScaleUnavailableError,
)
from cloudvolume_fast.sources.precomputed.mesh.legacy import filename_to_segid
from cloudvolume_fast.sources.precomputed.mesh.open import open_mesh_source

A = Mesh([[1, 0, 0], [0, 0, 0], [0, 1, 0], [1, 0, 0], [0, 0, 1], [2, 2, 2]], [[0, 1, 2], [3, 4, 1]])


@pytest.fixture
def volume(tmp_path: Path) -> Any:
    return meshes.make_volume(tmp_path / "layer")


def write(volume: Any, label: int, fragments: dict[str, bytes], manifest: Any = None) -> Path:
    folder = Path(volume.meta.store.root) / "mesh"
    folder.mkdir(exist_ok=True)
    for name, data in fragments.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
    names = [name.removesuffix(".gz") for name in fragments]
    content = json.dumps({"fragments": names}) if manifest is None else manifest
    (folder / f"{label}:0").write_text(content)
    return folder


def test_what_is_put_is_the_format(volume: Any) -> None:
    volume.mesh.put(Mesh(A.vertices, A.faces, segid=5))
    folder = Path(volume.meta.store.root) / "mesh"
    assert json.loads((folder / "5:0").read_bytes()) == {"fragments": ["5:0:1"]}
    stored = gzip.decompress((folder / "5:0:1.gz").read_bytes())
    assert stored == meshes.fragment_bytes(A.vertices, A.faces)
    volume.mesh.put([Mesh(A.vertices, A.faces, segid=6)], compress=None)
    assert (folder / "6:0:1").read_bytes() == stored


def test_get_reads_one_or_several(volume: Any) -> None:
    volume.mesh.put([Mesh(A.vertices + k, A.faces, segid=k) for k in (5, 9, 10)])
    one = volume.mesh.get(5, remove_duplicate_vertices=False)
    assert isinstance(one, Mesh)
    assert (one.segid, one.encoding_type) == (None, "precomputed")
    assert one == Mesh(A.vertices + 5, A.faces)
    assert volume.mesh.get([5]) == volume.mesh.get(5) == one.consolidate()
    fused = volume.mesh.get([9, 10, 5, 9], remove_duplicate_vertices=False)
    expected = Mesh.concatenate(*(Mesh(A.vertices + k, A.faces) for k in (5, 9, 10)))
    assert fused == expected
    apart = volume.mesh.get(np.array([9, 5]), fuse=False)
    assert list(apart) == [9, 5]
    # Duplicates are removed from what is fused only (upstream behaviour).
    assert apart[9] == Mesh(A.vertices + 9, A.faces)
    assert [mesh.segid for mesh in apart.values()] == [9, 5]
    assert volume.mesh.get("5") == volume.mesh.get(5)
    assert volume.mesh.get([], fuse=False) == {}
    with pytest.raises(ValueError, match="at least one"):
        volume.mesh.get([])


def test_fragments_are_read_in_the_order_of_their_names(volume: Any) -> None:
    parts = {f"7:0:{k}": meshes.fragment_bytes(A.vertices + k, A.faces) for k in (3, 1, 2)}
    write(volume, 7, parts)
    found = volume.mesh.get(7, remove_duplicate_vertices=False)
    assert found == Mesh.concatenate(*(Mesh(A.vertices + k, A.faces) for k in (1, 2, 3)))


def test_fragments_may_be_in_folders_compressed_or_drawn_by_draco(volume: Any) -> None:
    ball = meshes.sphere(8)
    write(
        volume,
        7,
        {
            "a/7:0:1.gz": gzip.compress(meshes.fragment_bytes(A.vertices, A.faces)),
            "b/7:0:2": ball.to_draco(quantization_bits=20),
        },
    )
    found = volume.mesh.get(7, remove_duplicate_vertices=False)
    assert len(found) == len(A) + len(ball)
    assert found.vertices[:6].tolist() == A.vertices.tolist()
    assert found.vertices[6:].max() == pytest.approx(ball.vertices.max(), abs=1e-2)


@pytest.mark.parametrize("remove", [False, True])
def test_files_of_this_machine_are_read_as_those_of_any_store(
    tmp_path: Path, remove: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    volume = meshes.make_volume(tmp_path / "layer", transform=[2, 0, 0, 1, 0, 1, 0, 0, 0, 0, 1, 0])
    rng = np.random.default_rng(3)
    for label in (1, 2):
        parts = [meshes.random_mesh(rng, extent=200) for _ in range(150)]
        write(
            volume,
            label,
            {
                f"{label}:0:{i}" + ("" if i % 9 == 0 else ".gz"): (
                    mesh.to_precomputed() if i % 9 == 0 else gzip.compress(mesh.to_precomputed())
                )
                for i, mesh in enumerate(parts)
            },
        )
    found = volume.mesh.get([2, 1], remove_duplicate_vertices=remove)
    assert found.vertices.dtype == np.float32
    assert found.vertices.flags.writeable
    monkeypatch.setattr(type(volume.mesh), "_read_local", lambda source, pairs: None)
    other = volume.mesh.get([2, 1], remove_duplicate_vertices=remove)
    assert len(found.faces) > 1000
    assert found == other


def test_sound_files_of_this_machine_are_not_looked_at_one_by_one(
    volume: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    volume.mesh.put([Mesh(A.vertices, A.faces, segid=5)])

    def refuse(source: Any, pairs: Any) -> Any:
        raise AssertionError("fetched one by one")

    monkeypatch.setattr(type(volume.mesh), "_fetch", refuse)
    assert volume.mesh.get(5) == A.consolidate()


def test_a_fragment_of_two_labels_is_read_for_both(volume: Any) -> None:
    data = meshes.fragment_bytes(A.vertices, A.faces)
    for label in (7, 8):
        write(volume, label, {"shared": data})
    assert volume.mesh.get([7, 8], fuse=False) == {7: A, 8: A}
    assert len(volume.mesh.get([8, 7], remove_duplicate_vertices=False)) == 2 * len(A)


def test_an_empty_mesh_is_a_mesh(volume: Any) -> None:
    write(volume, 7, {"7:0:1": meshes.fragment_bytes([], [])})
    write(volume, 8, {})
    for label in (7, 8):
        assert volume.mesh.get(label).empty()
        assert volume.mesh.get(label, fuse=False)[label].empty()


def test_transform_is_applied(tmp_path: Path) -> None:
    volume = meshes.make_volume(tmp_path / "layer", transform=[2, 0, 0, 1, 0, 3, 0, 0, 0, 0, 4, -1])
    volume.mesh.put(Mesh(A.vertices, A.faces, segid=5))
    found = volume.mesh.get(5, remove_duplicate_vertices=False)
    assert found.vertices.tolist() == (A.vertices * [2, 3, 4] + [1, 0, -1]).tolist()
    with pytest.raises(InfoValidationError, match="transform"):
        meshes.make_volume(tmp_path / "bad", transform=[1, 2, 3])


def test_duplicates_are_removed_at_borders_only(tmp_path: Path) -> None:
    volume = meshes.make_volume(tmp_path / "layer", mip=1)
    # Chunks of 64 voxels of (8, 8, 40) nm, from (10, 20, 30) voxels of mip 0 on, which are (5, 10, 30) of mip 1.
    border = (5 + 64) * 8
    part = Mesh([[border, 1, 2], [3, 3, 3], [4, 4, 4]], [[0, 1, 2]])
    data = meshes.fragment_bytes(part.vertices, part.faces)
    write(volume, 7, {"7:0:1": data, "7:0:2": data})
    assert len(volume.mesh.get(7)) == 3
    for size in ([64, 64, 64], np.array([64, 64, 64])):
        found = volume.mesh.get(7, chunk_size=size)
        assert found.vertices.tolist() == [[3, 3, 3]] * 2 + [[4, 4, 4]] * 2 + [[border, 1, 2]]
    assert len(volume.mesh.get(7, chunk_size=[63, 64, 64])) == 6
    assert len(volume.mesh.get(7, remove_duplicate_vertices=False, chunk_size=[64, 64, 64])) == 6
    volume.mesh.meta.mip = 5
    with pytest.raises(ScaleUnavailableError):
        volume.mesh.get(7, chunk_size=[64, 64, 64])


def test_labels_that_are_missing(volume: Any) -> None:
    volume.mesh.put(Mesh(A.vertices, A.faces, segid=5))
    assert volume.mesh.exists([5, 6]) == {"5": "mesh/5:0", "6": None}
    assert volume.mesh.exists(5) == {"5": "mesh/5:0"}
    with pytest.raises(MeshMissingError, match=r"no mesh of 77, 78\b") as caught:
        volume.mesh.get([77, 5, 78])
    assert isinstance(caught.value, ValueError)
    assert caught.value.found == [77, 78]
    assert volume.mesh.get(77, allow_missing=True) is None
    assert list(volume.mesh.get([77, 5], fuse=False, allow_missing=True)) == [5]
    assert volume.mesh.get([77, 5], allow_missing=True) == volume.mesh.get(5)


def test_a_fragment_that_is_missing_is_named(volume: Any) -> None:
    write(volume, 20, {}, json.dumps({"fragments": ["nofile"]}))
    for allow_missing in (False, True):
        with pytest.raises(MeshMissingError, match=r"mesh of 20: .*mesh/nofile"):
            volume.mesh.get(20, allow_missing=allow_missing)


@pytest.mark.parametrize(
    "content",
    ["", "{bad", "[]", "{}", '{"frags": []}', '{"fragments": 5}', '{"fragments": [5]}', '{"fragments": [""]}',
     '{"fragments": ["../../x"]}', '{"fragments": ["/etc/passwd"]}', '{"fragments": ["a\\u0000b"]}', "[" * 100_000,
     "\\xff"],
)  # fmt: skip
def test_malformed_manifests_are_refused(volume: Any, content: str) -> None:
    write(volume, 20, {}, content)
    with pytest.raises(MeshDecodeError, match=r"mesh of 20: .*/mesh/20:0"):
        volume.mesh.get(20)


def test_corrupt_fragments_are_refused_by_label_and_file(volume: Any) -> None:
    data = meshes.fragment_bytes(A.vertices, A.faces)
    ball = meshes.sphere(8).to_draco()
    for bad in (b"", data[:-1], data[:-5], data + b"x", ball[:-20], ball[:30]):
        write(volume, 24, {"24:0:1": data, "24:0:2": bad})
        for fuse in (False, True):
            with pytest.raises(MeshDecodeError, match=r"mesh of 24: .*/mesh/24:0:2"):
                volume.mesh.get(24, fuse=fuse)


def test_put_replaces_what_there_was(volume: Any) -> None:
    folder = write(
        volume, 7, {f"7:0:{k}": meshes.fragment_bytes(A.vertices, A.faces) for k in (1, 2, 3)}
    )
    volume.mesh.put(Mesh(A.vertices, A.faces, segid=7), batch_size=1)
    assert sorted(path.name for path in folder.iterdir()) == ["7:0", "7:0:1.gz"]
    with pytest.raises(InvalidArgumentError, match="segid"):
        volume.mesh.put(A)
    with pytest.raises(MeshDecodeError, match="mesh of 8"):
        volume.mesh.put(Mesh(A.vertices, A.faces + 5, segid=8))
    assert volume.mesh.exists(8) == {"8": None}


def test_delete_takes_fragments_along(volume: Any) -> None:
    folder = write(
        volume, 7, {f"7:0:{k}": meshes.fragment_bytes(A.vertices, A.faces) for k in (1, 2)}
    )
    volume.mesh.put(Mesh(A.vertices, A.faces, segid=8))
    volume.mesh.delete([7, 1234])
    assert sorted(path.name for path in folder.iterdir()) == ["8:0", "8:0:1.gz"]


@pytest.mark.parametrize("file_format", ["ply", "obj", "precomputed"])
def test_save(
    volume: Any, file_format: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    volume.mesh.put([Mesh(A.vertices + k, A.faces, segid=k) for k in (5, 9)])
    volume.mesh.save(5, file_format=file_format)
    assert Mesh.load(f"5.{file_format}") == volume.mesh.get(5)
    volume.mesh.save([5, 9], file_format=file_format)
    assert Mesh.load(f"5_9.{file_format}") == volume.mesh.get([5, 9])
    volume.mesh.save(5, tmp_path / f"other.{file_format}", file_format)
    assert Mesh.load(f"other.{file_format}") == volume.mesh.get(5)


def test_save_refuses_other_formats(volume: Any) -> None:
    with pytest.raises(NotImplementedError, match="ply, obj, precomputed"):
        volume.mesh.save(5, file_format="stl")


def test_boxes_need_a_spatial_index(volume: Any) -> None:
    with pytest.raises(IndexError):
        volume.mesh.get_bbox(None)


def test_meshes_of_a_box_are_found_by_the_spatial_index(volume: Any) -> None:
    x, y, z = (int(extent) for extent in volume.bounds.maxpt * volume.resolution)
    volume.mesh.meta.info["spatial_index"] = {
        "resolution": volume.resolution.tolist(),
        "chunk_size": [x, y, z],
    }
    assert volume.mesh.spatial_index is not None
    (name,) = volume.mesh.spatial_index.index_file_paths_for_bbox(
        volume.mesh.spatial_index.physical_bounds
    )
    low = volume.mesh.spatial_index.physical_bounds.minpt
    boxes = {
        str(label): [*(low + begin).tolist(), *(low + begin + 9).tolist()]
        for label, begin in ((5, 0), (9, 20))
    }
    volume.meta.store.put_many([(f"{volume.mesh.path}/{name}", json.dumps(boxes).encode())])
    volume.mesh.put([Mesh(A.vertices, A.faces, segid=label) for label in (5, 9)])
    box = Bbox(low, low + 10)
    assert {*volume.mesh.spatial_index.query(box)} == {5}
    found = volume.mesh.get_bbox(box)
    assert found == volume.mesh.get([5])


def test_a_redirected_layer_is_not_written(tmp_path: Path, volume: Any) -> None:
    volume.mesh.put(Mesh(A.vertices, A.faces, segid=5))
    other = tmp_path / "old"
    other.mkdir()
    (other / "info").write_text(json.dumps({**volume.info, "redirect": volume.cloudpath}))
    with pytest.warns(UserWarning, match="redirects"):
        moved = CloudVolume(f"file://{other}", progress=False)
    assert moved.mesh.get(5) == volume.mesh.get(5)
    for action in (
        lambda: moved.mesh.put(Mesh(A.vertices, A.faces, segid=5)),
        lambda: moved.mesh.delete(5),
        moved.mesh.meta.commit_info,
    ):
        with pytest.raises(ReadOnlyException):
            action()


def test_mesh_dir_chooses_the_folder(tmp_path: Path) -> None:
    layer = tmp_path / "layer"
    meshes.make_volume(layer, mesh="first")
    volume = CloudVolume(f"file://{layer}", mesh_dir="second", progress=False)
    volume.mesh.put(Mesh(A.vertices, A.faces, segid=5))
    assert volume.mesh.path == "second"
    assert (layer / "second" / "5:0").is_file()
    assert CloudVolume(f"file://{layer}", progress=False).mesh.exists(5) == {"5": None}


def test_a_folder_is_opened_by_its_own_path(tmp_path: Path, volume: Any) -> None:
    volume.mesh.put(Mesh(A.vertices, A.faces, segid=5))
    assert open_mesh_source(f"{volume.cloudpath}/mesh/").get(5) == volume.mesh.get(5)
    alone = open_mesh_source(f"file://{tmp_path}/alone/folder")
    alone.put(Mesh(A.vertices, A.faces, segid=5))
    assert open_mesh_source(f"file://{tmp_path}/alone/folder").get(5) == volume.mesh.get(5)
    with pytest.raises(ScaleUnavailableError):
        alone.get(5, chunk_size=[64, 64, 64])


@pytest.mark.parametrize("name", ["5:0:1", "5:0:1.gz", "a/5:0:x", "5:0"])
def test_filename_to_segid(name: str) -> None:
    assert filename_to_segid(name) == 5


def test_filename_to_segid_refuses_others() -> None:
    with pytest.raises(ValueError, match="begins with a label"):
        filename_to_segid("None:0")
