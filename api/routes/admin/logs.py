"""Logs."""

from fastapi import APIRouter

from api.routes.tags import ADMIN

reading = APIRouter(prefix="/admin", tags=[ADMIN])
