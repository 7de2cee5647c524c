# SPDX-License-Identifier: BSD-3-Clause
"""Who is asking: credentials read on first use, handed to the core's signers, renewed when they have expired.

Notes
-----
None of these objects is pickled or shows what it holds.
"""

from __future__ import annotations

import base64
import contextlib
import os
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, NoReturn

from cloudvolume_fast import _runtime
from cloudvolume_fast.errors import AuthorizationError
from cloudvolume_fast.fetch.secrets import (
    Secret,
    aws_secret,
    cave_secret,
    google_secret,
    http_secret,
)

_DEFAULT_REGION = "us-east-1"
_GOOGLE_SCOPES = ("https://www.googleapis.com/auth/devstorage.read_write",)
# A token is renewed this long before its end, so that a call which starts now can finish.
_MARGIN_SECONDS = 300.0
# How often a role is asked whether its keys are still good, which takes microseconds while they are.
_ROLE_SECONDS = 60.0


class Credentials(ABC):
    """What signs the requests to one bucket or host.

    Attributes
    ----------
    signer : HttpSigner
        The core's part; it stays the same object when credentials are replaced.
    generation : int
        Counts replacements.
    """

    signer: _runtime.HttpSigner

    def __init__(self, name: str, secrets: Secret | None) -> None:
        self._name = name
        self._secrets = secrets
        self._is_loaded = False
        self._lock = threading.Lock()
        self._pid = os.getpid()
        self.generation = 0

    def __reduce_ex__(self, protocol: object) -> NoReturn:
        raise TypeError("credentials are not pickled")

    def keep_fresh(self) -> None:
        """Read the credentials if that has not happened, renew them if they are about to expire.

        Raises
        ------
        AuthorizationError
            A file is malformed, or a token cannot be renewed.
        """
        if self._is_loaded and not self._is_due():
            return
        with self._locked():
            if not self._is_loaded:
                self._load()
                self._is_loaded = True
            elif self._is_due():
                self._renew()

    def refresh(self, generation: int) -> bool:
        """Look for better credentials than those that were refused.

        Parameters
        ----------
        generation : int
            As it was before the request that was refused.

        Returns
        -------
        bool
            Whether there are others now, so that asking again makes sense.

        Raises
        ------
        AuthorizationError
        """
        with self._locked():
            if self.generation != generation:
                return True  # another thread did it meanwhile
            if not self._renew():
                return False
            self.generation += 1
            return True

    def _locked(self) -> threading.Lock:
        if (
            self._pid != os.getpid()
        ):  # a thread that is not here may have held it as the process was forked
            self._lock, self._pid = threading.Lock(), os.getpid()
        return self._lock

    def _is_due(self) -> bool:
        return False

    @abstractmethod
    def _load(self) -> None:
        """Read what there is and hand it to the signer."""

    @abstractmethod
    def _renew(self) -> bool:
        """Do so again; return whether it is anything else."""


class AwsCredentials(Credentials):
    """Keys for S3 and its likes.

    Parameters
    ----------
    bucket : str
    service : str
        ``"aws"`` or the name of an alias.
    secrets : Secret, optional
        Used before any file.

    Notes
    -----
    Where nothing names keys, requests are sent unsigned.  What a machine or a session is entitled to (roles of
    instances and containers, assumed roles, single sign-on) is looked for by botocore, where that is installed, and
    only when such a request was refused: it may ask a metadata server.
    """

    def __init__(self, bucket: str, service: str, secrets: Secret | None = None) -> None:
        super().__init__(bucket, secrets)
        self._service = service
        self._region: str | None = None
        self._role: Any = None  # Any: botocore.credentials.Credentials, which has no types
        self._role_checked = 0.0
        self.signer: _runtime.SigV4Signer = _runtime.SigV4Signer()

    def use_region(self, region: str) -> bool:
        """Sign for a region that a server has named; return whether it is another one."""
        with self._locked():
            self._region = region
            is_new = self._hand_over()
            self.generation += is_new
            return is_new

    def _load(self) -> None:
        self._hand_over()

    def _is_due(self) -> bool:
        # botocore renews a role's keys minutes before their end, when it is asked for them.
        return self._role is not None and time.monotonic() > self._role_checked + _ROLE_SECONDS

    def _renew(self) -> bool:
        # Files and environment may have changed.
        if self._secrets is None and self._service == "aws" and self._role is None:
            if self._hand_over():
                return True
            if not aws_secret(self._name, self._service).get("AWS_ACCESS_KEY_ID"):
                self._role = _aws_role(self._name)
        return self._hand_over()

    def _hand_over(self) -> bool:
        found = (
            self._secrets if self._secrets is not None else aws_secret(self._name, self._service)
        )
        if self._role is not None and not found.get("AWS_ACCESS_KEY_ID"):
            found = Secret({**found, **_role_keys(self._name, self._role)})
            self._role_checked = time.monotonic()
        access_key, secret_key = found.get("AWS_ACCESS_KEY_ID"), found.get("AWS_SECRET_ACCESS_KEY")
        if bool(access_key) != bool(secret_key):
            raise AuthorizationError(
                f"{self._name}: expected both AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, found one",
                key=self._name,
            )
        region = self._region or found.get("AWS_DEFAULT_REGION")
        return self.signer.use(
            str(access_key or ""),
            str(secret_key or ""),
            session_token=str(found.get("AWS_SESSION_TOKEN") or ""),
            region=str(region or os.environ.get("AWS_DEFAULT_REGION") or _DEFAULT_REGION),
            pays_as_requester=str(
                found.get("AWS_REQUEST_PAYER") or os.environ.get("AWS_REQUEST_PAYER") or ""
            ).lower()
            == "requester",
        )


def _aws_role(bucket: str) -> Any:
    """Return what this machine or session is entitled to, None where nothing is or botocore is not installed."""
    try:
        import botocore.session
    except ImportError:
        return None
    return _ask_botocore(bucket, lambda: botocore.session.Session().get_credentials())


def _role_keys(bucket: str, role: Any) -> Secret:
    keys = _ask_botocore(bucket, role.get_frozen_credentials)
    return Secret(
        AWS_ACCESS_KEY_ID=keys.access_key,
        AWS_SECRET_ACCESS_KEY=keys.secret_key,
        AWS_SESSION_TOKEN=keys.token or "",
    )


def _ask_botocore(bucket: str, ask: Callable[[], Any]) -> Any:
    failed = ""
    try:
        return ask()
    except Exception as error:  # it lets through whatever a file, a program or a server provokes
        failed = type(error).__name__
    # Outside of the handler: the error may hold what it was given.
    raise AuthorizationError(
        f"s3://{bucket}: botocore finds no keys for this machine or session: {failed}", key=bucket
    )


class GoogleCredentials(Credentials):
    """Bearer tokens of google-auth.

    Parameters
    ----------
    bucket : str
    secrets : Secret, optional
        A service account, or ``{"token": ...}``; used before any file.

    Notes
    -----
    Without a file that names an account requests are sent without a token.  The machine's own account (the application
    default, for which google-auth may ask a metadata server) is looked for only when such a request was refused.
    """

    def __init__(self, bucket: str, secrets: Secret | None = None) -> None:
        super().__init__(bucket, secrets)
        self.signer: _runtime.AuthorizationSigner = _runtime.AuthorizationSigner()
        self._account: Any = None  # Any: google.auth.credentials.Credentials, which has no types
        self._expires: float | None = None

    def _is_due(self) -> bool:
        return self._expires is not None and time.time() > self._expires - _MARGIN_SECONDS

    def _load(self) -> None:
        found = self._secrets if self._secrets is not None else google_secret(self._name)
        if found is not None and "token" in found:
            self.signer.use(f"Bearer {found['token']}")
        elif found is not None:
            self._use(self._account_of(found))
        elif os.environ.get("GOOGLE_APPLICATION_CREDENTIALS"):
            self._use(self._default_account())

    def _renew(self) -> bool:
        if self._secrets is not None and "token" in self._secrets:
            return False
        account = self._account
        if account is None:
            found = google_secret(self._name)
            account = self._account_of(found) if found is not None else self._default_account()
        return account is not None and self._use(account)

    def _use(self, account: Any) -> bool:
        """Get a token and hand it over."""
        if account is None:
            return False
        import google.auth.exceptions
        import google.auth.transport.requests

        try:
            account.refresh(google.auth.transport.requests.Request())
        except google.auth.exceptions.GoogleAuthError as error:
            raise AuthorizationError(
                f"gs://{self._name}: Google gives no token: {_first_line(error)}", key=self._name
            ) from None  # its other arguments are what the server said
        self._account = account
        expiry = account.expiry  # UTC, without a time zone
        if expiry is None:
            self._expires = None
        else:
            from datetime import UTC

            self._expires = expiry.replace(tzinfo=UTC).timestamp()
        return self.signer.use(f"Bearer {account.token}")

    def _account_of(self, found: Secret) -> Any:
        import google.auth.exceptions
        from google.oauth2 import credentials, service_account

        kind = found.get("type", "service_account")
        # Any: without types
        makers: dict[object, Any] = {
            "service_account": service_account.Credentials.from_service_account_info,
            "authorized_user": credentials.Credentials.from_authorized_user_info,
        }
        account = None
        if kind in makers:
            with contextlib.suppress(google.auth.exceptions.GoogleAuthError, ValueError, TypeError):
                account = makers[kind](dict(found), scopes=_GOOGLE_SCOPES)
        if account is None:
            raise AuthorizationError(
                f"gs://{self._name}: expected the JSON of a service account or of an authorized user, "
                f"found one of type {kind!r} that google-auth does not read",
                key=self._name,
            )
        return account

    def _default_account(self) -> Any:
        if os.environ.get("STORAGE_EMULATOR_HOST"):
            return None
        import google.auth
        import google.auth.exceptions

        try:
            account, _ = google.auth.default(scopes=_GOOGLE_SCOPES)
        except google.auth.exceptions.DefaultCredentialsError:
            return None
        return account


class HttpCredentials(Credentials):
    """User and password for a host, or a token.

    Parameters
    ----------
    host : str
    secrets : Secret, optional
        ``{"user": ..., "password": ...}`` or ``{"token": ...}``; used before any file.

    Notes
    -----
    What is meant for this host (`secrets`, ``{host}-http-secret.json``) is sent at once; ``http-secret.json``, which
    names no host, only to servers that refuse requests without it.
    """

    def __init__(self, host: str, secrets: Secret | None = None) -> None:
        super().__init__(host, secrets)
        self.signer: _runtime.AuthorizationSigner = _runtime.AuthorizationSigner()

    def _load(self) -> None:
        found = self._secrets if self._secrets is not None else self._host_secret()
        if found is not None:
            self._use(found)

    def _renew(self) -> bool:
        if self._secrets is not None:
            return False
        found = self._host_secret() or http_secret()
        return found is not None and self._use(found)

    def _host_secret(self) -> Secret | None:
        return http_secret(self._name) or (
            http_secret(self._name.partition(":")[0]) if ":" in self._name else None
        )

    def _use(self, found: Secret) -> bool:
        if "token" in found:
            return self.signer.use(f"Bearer {found['token']}")
        if "user" not in found or "password" not in found:
            raise AuthorizationError(
                f"{self._name}: expected user and password in http-secret.json", key=self._name
            )
        pair = f"{found['user']}:{found['password']}".encode()
        return self.signer.use("Basic " + base64.b64encode(pair).decode())


class CaveCredentials(Credentials):
    """The token that servers of CAVE ask for.

    Parameters
    ----------
    host : str
    secrets : Secret, optional
        ``{"token": ...}``; used before any file.
    """

    def __init__(self, host: str, secrets: Secret | None = None) -> None:
        super().__init__(host, secrets)
        self.signer: _runtime.AuthorizationSigner = _runtime.AuthorizationSigner()

    def _load(self) -> None:
        self._renew()

    def _renew(self) -> bool:
        found = self._secrets if self._secrets is not None else cave_secret(self._name)
        if found is None:
            return False
        if "token" not in found:
            raise AuthorizationError(
                f"{self._name}: expected a token in cave-secret.json", key=self._name
            )
        return self.signer.use(f"Bearer {found['token']}")


def _first_line(error: Exception) -> str:
    text = error.args[0] if error.args and isinstance(error.args[0], str) else type(error).__name__
    return text.splitlines()[0][:200] if text else type(error).__name__
