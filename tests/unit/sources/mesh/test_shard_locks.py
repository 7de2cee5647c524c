# SPDX-License-Identifier: BSD-3-Clause
from __future__ import annotations

import threading
from pathlib import Path

import meshes

LEVELS = [meshes.sphere(rings, segid=5) for rings in (12, 8)]


def test_writers_of_meshes_wait_for_the_lock_of_their_shard(tmp_path: Path) -> None:
    volume = meshes.make_volume(tmp_path / "layer", mip=0)
    volume.mesh.meta.to_multi_resolution(16)
    volume.mesh.to_sharded(100)
    volume.mesh.meta.commit_info()
    volume = meshes.CloudVolume(volume.cloudpath, progress=False)
    volume.mesh.put([LEVELS])
    source = volume.mesh
    shard = int(source.spec.locate([5])[0][0])
    deleting = threading.Thread(target=source.delete, args=(5,), daemon=True)
    with source.meta.meta.store.lock_shard(source.path, shard):
        deleting.start()
        deleting.join(0.2)
        assert deleting.is_alive()
        fresh = meshes.CloudVolume(volume.cloudpath, progress=False)
        assert fresh.mesh.exists([5])[0] is not None
    deleting.join(60)
    assert not deleting.is_alive()
    assert source.exists([5])[0] is None
