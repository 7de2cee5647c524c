# SPDX-License-Identifier: BSD-3-Clause
"""Objects of the C++ core that have an identity, bound with pybind11 (cpp/bindings)."""

from collections.abc import Callable, Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from typing_extensions import Buffer

_Bounds = tuple[int, int, int, int, int, int]
_Triple = tuple[int, int, int]
_Outcome = tuple[str, str, str, int, int, int, int, str, int, str]
_Progress = Callable[[int, int], None]

class _Hooks(Protocol):
    """Python's part of decoding and encoding, called from the core's threads with the GIL: see `deliver.hooks`."""

    dtype: np.dtype[Any]
    def decompress(self, suffix: str, data: memoryview, limit: int) -> bytes: ...
    def compress(self, suffix: str, data: memoryview, level: int) -> bytes: ...
    def decode(self, data: memoryview, chunk_shape: list[int], box: _Bounds) -> NDArray[Any]: ...
    def encode(self, voxels: NDArray[Any]) -> bytes: ...
    def unique(
        self, data: memoryview, chunk_shape: list[int], box: _Bounds
    ) -> NDArray[np.uint64]: ...

def build_config() -> dict[str, Any]:
    """Return compiler, flags and versions of the extension."""

def default_threads() -> int:
    """Return the threads used by default.

    That is ``CVFAST_THREADS``, else the CPUs that affinity mask and cgroup quota leave.
    """

def is_worth_huge_pages(size_bytes: int) -> bool:
    """Return whether `allocate` serves an array of this size better than malloc."""

def allocate(size_bytes: int) -> NDArray[np.uint8]:
    """Return uninitialised bytes, shape (size_bytes,), on huge pages where the system has them.

    Raises
    ------
    MemoryError
    """

def kept_bytes() -> int:
    """Return the bytes of released blocks that `allocate` keeps for the next request (``CVFAST_KEEP_BYTES``)."""

class Renumberer:
    """Numbers labels from 1 in the order in which they are met; the background keeps its value.

    Parameters
    ----------
    background : int
        Bits of the background label, zero extended.
    """

    def __init__(self, background: int) -> None: ...
    def apply(self, src: NDArray[Any], dst: NDArray[Any]) -> int:
        """Rewrite labels as numbers.

        Parameters
        ----------
        src, dst : ndarray, shape (n,), contiguous
            Items of 1, 2, 4 or 8 bytes.

        Returns
        -------
        int
            Items written: fewer than n when the next number does not fit `dst`.
        """

    def mapping(self) -> dict[int, int]:
        """Return bits of the original label to number, in no order."""

def read_objects(
    root: bytes,
    keys: Sequence[str] | Sequence[bytes],
    limit_bytes: int,
    threads: int,
) -> tuple[list[bytes | None], list[tuple[int, str]], list[int]]:
    """Read whole objects below a folder, under whichever suffix they lie, the newest copy of each.

    Parameters
    ----------
    root : bytes
        Path of the folder.
    keys : sequence of bytes
        Paths below it, without suffixes.
    limit_bytes : int
        Bytes that a gzipped object may expand to.
    threads : int
        0 leaves it to the core.

    Returns
    -------
    objects : list
        None where absent; inflated where gzipped.
    encoded : list of (int, str)
        Which of them are still compressed, and the suffix that tells how.
    unclear : list of int
        Which could not be read, or have keys that are not plain paths: to be looked at one by one.
    """

class ObjectsAhead:
    """Batches of objects that threads without the GIL prepare while the caller works on those before them.

    Notes
    -----
    Where no batch is ready, whoever asks for one prepares one too.  At most a few for each thread wait, and no more are
    begun once they take 64 MiB.  A forked child prepares those that its parent had not been given itself.
    """

    def next(self) -> tuple[list[bytes | None], list[tuple[int, str]], list[int]] | None:
        """Wait for the next batch, as `read_objects` returns it, or return None behind the last.

        Signals are handled meanwhile (Ctrl-C).

        Raises
        ------
        RuntimeError
            Another thread is using it.
        """

    def close(self) -> None:
        """Stop, and wait until no thread is left; so does letting go of it."""

def read_objects_ahead(
    root: bytes,
    keys: Sequence[str] | Sequence[bytes],
    batch_keys: int,
    limit_bytes: int,
    threads: int,
) -> ObjectsAhead:
    """Read whole objects below a folder, `batch_keys` to a batch; see `read_objects`."""

def inflate_ranges_ahead(
    wholes: Sequence[Buffer],
    numbers: NDArray[np.int64],
    begins: NDArray[np.uint64],
    sizes: NDArray[np.uint64],
    batch_ranges: int,
    limit_bytes: int,
    threads: int,
) -> ObjectsAhead:
    """Inflate gzipped parts of some buffers, `batch_ranges` to a batch; see `inflate_ranges`.

    What cannot be inflated as its end claims is unclear.
    """

def write_objects(
    root: bytes,
    keys: Sequence[str] | Sequence[bytes],
    objects: Sequence[Buffer],
    suffix: str,
    level: int,
    sync: bool,
    threads: int,
) -> list[int]:
    """Replace whole objects below a folder, each under a temporary name first.

    Parameters
    ----------
    keys : sequence of bytes
        None twice.
    objects : sequence of bytes-like
        To be gzipped where `suffix` is ``".gz"``; else already compressed as it says.

    Returns
    -------
    list of int
        Which were not written: after the first failure no more are begun.
    """

def inflate_ranges(
    wholes: Sequence[Buffer],
    numbers: NDArray[np.int64],
    begins: NDArray[np.uint64],
    sizes: NDArray[np.uint64],
    limit_bytes: int,
    threads: int,
) -> list[bytes | None]:
    """Inflate gzipped objects that are parts of others, on the threads of the pool and without the GIL.

    Parameters
    ----------
    wholes : sequence of bytes-like
        What the objects are parts of; contiguous.
    numbers : ndarray of int64, shape (n,)
        Of which of them each object is a part.
    begins, sizes : ndarray of uint64, shape (n,)
        Where in it, in bytes.
    limit_bytes : int
        Bytes that each may expand to.
    threads : int
        0 leaves it to the core.

    Returns
    -------
    list
        None where that is unclear: not one sound member, one that holds nothing or more than the limit, or one that
        reaches past the end.
    """

class ShardLock:
    """A lock on one shard of a folder, against other threads and processes; it goes with the object."""

    def __init__(self) -> None: ...
    def acquire(self, folder: bytes, shard: int) -> tuple[str, int] | None:
        """Wait for the lock, without the GIL.

        Returns
        -------
        None, or where it failed the name of the system call and errno
        """

    def release(self) -> None: ...

def find_objects(
    root: bytes, keys: Sequence[str] | Sequence[bytes], threads: int
) -> tuple[list[bool], list[int]]:
    """Say which objects are there, and of which that is unclear; see `read_objects`."""

def remove_objects(root: bytes, keys: Sequence[str] | Sequence[bytes], threads: int) -> list[int]:
    """Remove objects under every suffix, and return which could not be removed; see `read_objects`."""

_HttpRow = tuple[str, int, bytes | None, dict[str, str], int, str, str, str]
_HttpHeaders = Sequence[tuple[str, str]]

class HttpClient:
    """Requests over HTTP and HTTPS, under bounds of time; safe to use from any thread, and after a fork.

    All clients of a process share one thread and its connections, which start with the first request. Every method
    waits without the GIL; a signal handler that raises (Ctrl-C) takes the requests off the wire.

    Parameters
    ----------
    connect_seconds : float
        To an established connection.
    stall_seconds, stall_bytes : float, int
        A transfer that moves fewer bytes in this time has stalled; noticed within twice the time.
    total_seconds : float
        A whole request with its retries, from its first start; waiting for its turn does not count.
    max_attempts : int
        408, 429, 500, 502, 503, 504, timeouts, broken connections and short bodies are tried again; wrong digests,
        sizes and ranges at most twice.
    backoff_seconds, max_backoff_seconds : float
        Pauses before retries are drawn between the first and three times the last pause, up to the second. 429, 503
        and refused connections make all requests to that host pause. Retry-After is obeyed.
    max_redirects : int
        Redirects to another server lose all headers that may hold a credential; those from https to http are refused.
    max_ignored_range_bytes : int
        How far into an object to read for a range that the server ignores.

    Notes
    -----
    Methods return rows ``(state, status, body, headers, attempts, checked, error, message)``:

    * state: "data", "missing" (404), "not_modified" (304), "failed" or "cancelled" (`close` was called).
    * status: of the last answer, 0 without one.
    * body: as stored, never decoded (Content-Encoding is in the headers); None in every state but "data", and where
      it went into the caller's memory.
    * headers: by lower case name, those that say something about the object.
    * attempts: how often the request was sent.
    * checked: "crc32c" or "md5" if the body was compared with a stated digest, else "".
    * error: "" unless failed: "request", "connect", "tls", "timeout", "reset", "short_body", "status", "size",
      "digest", "range", "redirect", "protocol", "memory" or "forked".
    * message: what was expected and found; names the URL without user and query.

    ``http_proxy``, ``https_proxy``, ``all_proxy``, ``no_proxy``, ``CURL_CA_BUNDLE``, ``SSL_CERT_FILE`` and
    ``SSL_CERT_DIR`` are read for every call.

    Raises
    ------
    ValueError
        A bound is negative, or does not admit one attempt.
    """

    def __init__(
        self,
        *,
        connect_seconds: float = 10,
        stall_seconds: float = 30,
        stall_bytes: int = 1024,
        total_seconds: float = 600,
        max_attempts: int = 7,
        backoff_seconds: float = 0.2,
        max_backoff_seconds: float = 30,
        max_redirects: int = 10,
        max_ignored_range_bytes: int = 1 << 26,
    ) -> None: ...
    def get_many(
        self,
        urls: Sequence[str],
        headers: _HttpHeaders = (),
        *,
        ranges: Sequence[tuple[int, int] | None] | None = None,
        expected_sizes: Sequence[int | None] | None = None,
        into: Sequence[Buffer | None] | None = None,
        max_size_bytes: int = 1 << 30,
        may_end_early: bool = False,
        checks_stated_digest: bool = True,
        is_etag_md5: bool = False,
    ) -> list[_HttpRow]:
        """Get objects, or parts of them, side by side.

        Parameters
        ----------
        urls : sequence of str
        headers : sequence of (name, value)
            Sent with each. Unless Accept-Encoding is among them, objects are asked for as stored ("gzip" and others)
            and ranges as "identity".
        ranges : sequence of (begin, end) or None, optional
            Half-open, in bytes, one for each URL; never other bytes than these, whatever the server answers.
        expected_sizes : sequence of int or None, optional
            In bytes, of bodies without Content-Encoding; another size is an error.
        into : sequence of writable buffers or None, optional
            Where a body goes that has exactly the buffer's size and no Content-Encoding.
        max_size_bytes : int
            A longer body is an error.
        may_end_early : bool
            A range that reaches past the end of its object is answered with what there is.
        checks_stated_digest : bool
            Compare whole objects with x-goog-hash, x-amz-checksum-crc32c or Content-MD5 where stated.
        is_etag_md5 : bool
            And with an ETag of 32 hexadecimal digits, as on S3.

        Returns
        -------
        list of tuple
            One row for each URL, in order.

        Raises
        ------
        ValueError
            Sequences of different lengths.
        BufferError
            A destination cannot be written to.
        """

    def head(self, url: str, headers: _HttpHeaders = ()) -> _HttpRow:
        """Return status and headers of an object; the body is empty."""

    def put(self, url: str, data: Buffer, headers: _HttpHeaders = ()) -> _HttpRow:
        """Store an object."""

    def post(
        self, url: str, data: Buffer, headers: _HttpHeaders = (), *, is_repeatable: bool = False
    ) -> _HttpRow:
        """Send data; tried again only if it cannot have been heard, or `is_repeatable`."""

    def delete(self, url: str, headers: _HttpHeaders = ()) -> _HttpRow:
        """Remove an object."""

    @staticmethod
    def configure(
        *,
        max_transfers: int | None = None,
        max_transfers_per_host: int | None = None,
        max_inflight_bytes: int | None = None,
        idle_seconds: float | None = None,
    ) -> None:
        """Change what all clients of the process share; None leaves a setting as it is.

        Parameters
        ----------
        max_transfers, max_transfers_per_host : int
            At once, 512 and 256. Of all of them never more than half of the descriptors that the process may have.
        max_inflight_bytes : int
            Of bodies that are received and not yet delivered, 192 MiB.
        idle_seconds : float
            After which the thread ends and connections are closed, 60.

        Raises
        ------
        ValueError
            Fewer than one transfer, or a negative time.
        """

    @staticmethod
    def stats() -> dict[str, int]:
        """Return counters of the process.

        They are requests, attempts, retries, redirects, connections, pauses, bytes, inflight_bytes, peak_inflight_bytes
        and is_running.
        """

    @staticmethod
    def close() -> None:
        """Cancel what is under way, close connections and end the thread; the next request starts it again."""

class ChunkCache:
    """Least recently used chunks in memory, up to a number of bytes; safe to use from any thread, and after a fork.

    Entries are named ``key/x0-x1_y0-y1_z0-z1``.

    Parameters
    ----------
    limit_bytes : int
        What entries may take together, their bookkeeping included; 0 holds nothing.
    """

    def __init__(self, limit_bytes: int) -> None: ...
    @property
    def limit_bytes(self) -> int:
        """What entries may take together."""

    @property
    def held_bytes(self) -> int:
        """What entries take together, as the allocator counts it, their bookkeeping included."""

    def __len__(self) -> int: ...
    def __contains__(self, path: str) -> bool: ...
    def paths(self) -> list[str]:
        """Return the names of the entries, the most recently used first."""

    def get(self, path: str, is_use: bool) -> tuple[int, str, list[int], bytes] | None:
        """Return (space, encoding, chunk shape, bytes) of an entry; with `is_use` it becomes the most recently used."""

    def take(self, path: str) -> tuple[int, str, list[int], bytes] | None:
        """Remove an entry and return it as `get` does."""

    def resize(self, limit_bytes: int) -> None:
        """Change the limit, and remove what exceeds it."""

    def clear(self) -> None:
        """Remove all entries."""

class ShardIndexCache:
    """Indexes of shards and minishards, parsed, for all scales of a volume.

    Parameters
    ----------
    limit_bytes : int
        What they may hold; the least recently used go first.

    Notes
    -----
    An index counts only as long as its file is the one that it was read from (device, inode, size, times).
    """

    def __init__(self, limit_bytes: int = ...) -> None: ...
    def clear(self) -> None:
        """Forget all."""

    @property
    def held_bytes(self) -> int:
        """What is held now."""

class _WholeObjects(Protocol):
    def get_stored(self, key: str) -> tuple[bytes, str] | None: ...
    def put_stored(
        self, key: str, data: bytes, suffix: str, content_type: str, cache_control: str | None
    ) -> None: ...
    def exists_many(self, keys: Sequence[str]) -> list[bool]: ...
    def delete_many(self, keys: Sequence[str]) -> None: ...

class ImageLayout:
    """One scale of a volume on a local file system: where its chunks lie and what their bytes mean.

    Parameters
    ----------
    folder : str or bytes
        Absolute path of the chunks' folder.
    voxel_offset, volume_size, chunk_size : tuple of 3 int
        In voxels.
    encoding : {"raw", "compressed_segmentation", "png", "external"}
        The last for encodings that `hooks` decodes and encodes.
    item_size : int
        Bytes of a voxel's value, 1 to 16.
    num_channels : int
    block_shape : tuple of 3 int
        Sub-blocks of compressed_segmentation.
    level : int
        Of png, 0 to 9, for writing.
    hooks : object
        What is done in Python; kept alive by the layout.

    Raises
    ------
    ValueError
        For sizes that are not positive, or bounds outside of int64.

    Notes
    -----
    Every method runs on the core's threads without the GIL, which it takes about every 50 ms for
    signals and `progress`.  A failed chunk does not raise: the outcome (kind, chunk name, what, code,
    offset, expected, found, system call, errno, detail) is returned instead of None; see
    `deliver.outcome`.
    """

    def __init__(
        self,
        folder: str | bytes,
        voxel_offset: _Triple,
        volume_size: _Triple,
        chunk_size: _Triple,
        encoding: str,
        item_size: int,
        num_channels: int,
        block_shape: _Triple,
        level: int,
        hooks: _Hooks,
    ) -> None: ...
    def use_endpoint(
        self,
        endpoint: Endpoint,
        folder: str,
        upload_headers: _HttpHeaders = ...,
        about: Endpoint | None = ...,
    ) -> None:
        """Look for chunks behind an endpoint, below the key `folder`; call before `use_shards`.

        With `about`, that one is asked, by GET, whether chunks are there, and told to remove them.
        """

    def use_store(
        self,
        store: _WholeObjects,
        cloudpath: str,
        folder: str,
        content_type: str,
        cache_control: str | None,
    ) -> None:
        """Get and put whole objects through a store in Python, below the key `folder`; call before `use_shards`."""

    def use_disk_cache(
        self, folder: str | bytes, suffix: str, level: int, limit_bytes: int | None
    ) -> None:
        """Keep copies of chunks in a folder, compressed as `suffix` says; call after the others.

        With a limit to what the folder holds, one request keeps at most half of it, and last uses are noted.
        """

    def take_kept_bytes(self) -> int:
        """Return the bytes of copies that were made since this was last asked."""

    def use_shards(
        self,
        preshift_bits: int,
        minishard_bits: int,
        shard_bits: int,
        hash: str,
        minishard_index_encoding: str,
        data_encoding: str,
        index_cache: ShardIndexCache,
    ) -> None:
        """Look for chunks in shards from now on, as the members of a sharding specification say.

        Raises
        ------
        ValueError
            They are out of range, or the grid has more than 2^64 points.
        """

    def shard_bounds(self, bounds: _Bounds) -> _Bounds | None:
        """Return the voxels that share a shard with the first chunk of a box; None where they make no box."""

    def use_cache(
        self,
        cache: ChunkCache,
        key: str,
        stored_encoding: str,
        entry_encoding: str,
        entry_codec: str,
        block_shape: _Triple,
        hooks: _Hooks | None,
    ) -> int:
        """Hold chunks in memory from now on.

        Parameters
        ----------
        cache : ChunkCache
        key : str
            The scale's, by which entries are named.
        stored_encoding, entry_encoding : str
            Names as in the info; chunks are transcoded where they differ.
        entry_codec : {"raw", "compressed_segmentation", "external"}
            Who decodes transcoded entries.
        block_shape : tuple of 3 int
            Of entries in compressed_segmentation.
        hooks : object or None
            Of transcoded entries that are external.

        Returns
        -------
        int
            The number by which the cache knows this scale.
        """

    def read(
        self,
        bounds: _Bounds,
        channels: tuple[int, int],
        out: NDArray[Any],
        fill_missing: bool,
        background: bytes,
        label: int | None,
        keep: NDArray[np.uint64] | None,
        other: int,
        threads: int,
        max_inflight_bytes: int,
        progress: _Progress | None,
    ) -> _Outcome | None:
        """Read a box into `out`, shape (x, y, z, channel), any strides; bool for `label`."""

    def read_points(
        self,
        points: NDArray[np.int64],
        channels: tuple[int, int],
        out: NDArray[Any],
        fill_missing: bool,
        background: bytes,
        threads: int,
        max_inflight_bytes: int,
        progress: _Progress | None,
    ) -> _Outcome | None:
        """Read voxels at points, shape (n, 3), into `out`, shape (n, channel), C order."""

    def unique(
        self,
        bounds: _Bounds,
        channels: tuple[int, int],
        fill_missing: bool,
        background: bytes,
        threads: int,
        max_inflight_bytes: int,
        progress: _Progress | None,
    ) -> tuple[_Outcome | None, NDArray[np.uint64]]:
        """Return the outcome and the ascending bits of the values in a box."""

    def write(
        self,
        bounds: _Bounds,
        src: NDArray[Any],
        compression: str,
        level: int,
        partial: str,
        merge_objects: bool,
        fill_missing: bool,
        delete_background: bool,
        sync: bool,
        background: bytes,
        threads: int,
        max_inflight_bytes: int,
        progress: _Progress | None,
    ) -> _Outcome | None:
        """Write a box from `src`, shape (x, y, z, channel), any strides, as chunk files."""

    def encode(
        self,
        bounds: _Bounds,
        src: NDArray[Any],
        compression: str,
        level: int,
        delete_background: bool,
        background: bytes,
        threads: int,
        max_inflight_bytes: int,
        progress: _Progress | None,
    ) -> tuple[_Outcome | None, NDArray[np.uint64], list[bytes]]:
        """Encode the chunks of a box of whole chunks, without storing them.

        Returns
        -------
        outcome : tuple or None
        codes : ndarray of uint64, shape (n,)
            Compressed Morton codes, x fastest; chunks of background are left out under `delete_background`.
        chunks : list of bytes
        """

    def list_chunks(
        self, bounds: _Bounds, check_exists: bool, threads: int
    ) -> tuple[_Outcome | None, list[str], list[bool]]:
        """Return the outcome, the names of the chunks that a box touches, and whether each exists."""

    def transfer(
        self,
        destination: ImageLayout,
        bounds: _Bounds,
        copy_bytes: bool,
        compression: str | None,
        level: int,
        fill_missing: bool,
        sync: bool,
        threads: int,
        max_inflight_bytes: int,
        progress: _Progress | None,
    ) -> tuple[_Outcome | None, bool]:
        """Copy the chunks of a box that is whole chunks of both layouts.

        Parameters
        ----------
        copy_bytes : bool
            Both encodings mean the same bytes, so that nothing is decoded.
        compression : str or None
            Suffix of the second-stage compression; None to leave it as it is, with `copy_bytes` only.
        fill_missing : bool
            Remove at the destination what is absent, instead of failing.

        Returns
        -------
        outcome : tuple or None
        in_destination : bool
            Whether it was a chunk of the destination that failed.

        Raises
        ------
        ValueError
            The box is not made of whole chunks of both.
        """

    def read_files(
        self,
        bounds: _Bounds,
        decompress: bool,
        threads: int,
        max_inflight_bytes: int,
        progress: _Progress | None,
    ) -> tuple[_Outcome | None, dict[str, bytes | None]]:
        """Return the outcome, and the bytes of each chunk that a box touches by its name; None where it is absent.

        As stored the names have their suffixes.
        """

    def delete(self, bounds: _Bounds, threads: int) -> _Outcome | None:
        """Remove the chunks that a box touches; absent ones are no error."""

    def count_chunks(self, bounds: _Bounds) -> int:
        """Return how many chunks a box touches."""

class HttpSigner:
    """Adds to each attempt of a request what proves who is asking; never shows it."""

class AuthorizationSigner(HttpSigner):
    """Sends one Authorization header, which may be replaced at any time."""

    def __init__(self) -> None: ...
    def use(self, value: str) -> bool:
        """Send this from now on, nothing if it is empty; return whether it is another value."""

    @property
    def is_anonymous(self) -> bool:
        """Whether nothing is sent."""

class SigV4Signer(HttpSigner):
    """Signs for S3 with AWS Signature Version 4, with keys that may be replaced at any time."""

    def __init__(self) -> None: ...
    def use(
        self,
        access_key: str,
        secret_key: str,
        *,
        session_token: str = "",
        region: str = "us-east-1",
        pays_as_requester: bool = False,
    ) -> bool:
        """Sign with these from now on, not at all if there is no access key; return whether they are others."""

    @property
    def is_anonymous(self) -> bool:
        """Whether nothing is signed."""

class Endpoint:
    """Where a layer's objects are reached over HTTP.

    Parameters
    ----------
    read_prefix, read_suffix : str
        What stands before and behind an object's percent-encoded key in URLs to read from.
    write_prefix, write_suffix : str
        The same to write to; without a prefix nothing can be written.
    encodes_slashes : bool
        The key is one segment of the URL's path.
    headers : sequence of (str, str)
        Of every request.
    signer : HttpSigner, optional
    is_etag_md5 : bool
        Whether ETags that look like an MD5 are one, as on S3.
    client : HttpClient, optional
        Whose bounds of time and attempts hold.

    Attributes
    ----------
    is_forbidden_missing : bool
        Whether 403 to a GET or HEAD says that the object is absent.  Nothing here looks at it but who reads answers.

    Notes
    -----
    Methods return rows as `HttpClient` does.
    """

    is_forbidden_missing: bool

    def __init__(
        self,
        read_prefix: str,
        *,
        read_suffix: str = ...,
        write_prefix: str = ...,
        write_suffix: str = ...,
        encodes_slashes: bool = ...,
        headers: _HttpHeaders = ...,
        signer: HttpSigner | None = ...,
        is_etag_md5: bool = ...,
        client: HttpClient | None = ...,
    ) -> None: ...
    @property
    def is_writable(self) -> bool:
        """Whether there is a prefix to write to."""

    def get_many(
        self,
        keys: Sequence[str],
        *,
        ranges: Sequence[tuple[int, int]] | None = None,
        max_size_bytes: int = ...,
        may_end_early: bool = False,
    ) -> list[_HttpRow]:
        """Get objects side by side, or a range (begin, end) of each.

        Raises
        ------
        ValueError
            Not as many ranges as keys.
        """

    def head_many(self, keys: Sequence[str]) -> list[_HttpRow]:
        """Return status and headers of objects."""

    def delete_many(self, keys: Sequence[str]) -> list[_HttpRow]:
        """Remove objects."""

    def put_many(self, objects: Sequence[tuple[str, Buffer, _HttpHeaders]]) -> list[_HttpRow]:
        """Store objects, each with headers of its own."""

    def get_url(self, url: str) -> _HttpRow:
        """Get what lies elsewhere on the same server, with the same headers and signer."""

_MeshStatus = tuple[int, int, int, int, int]
_Floats = NDArray[np.float32]
_UInts = NDArray[np.uint32]

def stitch_fragments(
    fragments: Sequence[Buffer], transform: Sequence[float] | None, threads: int
) -> tuple[_MeshStatus, Any, Any, Any]:
    """Decode fragments of the single-resolution mesh format into one mesh; see `model.mesh.stitch_fragments`.

    Returns
    -------
    status : tuple of int
        Code, offset, expected, found, and the fragment that they are about; the code is 0 if all went well.
    vertices : ndarray of float32, shape (n, 3), or None
    faces : ndarray of uint32, shape (m, 3), or None
    begins : ndarray of uint64, shape (fragments + 1, 2), or None
        First vertex and first face of each fragment, and the totals.
    """

def read_fragments(
    root: bytes,
    keys: Sequence[str] | Sequence[bytes],
    limit_bytes: int,
    transform: Sequence[float] | None,
    threads: int,
) -> tuple[_Floats, _UInts] | None:
    """Read fragments of the single-resolution mesh format from the files of a folder into one mesh.

    Returns
    -------
    vertices : ndarray of float32, shape (n, 3)
    faces : ndarray of uint32, shape (m, 3)
        Or None for both where a file is not plainly as it should be, and so is to be looked at by itself.
    """

def consolidate(vertices: _Floats, faces: _UInts, threads: int) -> tuple[_MeshStatus, Any, Any]:
    """Make vertices and faces unique and sort them; see `model.mesh.Mesh.consolidate`."""

def merge_marked_pairs(
    vertices: _Floats, faces: _UInts, is_marked: NDArray[np.uint8], threads: int
) -> tuple[_MeshStatus, Any, Any]:
    """Merge marked vertices that come in pairs; see `model.mesh.Mesh.deduplicate_vertices`."""

class Segment:
    """Named memory that processes share (cvfast/shm/segment.hpp); mapped as long as this or an array of it lives."""

    @staticmethod
    def create(name: str, size_bytes: int) -> Segment:
        """Make a segment and reserve its memory.

        Raises
        ------
        OSError
            ``ENOSPC`` with ``expected_bytes`` and ``available_bytes``; FileExistsError.
        """

    @staticmethod
    def open(name: str, is_writable: bool) -> Segment:
        """Map a segment; raises FileNotFoundError where there is none."""

    @property
    def name(self) -> str:
        """The name, or a hidden one."""

    @property
    def size_bytes(self) -> int:
        """Bytes of the segment."""

    @property
    def is_writable(self) -> bool:
        """Whether arrays of it are."""

    @property
    def is_recycled(self) -> bool:
        """Whether its pages were another segment's before."""

    @property
    def identity(self) -> int:
        """What tells this memory from other memory of the folder, whatever names they have."""

    def bytes(self) -> NDArray[np.uint8]:
        """Return all bytes, as an array that keeps the mapping."""

    def rename(self, name: str) -> None:
        """Give it another name, under which there is none after; raises OSError."""

    def rename_if_free(self, name: str) -> bool:
        """Give it another name unless that is taken; whether it was not."""

    def resize(self, size_bytes: int) -> Segment:
        """Make it longer or shorter and return it mapped anew; raises OSError."""

    def unlink(self) -> None:
        """Remove the name if it is still this segment's."""

class ChunkLedger:
    """Who does what of a job that processes share (cvfast/shm/chunk_ledger.hpp)."""

    @staticmethod
    def create(
        name: str, items: int, data_bytes: int, digest: bytes, open_items: int
    ) -> ChunkLedger:
        """Make a ledger; raises FileExistsError where the name is taken."""

    @staticmethod
    def open(name: str, digest: bytes) -> ChunkLedger:
        """Attach; raises FileNotFoundError, or ValueError where it is of another build or request."""

    def join(self) -> int:
        """Become a participant; raises ValueError where the ledger was removed meanwhile."""

    def leave(self, participant: int) -> None:
        """End a participation."""

    def claim(self, participant: int) -> int | None:
        """Take an item, or none where nothing is free now."""

    def publish(self, participant: int, item: int, chunks: int, bytes: int) -> bool:
        """Report an item done."""

    def fail(self, participant: int, item: int, text: str) -> None:
        """Report what ends the job."""

    def requeue(self, participant: int) -> int:
        """Free what one that has died had claimed."""

    def requeue_ended(self) -> int:
        """Free what those had claimed that have ended."""

    def has_participants(self, except_: int = ...) -> bool:
        """Whether any other may still be running."""

    def open_to(self, items: int) -> None:
        """Let items below a number be claimed."""

    def may_make_data(self, participant: int) -> bool:
        """Whether it is this participant that makes the data segment."""

    def set_data_ready(self, identity: int) -> None:
        """Tell that the data segment is there, of this `Segment.identity`."""

    @property
    def is_data_ready(self) -> bool:
        """Whether the data segment is there."""

    @property
    def data_identity(self) -> int:
        """`Segment.identity` of the data segment, once that is there."""

    def finish(self, state: str) -> bool:
        """Move a running job to ``complete``, ``failed`` or ``cancelled``."""

    @property
    def state(self) -> str:
        """``running``, or what it was moved to."""

    @property
    def is_complete(self) -> bool:
        """Whether all items are done."""

    def item_state(self, item: int) -> str:
        """``free``, ``claimed``, ``done`` or ``failed``."""

    def counts(self) -> tuple[int, int, int, int, int]:
        """Return items done, chunks, bytes, items taken up, items that the dead left behind."""

    def failure(self) -> tuple[int, bytes] | None:
        """Return the item that ended the job and what was said; no text where its workers died."""

    @property
    def items(self) -> int:
        """Number of items."""

    @property
    def data_bytes(self) -> int:
        """Size of the data segment."""

    @property
    def name(self) -> str:
        """Name of the ledger's segment."""

    @property
    def is_stale(self) -> bool:
        """Whether the name stands for something else by now."""

    @property
    def changes(self) -> int:
        """A number that changes with the job."""

    def wait(self, seen: int, milliseconds: int) -> None:
        """Sleep until `changes` is no longer what was seen, or for so long."""

    def unlink(self) -> None:
        """Remove the name."""

def shm_folder() -> str:
    """Return the folder in which segments are files, with a slash."""

def shm_available_bytes() -> int:
    """Return what the folder's file system has left."""

def shm_hidden_name(kind: str) -> str:
    """Return a hidden name with this process in it."""

def shm_plain_name(name: str) -> str:
    """Return a name without leading slashes; raises OSError where it is none."""

def shm_shared_ledger_name(location: str) -> str:
    """Return the ledger's name of a job that unrelated processes share."""

def shm_shared_data_name(location: str) -> str:
    """Return the name under which its data are filled."""

def shm_unlink(name: str) -> bool:
    """Remove a name; whether there was one."""

def shm_exists(name: str) -> bool:
    """Whether there is such a name."""

def shm_remove_abandoned() -> list[str]:
    """Remove hidden segments whose owners have ended; returns their names."""

def shm_kept_bytes() -> int:
    """Return the bytes of released segments that are kept for the next (``CVFAST_KEEP_SHM_BYTES``)."""

def shm_release_kept() -> None:
    """Give back all kept segments."""
