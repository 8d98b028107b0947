"""A real HTTP server that speaks what we use of Google's sign-in and of Firebase Cloud Messaging, as their references have it."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import jwt
from aiohttp import web
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

PROJECT, EMAIL = "demo-project", "pusher@demo-project.iam.gserviceaccount.com"
SCOPE = "https://www.googleapis.com/auth/firebase.messaging"
ERROR_TYPE = "type.googleapis.com/google.firebase.fcm.v1.FcmError"


def gone() -> dict[str, Any]:
    details = [{"@type": ERROR_TYPE, "errorCode": "UNREGISTERED"}]
    return {"error": {"code": 404, "message": "Requested entity was not found.", "status": "NOT_FOUND", "details": details}}


def malformed() -> dict[str, Any]:
    violations = [{"field": "message.token", "description": "Invalid registration token"}]
    details = [
        {"@type": ERROR_TYPE, "errorCode": "INVALID_ARGUMENT"},
        {"@type": "type.googleapis.com/google.rpc.BadRequest", "fieldViolations": violations},
    ]
    return {"error": {"code": 400, "message": "Invalid", "status": "INVALID_ARGUMENT", "details": details}}


def no_such_project() -> dict[str, Any]:
    return {"error": {"code": 404, "message": "Requested entity was not found.", "status": "NOT_FOUND"}}


@dataclass
class PushService:
    """What has arrived. `answers`: what is said of a device's token instead of taking the message; `mute`: nothing at all."""

    port: int = 0
    key: rsa.RSAPrivateKey = field(default_factory=lambda: rsa.generate_private_key(public_exponent=65_537, key_size=2_048))
    messages: list[dict[str, Any]] = field(default_factory=list)
    answers: dict[str, tuple[int, dict[str, Any]]] = field(default_factory=dict)
    sign_ins: int = 0
    access_token: str = "access-1"
    refuses_sign_in: bool = False
    mute: bool = False

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def account(self) -> str:
        """The JSON file of a service account."""
        key = self.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
        return json.dumps({"project_id": PROJECT, "client_email": EMAIL, "private_key": key, "token_uri": f"{self.url}/token"})

    @property
    def devices(self) -> list[str]:
        return [message["token"] for message in self.messages]

    async def sign_in(self, request: web.Request) -> web.Response:
        form = await request.post()
        claims = jwt.decode(
            str(form["assertion"]),
            self.key.public_key(),
            algorithms=["RS256"],
            audience=f"{self.url}/token",
            options={"verify_exp": False, "verify_iat": False},
        )
        assert form["grant_type"] == "urn:ietf:params:oauth:grant-type:jwt-bearer"
        assert (claims["iss"], claims["scope"], claims["exp"] - claims["iat"]) == (EMAIL, SCOPE, 3_600)
        self.sign_ins += 1
        if self.refuses_sign_in:
            return web.json_response({"error": "invalid_grant"}, status=400)
        return web.json_response({"access_token": self.access_token, "expires_in": 3_599, "token_type": "Bearer"})

    async def send(self, request: web.Request) -> web.Response:
        body = await request.read()
        assert len(body) <= 4_096
        if self.mute:
            await asyncio.sleep(60)
        if request.headers["Authorization"] != f"Bearer {self.access_token}":
            return web.json_response({"error": {"code": 401, "status": "UNAUTHENTICATED"}}, status=401)
        message = json.loads(body)["message"]
        if message["token"] in self.answers:
            status, answer = self.answers[message["token"]]
            return web.json_response(answer, status=status)
        self.messages.append(message)
        return web.json_response({"name": f"projects/{PROJECT}/messages/{len(self.messages)}"})


@asynccontextmanager
async def open_push_service() -> AsyncIterator[PushService]:
    service = PushService()
    app = web.Application()
    app.router.add_post("/token", service.sign_in)
    app.router.add_post(f"/v1/projects/{PROJECT}/messages:send", service.send)
    runner = web.AppRunner(app, shutdown_timeout=0.1, access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    service.port = runner.addresses[0][1]
    try:
        yield service
    finally:
        await runner.cleanup()
