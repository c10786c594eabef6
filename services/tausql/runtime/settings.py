"""What a process is told at start, from the environment (`TAUSQL_...`), with a reason for every default."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import msgspec
from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

from tausql.protocol.fleet import Fleet


def settings_for(service: str) -> SettingsConfigDict:
    """The configuration of a service's settings class: fields are read from `TAUSQL_<service>_<FIELD>`."""
    return SettingsConfigDict(env_prefix=f"TAUSQL_{service.upper()}_", frozen=True, extra="ignore")


class ServiceSettings(BaseSettings):
    """What a service's own settings derive from."""

    model_config = SettingsConfigDict(frozen=True, extra="ignore")


class ProcessSettings(BaseSettings):
    """What every process is told, whatever services it runs."""

    model_config = SettingsConfigDict(env_prefix="TAUSQL_", frozen=True, extra="ignore")

    name: str = Field(default="tausql", description="Unique in the fleet and stable over restarts, e.g. `journal-b`.")
    zone: str = Field(default="a", description="The failure domain this process runs in.")
    data_dir: Path = Field(
        default=Path("data"), description="Where services with a disk keep it, each in a folder of its name."
    )
    rpc_listen: str = Field(
        default="127.0.0.1:7400",
        description="`host:port` for other processes; port 0 takes a free one. Loopback unless told.",
    )
    address: str = Field(
        default="", description="`host:port` as the fleet knows this process; empty: where it listens."
    )
    http_listen: str = Field(
        default="127.0.0.1:8080",
        description="`host:port` for health, status and metrics; empty: none. Loopback unless told.",
    )
    fleet: str = Field(
        default="", description="The fleet's map: JSON, or the path of a file that holds it. Empty: alone."
    )
    control: str = Field(
        default="",
        description="`host:port` (RPC) of control, where the fleet's map comes from while the process runs. Where "
        "`fleet` gives one to begin with, nobody waits for it. Empty: the map is what `fleet` says, for good.",
    )
    tls_dir: str = Field(
        default="",
        description="Folder of ca.crt, tls.crt and tls.key (a mounted Secret) for connections between processes: both "
        "sides show a certificate of this authority. Looked at every 10 s. Empty: plaintext, as on one machine.",
    )
    links: str = Field(
        default="",
        description="For chaos: a file of rules about which links to other processes are cut or slow, looked at 30 "
        "times a second (`tausql up --links`). Empty: no link is ever touched.",
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        default="info", description="The least level logged."
    )
    log_format: Literal["json", "logfmt"] = Field(default="json", description="JSON for collectors, logfmt for eyes.")
    drain_seconds: float = Field(
        default=10.0,
        ge=0,
        description="Longest time to finish what is under way on SIGTERM; a third of Kubernetes' 30 s grace.",
    )
    gc_threshold: int = Field(
        default=50_000, ge=700, description="Net new objects before a collection; the hot path makes next to no cycles."
    )
    clock: Literal["auto", "timekeeper", "host"] = Field(
        default="auto",
        description="Where the clock's bound comes from: the fleet's timekeepers if it has any, else the kernel.",
    )
    clock_error_us_max: int = Field(
        default=20_000,
        gt=0,
        description="Half width in us above which no timestamp is given out: a commit would wait 40 ms.",
    )
    clock_drift_ppm: int = Field(
        default=200,
        ge=1,
        description="How fast an oscillator may run away; twice what crystals at the limits of heat do.",
    )
    clock_sources_min: int = Field(
        default=1,
        ge=1,
        description="Of how many timekeepers, listed or not, a majority must agree at least: as many as the fleet is "
        "meant to have. With 3 a map that lists a single one never makes its word the time.",
    )
    clock_poll_seconds: float = Field(
        default=2.0, gt=0, description="Between looks at the timekeepers while nobody asks the time."
    )
    clock_poll_busy_seconds: float = Field(
        default=0.25,
        gt=0,
        description="The same while the clock is in use: drift then adds 50 us at most to the bound.",
    )
    clock_assumed_error_us: int | None = Field(
        default=None,
        ge=0,
        description="For the host clock: the bound in us to use where the kernel vouches for none, or for a wider one. "
        "None leaves it to the kernel. Where all processes share one machine they share one oscillator: 20 will do.",
    )

    def read_fleet(self) -> Fleet:
        """The fleet's map. Raises OSError or msgspec.DecodeError where it cannot be read."""
        text = self.fleet.strip()
        if not text:
            return Fleet()
        raw = text.encode() if text.startswith("{") else Path(text).read_bytes()
        return msgspec.json.decode(raw, type=Fleet)
