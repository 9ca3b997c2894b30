"""Calls to Google's REST interface for generic passes (discovery document walletobjects v1).

Every call waits for its slot, carries a fresh access token, and ends in an answer or in one of a few outcomes that
callers act upon. What Google says of a request is logged by its code alone: its sentences name ids.
"""

from __future__ import annotations

import logging
import re
import ssl
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, Self
from urllib.parse import quote

import httpx
import msgspec

from issuer.background.tasks import RetryLater
from issuer.counters import GOOGLE_CALLS
from issuer.delivery.google_answers import Answer, later, read_answer, unreachable
from issuer.delivery.google_quota import LONGEST_WAIT_SECONDS, quota_of
from issuer.delivery.google_token import Account, access_token, forget_token

if TYPE_CHECKING:
    from issuer.application import Application

Json = dict[str, Any]

_BASE: Final = "/walletobjects/v1/"
_CODE: Final = re.compile(r"[A-Za-z_]{1,60}")
_log = logging.getLogger("stadtpass.google")


class AlreadyThereError(Exception):
    """409: Google has that id already."""


class NotThereError(Exception):
    """404: Google does not have that id, or not the class of the object."""


class RefusedError(Exception):
    """Google will never take this request: ``code`` is a word of Google's, without content."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


class GoogleClient:
    """Calls for one account over kept connections; safe to use from several threads.

    ``longest_wait`` is how many seconds a call may wait for its slot, ``expected`` how many calls are coming.
    """

    def __init__(
        self,
        application: Application,
        account: Account,
        *,
        longest_wait: float = LONGEST_WAIT_SECONDS,
        expected: int = 1,
    ) -> None:
        self._application = application
        self._account = account
        self._longest_wait = longest_wait
        self._expected = expected
        config = application.config.google
        self._base = config.api_url.rstrip("/") + _BASE
        self._quota = quota_of(application)
        self._http = httpx.Client(
            verify=ssl.create_default_context(cafile=config.ca_file or None),
            timeout=config.timeout_seconds,
            headers={"Accept": "application/json", "User-Agent": "stadtpass"},
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._http.close()

    def get(self, collection: str, identity: str) -> Json:
        """The resource as Google has it. Raises NotThereError, and what `insert` raises but AlreadyThereError."""
        return self._call("GET", self._resource(collection, identity))

    def insert(self, collection: str, body: Json) -> Json:
        """Put a new class or object there, ``collection`` being ``genericClass`` or ``genericObject``.

        Raises AlreadyThereError; NotThereError for an object whose class is not there; RefusedError for what
        Google will never take; RetryLater for everything that may pass, and what the operator has to put right.
        """
        return self._call("POST", collection, body)

    def patch(self, collection: str, body: Json) -> Json:
        """Change what ``body`` names and leave the rest; lists are replaced whole. Raises as `get` does."""
        return self._call("PATCH", self._resource(collection, body["id"]), body)

    def replace(self, collection: str, body: Json) -> Json:
        """Replace the resource: what ``body`` does not name is gone. Raises as `get` does."""
        return self._call("PUT", self._resource(collection, body["id"]), body)

    def add_message(self, object_id: str, message: Json) -> None:
        """Show a message on the pass, and let the phone ring if its type says so. Raises as `get` does."""
        self._call("POST", self._resource("genericObject", object_id) + "/addMessage", {"message": message})

    @staticmethod
    def _resource(collection: str, identity: str) -> str:
        return f"{collection}/{quote(identity, safe='')}"

    def _call(self, method: str, path: str, body: Json | None = None) -> Json:
        answer = self._answer(method, path, body)
        if answer.status == 401:
            # The token may have been withdrawn before its time: one more try with a new one.
            answer = self._answer(method, path, body)
        if 200 <= answer.status < 300:
            return answer.body
        raise self._outcome(answer)

    def _answer(self, method: str, path: str, body: Json | None) -> Answer:
        application, account = self._application, self._account
        # The token first: asking for one takes time, and a slot does not wait.
        token = access_token(application, account, self._http)
        self._quota.wait(self._expected, self._longest_wait)
        headers = {"Authorization": f"Bearer {token}"}
        content = None
        if body is not None:
            headers["Content-Type"] = "application/json"
            content = msgspec.json.encode(body)
        try:
            request = self._http.build_request(method, self._base + path, headers=headers, content=content)
            answer = read_answer(self._http, request)
        except httpx.HTTPError as fault:
            GOOGLE_CALLS.labels("unreachable").inc()
            raise unreachable(fault) from fault
        GOOGLE_CALLS.labels(f"status-{answer.status}").inc()
        if answer.status == 401:
            forget_token(application, account, token)
        return answer

    def _outcome(self, answer: Answer) -> Exception:
        status = answer.status
        if status == 404:
            return NotThereError()
        if status == 409:
            return AlreadyThereError()
        if status in (408, 429) or status >= 500:
            return later(answer, self._application.now())
        slowly = self._application.config.background.longest_wait_seconds
        if status == 403 and answer.is_about_quota():
            return RetryLater(
                "google-quota-exceeded", later(answer, self._application.now()).seconds or slowly
            )
        if status in (401, 403):
            # The service account is no user of the issuer account, or the interface is not switched on.
            _log.error("google denies permission: GOOGLE_PERMISSION", extra={"status": status})
            return RetryLater("google-permission", slowly)
        if 300 <= status < 400:
            return RetryLater("google-answer")
        return RefusedError(_code_of(answer))


def _code_of(answer: Answer) -> str:
    error = answer.body.get("error")
    said = error.get("status") if isinstance(error, dict) else None
    if isinstance(said, str) and _CODE.fullmatch(said):
        return said
    return f"HTTP_{answer.status}"
