"""Where clusters are ordered: what is known of them, and the API, as one part of a control.

A control without a listener for the API and without the file of the first key has none: it makes maps and plans, and
its fleet has one cluster that nobody manages.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tausql.control.api.app import create_api
from tausql.control.api.server import ApiServer
from tausql.control.clusters.life import Quotas
from tausql.control.clusters.records import Limits
from tausql.control.clusters.removal import SqlRemover
from tausql.control.clusters.tending import Sleep
from tausql.control.identities.keyring import Keyring
from tausql.control.identities.web_identity import Published, Reviews, WebIdentities
from tausql.control.planning import Planning
from tausql.control.settings import ControlSettings
from tausql.control.system.database import SqlStore
from tausql.control.system.session import Processors
from tausql.control.tenancy import Tenancy, TenancySettings
from tausql.rpc.interface import Routes
from tausql.runtime.fleet import Directory
from tausql.runtime.host import Host
from tausql.runtime.tls import Tls

CONNECT_SECONDS = 2.0


class Desk:
    """Both parts, which come and go together."""

    def __init__(self, host: Host, tenancy: Tenancy, identities: WebIdentities, settings: ControlSettings) -> None:
        self.tenancy = tenancy
        self.server: ApiServer | None = None
        if settings.api_listen:
            api = create_api(tenancy, identities, settings.api_rate, settings.api_burst)
            self.server = ApiServer(host, api, settings.api_listen, settings.api_tls_dir)

    def watch_sizes(self, planning: Planning) -> None:
        """Hear from now on how much clusters keep, as long as this control plans."""
        self.tenancy.kept = lambda: planning.reports.storages.values() if planning.reports is not None else None

    def routes(self) -> Routes:
        return self.tenancy.routes()

    async def start(self) -> None:
        """Raises OSError and ValueError for an address that is taken and for files that cannot be used."""
        self.tenancy.start()
        if self.server is not None:
            await self.server.start()

    async def stop(self) -> None:
        if self.server is not None:
            await self.server.stop()
        await self.tenancy.stop()

    def status(self) -> dict[str, Any]:
        return {**self.tenancy.status(), "api": self.server.address if self.server is not None else ""}


def desk_of(
    host: Host,
    directory: Directory,
    settings: ControlSettings,
    region: str,
    tls: Tls | None,
    reviews: Reviews | None,
    *,
    alone: bool,
) -> Desk | None:
    """The desk of a control in `region`, if it is to have one. `reviews`: the Kubernetes that pods are known by, if
    there is one. `alone`: the fleet has no other control."""
    if not (settings.api_listen or settings.credentials_file):
        return None
    processors = Processors(directory, host.zone, tls, CONNECT_SECONDS)
    told = TenancySettings(
        region=region,
        regions=tuple(dict.fromkeys((region, *settings.api_regions))),
        account=settings.account,
        quotas=Quotas(settings.clusters_max, settings.linked_clusters_max, settings.change_streams_max),
        switches=settings.switches,
        sleep=Sleep(settings.idle_seconds, settings.inactive_seconds),
        poll_seconds=settings.system_poll_seconds,
        event_days=settings.event_days,
        event_rows=settings.event_rows,
        limits=Limits(
            settings.connections_max,
            settings.connections_per_second,
            settings.connections_burst,
            settings.storage_bytes_max,
        ),
    )
    tenancy = Tenancy(
        host,
        SqlStore(host, processors),
        SqlStore(host, processors),
        SqlRemover(processors),
        Keyring(settings.account, settings.credentials_file, settings.fleet_key_file),
        told,
        alone=alone,
    )
    issuer, file = settings.web_identity_issuer, settings.web_identity_keys_file
    published = Published(issuer, Path(file)) if issuer and file else None
    return Desk(host, tenancy, WebIdentities(reviews, published, tenancy.now), settings)
