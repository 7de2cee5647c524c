# SPDX-License-Identifier: BSD-3-Clause
"""Pools of connections, for programs that keep their own clients of a store."""

from __future__ import annotations

import queue
import threading
from typing import Any

from cloudvolume_fast.errors import UnsupportedOptionError

__all__ = ["ConnectionPool", "GCloudBucketPool", "S3ConnectionPool"]


class ConnectionPool:
    """Connections that were used and can be used again; subclasses say how one is made.

    Notes
    -----
    Safe to use from several threads.
    """

    def __init__(self) -> None:
        self.pool: queue.Queue[Any] = queue.Queue()
        self.outstanding = 0
        self._lock = threading.Lock()

    def total_connections(self) -> int:
        """Return how many connections there are, in use or not."""
        return self.pool.qsize() + self.outstanding

    def _create_connection(self) -> Any:  # Any: a subclass's connection
        raise NotImplementedError(
            f"{type(self).__name__}: expected a subclass that defines _create_connection"
        )

    def get_connection(self) -> Any:
        """Return a connection, a new one if none is free."""
        with self._lock:
            try:
                conn = self.pool.get_nowait()
            except queue.Empty:
                conn = self._create_connection()
            self.outstanding += 1
        return conn

    def release_connection(self, conn: Any) -> None:
        """Give a connection back; None stands for one that was lost."""
        with self._lock:
            self.outstanding -= 1
            if conn is not None:
                self.pool.put(conn)

    def close(self, conn: Any) -> None:
        """Close a connection; nothing needs to be done for most."""

    def reset_pool(self) -> None:
        """Close the connections that are free, and forget those in use."""
        with self._lock:
            while True:
                try:
                    self.close(self.pool.get_nowait())
                except queue.Empty:
                    break
            self.outstanding = 0


class GCloudBucketPool(ConnectionPool):
    """Handles of a bucket of Google Cloud Storage.

    Parameters
    ----------
    bucket : str

    Notes
    -----
    Volumes do not use it: their requests go through the HTTP client of the core.  It is for programs that want the
    handles of the package google-cloud-storage.
    """

    def __init__(self, bucket: str) -> None:
        self.bucket = bucket
        super().__init__()

    def _create_connection(self) -> Any:
        storage = _package("google.cloud.storage", "google-cloud-storage")
        from cloudvolume_fast.secrets import google_credentials

        project, credentials = google_credentials(self.bucket)
        return storage.Client(credentials=credentials, project=project).bucket(self.bucket)


class S3ConnectionPool(ConnectionPool):
    """Clients of an S3 service.

    Parameters
    ----------
    service : str
        ``s3``, or the name of an endpoint such as ``matrix``.
    bucket : str

    Notes
    -----
    As `GCloudBucketPool`, of the package boto3.
    """

    def __init__(self, service: str, bucket: str) -> None:
        from cloudvolume_fast.model.layer_path import ALIASES

        if service not in ("s3", "aws", *ALIASES):
            raise UnsupportedOptionError(
                f"service: expected s3 or one of {', '.join(ALIASES)}, found {service!r}",
                key="service",
                found=service,
            )
        self.service = service
        self.bucket = bucket
        super().__init__()

    def _create_connection(self) -> Any:
        boto3 = _package("boto3", "boto3")
        from cloudvolume_fast.model.layer_path import alias_endpoint
        from cloudvolume_fast.secrets import aws_credentials

        endpoint = alias_endpoint(self.service)
        keys = aws_credentials(self.bucket, "aws" if self.service == "s3" else self.service)
        return boto3.client(
            "s3",
            aws_access_key_id=keys.get("AWS_ACCESS_KEY_ID"),
            aws_secret_access_key=keys.get("AWS_SECRET_ACCESS_KEY"),
            aws_session_token=keys.get("AWS_SESSION_TOKEN"),
            region_name=keys.get("AWS_DEFAULT_REGION", "us-east-1"),
            endpoint_url=None if endpoint is None else endpoint.removeprefix("s3://"),
        )

    def close(self, conn: Any) -> None:
        """Close a client's connections."""
        close = getattr(conn, "close", None)
        if close is not None:
            close()


def _package(name: str, install: str) -> Any:  # Any: a module
    import importlib

    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise ImportError(
            f"the package {install} is not installed: pip install {install}"
        ) from error
