# SPDX-License-Identifier: BSD-3-Clause
"""PostgreSQL and MariaDB (or MySQL) on ports of their own, as an unprivileged user, each below one folder."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
import tempfile
import time
from pathlib import Path
from types import TracebackType
from typing import Any

from servers.nginx import free_port
from servers.programs import bare_environment

USER = "tester"
PASSWORD = "correct horse"
# Another user than root, whom both servers refuse to run as.
_UNPRIVILEGED = "nobody"
_FOLDERS = ("/usr/sbin", "/usr/local/sbin", "/opt/homebrew/bin", "/usr/local/bin")


def find_program(*names: str) -> str | None:
    """Return the first that is there; Debian keeps some where only root looks, and PostgreSQL's by version."""
    versions = sorted(map(str, Path("/usr/lib/postgresql").glob("*/bin")), reverse=True)
    path = os.pathsep.join([os.environ.get("PATH", ""), *_FOLDERS, *versions])
    for name in names:
        found = shutil.which(name, path=path)
        if found is not None:
            return found
    return None


class DatabaseServer:
    """A server that runs until the end of the `with` block.

    `uri` is what names a database of it, without the database.
    """

    scheme = ""
    programs: tuple[tuple[str, ...], ...] = ()

    def __init__(self) -> None:
        found = [find_program(*names) for names in self.programs]
        if None in found:
            raise FileNotFoundError(f"{self.programs}: install them with .ci/system-packages test")
        self.binaries = [str(program) for program in found]
        self.process: subprocess.Popen[bytes] | None = None

    @classmethod
    def is_available(cls) -> bool:
        return all(find_program(*names) for names in cls.programs)

    def _run_as(self) -> dict[str, Any]:
        return {"user": _UNPRIVILEGED, "group": "nogroup"} if os.geteuid() == 0 else {}

    def _run(self, *command: str, **options: Any) -> None:
        done = subprocess.run(
            command,
            capture_output=True,
            check=False,
            cwd=self.folder,
            env=bare_environment(HOME=str(self.folder), LC_ALL="C"),
            **self._run_as(),
            **options,
        )
        if done.returncode != 0:
            raise RuntimeError(f"{command[0]}: {done.stdout.decode()}{done.stderr.decode()}")

    def __enter__(self) -> DatabaseServer:
        # A short path, which a unix socket's must be; the tests' own folders belong to their user alone.
        self.folder = Path(tempfile.mkdtemp(prefix="cvfdb"))
        try:
            if os.geteuid() == 0:
                shutil.chown(self.folder, _UNPRIVILEGED)
            self.prepare()
            self._start_somewhere()
            self.make_user()
        except BaseException:
            self._stop()
            raise
        password = PASSWORD.replace(" ", "%20")
        self.uri = f"{self.scheme}://{USER}:{password}@127.0.0.1:{self.port}"
        return self

    def _start_somewhere(self) -> None:
        for _ in range(5):  # another process may take a free port first
            self.port = free_port()
            if self._start():
                return
        raise RuntimeError((self.folder / "log").read_text(errors="replace"))

    def _start(self) -> bool:
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(
                self.command(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=self.folder,
                env=bare_environment(HOME=str(self.folder), LC_ALL="C"),
                **self._run_as(),
            )
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline and self.process.poll() is None:
            if self.answers():
                return True
            time.sleep(0.05)
        self._end()
        return False

    def _end(self) -> None:
        if self.process is not None:
            self.process.terminate()
            try:
                self.process.wait(30)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait(30)
            self.process = None

    def _stop(self) -> None:
        self._end()
        shutil.rmtree(self.folder, ignore_errors=True)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stop()

    def prepare(self) -> None:
        raise NotImplementedError

    def command(self) -> list[str]:
        raise NotImplementedError

    def answers(self) -> bool:
        raise NotImplementedError

    def make_user(self) -> None:
        raise NotImplementedError


class PostgresServer(DatabaseServer):
    scheme = "postgres"
    programs = (("initdb",), ("postgres",))

    def prepare(self) -> None:
        password = self.folder / "password"
        password.write_text(PASSWORD)
        password.chmod(0o644)
        options = f"--username={USER} --auth=scram-sha-256 --encoding=UTF8 --no-sync"
        self._run(
            self.binaries[0],
            "-D",
            str(self.folder / "data"),
            f"--pwfile={password}",
            *options.split(),
        )

    def command(self) -> list[str]:
        settings = ("fsync=off", "full_page_writes=off", "listen_addresses=127.0.0.1")
        return [
            self.binaries[1],
            *("-D", str(self.folder / "data"), "-p", str(self.port), "-k", str(self.folder)),
            *(part for setting in settings for part in ("-c", setting)),
        ]

    def answers(self) -> bool:
        import psycopg2

        try:
            psycopg2.connect(
                host="127.0.0.1", port=self.port, user=USER, password=PASSWORD, dbname="postgres"
            ).close()
        except psycopg2.OperationalError:
            return False
        return True

    def make_user(self) -> None:
        """`initdb` made it."""


class MariadbServer(DatabaseServer):
    scheme = "mysql"
    programs = (("mariadb-install-db", "mysql_install_db"), ("mariadbd", "mysqld"))

    def prepare(self) -> None:
        self._run(
            self.binaries[0],
            "--no-defaults",
            f"--datadir={self.folder / 'data'}",
            "--auth-root-authentication-method=normal",
            "--skip-test-db",
        )

    def command(self) -> list[str]:
        return [
            self.binaries[1],
            "--no-defaults",
            f"--datadir={self.folder / 'data'}",
            f"--socket={self.folder / 'socket'}",
            f"--pid-file={self.folder / 'pid'}",
            f"--port={self.port}",
            "--bind-address=127.0.0.1",
            "--skip-log-bin",
            "--innodb-flush-log-at-trx-commit=0",
            "--innodb-buffer-pool-size=16M",
        ]

    def answers(self) -> bool:
        with contextlib.suppress(OSError):
            socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
            return True
        return False

    def make_user(self) -> None:
        import mysql.connector

        connection = mysql.connector.connect(
            unix_socket=str(self.folder / "socket"),
            user="root",
            collation="utf8mb4_bin",
            charset="utf8mb4",
        )
        cursor = connection.cursor()
        cursor.execute(f"CREATE USER '{USER}'@'127.0.0.1' IDENTIFIED BY '{PASSWORD}'")
        cursor.execute(f"CREATE USER '{USER}'@'localhost' IDENTIFIED BY '{PASSWORD}'")
        cursor.execute(f"GRANT ALL ON *.* TO '{USER}'@'127.0.0.1'")
        cursor.execute(f"GRANT ALL ON *.* TO '{USER}'@'localhost'")
        cursor.close()
        connection.close()
