"""What an Admin may see and do, one file per subject. No secret passes through here."""

from fastapi import APIRouter

from api.routes.admin import audit, config, logs, strategies, system, users

router = APIRouter()
reading = APIRouter()
for subject in (users, strategies, config):
    router.include_router(subject.router)
for subject in (users, strategies, system, logs, config, audit):
    reading.include_router(subject.reading)
