"""Settings of the embedded stack itself, beside those of the processes (runtime/settings.py)."""

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict


class LocalSettings(BaseSettings):
    """Field names are the environment variables in lower case; also read from `.env`."""

    model_config = SettingsConfigDict(env_file=".env", extra="ignore", frozen=True)

    temporal_port: int = Field(
        7233, ge=1324, le=65525, description="Port of the embedded Temporal; its inner ports lie 300 below to 10 above it"
    )
    temporal_ui_port: int = Field(8233, ge=1, le=65535, description="Port of the embedded Temporal Web UI")
    simulator_kite_port: int = Field(8090, ge=1, le=65535, description="Port of the simulator's Kite dialect")
    simulator_control_port: int = Field(8091, ge=1, le=65535, description="Port of the simulator's control API and page")
    simulator_dhan_port: int = Field(8092, ge=1, le=65535, description="Port of the simulator's DhanHQ dialect")
    simulator_angel_one_port: int = Field(8093, ge=1, le=65535, description="Port of the simulator's SmartAPI dialect")
    simulator_fyers_port: int = Field(8094, ge=1, le=65535, description="Port of the simulator's Fyers dialect")
    workers: int = Field(1, ge=1, le=64, description="Worker processes of the embedded stack")
