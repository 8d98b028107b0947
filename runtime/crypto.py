"""Sealing with AES-256-GCM and a key ring: the first key encrypts, every key decrypts, so keys can be rotated while running.

A sealed value reads `v1.<key id>.<base64 of nonce and ciphertext>`. User and field are bound as associated data.
"""

import base64
import binascii
import os

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from trading.ports.sealing import SealBroken

NONCE_BYTES = 12  # NIST SP 800-38D
KEY_BYTES = 32
_VERSION = "v1"


class KeyRing:
    """Implements `trading.ports.sealing.Sealer`."""

    def __init__(self, keys: dict[str, bytes]) -> None:
        """`keys` in order of age, newest first. Raises ValueError for an empty ring or a key that is not 32 bytes."""
        if not keys:
            raise ValueError("AES_MASTER_KEYS is empty: at least one key is needed, as id:base64 of 32 bytes")
        for key_id, key in keys.items():
            if len(key) != KEY_BYTES:
                raise ValueError(f"AES_MASTER_KEYS: key {key_id!r} must have 32 bytes, has {len(key)}")
        self._ciphers = {key_id: AESGCM(key) for key_id, key in keys.items()}
        self._newest = next(iter(keys))

    @classmethod
    def parse(cls, text: str) -> "KeyRing":
        """Read `id:base64,id:base64`. Raises ValueError without repeating the key material."""
        keys: dict[str, bytes] = {}
        for position, part in enumerate(filter(None, (piece.strip() for piece in text.split(","))), start=1):
            key_id, separator, encoded = part.partition(":")
            if not separator or not key_id:
                raise ValueError(f"AES_MASTER_KEYS: entry {position} is not id:base64")
            try:
                keys[key_id] = base64.b64decode(encoded, validate=True)
            except binascii.Error as error:
                raise ValueError(f"AES_MASTER_KEYS: entry {position} is not base64") from error
        return cls(keys)

    def seal(self, secret: str, *, bound_to: str) -> str:
        key_id, sealed = self.seal_bytes(secret.encode(), bound_to=bound_to)
        return f"{_VERSION}.{key_id}.{base64.b64encode(sealed).decode()}"

    def open(self, sealed: str, *, bound_to: str) -> str:
        version, _, rest = sealed.partition(".")
        key_id, _, encoded = rest.rpartition(".")
        if version != _VERSION:
            raise SealBroken("sealed in a way that is not known here")
        try:
            return self.open_bytes(key_id, base64.b64decode(encoded, validate=True), bound_to=bound_to).decode()
        except ValueError as error:
            raise SealBroken("the sealed value does not open here") from error

    def seal_bytes(self, content: bytes, *, bound_to: str) -> tuple[str, bytes]:
        """The id of the key that was used, and nonce with ciphertext."""
        nonce = os.urandom(NONCE_BYTES)
        return self._newest, nonce + self._ciphers[self._newest].encrypt(nonce, content, bound_to.encode())

    def open_bytes(self, key_id: str, sealed: bytes, *, bound_to: str) -> bytes:
        """What `seal_bytes` was given. Raises SealBroken."""
        cipher = self._ciphers.get(key_id)
        if cipher is None:
            raise SealBroken("sealed with a key that is not in the ring")
        try:
            return cipher.decrypt(sealed[:NONCE_BYTES], sealed[NONCE_BYTES:], bound_to.encode())
        except (InvalidTag, ValueError) as error:
            raise SealBroken("the sealed value does not open here") from error

    def needs_rotation(self, sealed: str) -> bool:
        """Whether the value was sealed with an older key than the ring's first."""
        return not sealed.startswith(f"{_VERSION}.{self._newest}.")


def binding(user_id: str, field: str) -> str:
    """What a sealed credential is bound to: its user and its field."""
    return f"{user_id}/{field}"
