"""Control's settings (environment prefix TAUSQL_CONTROL_)."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from tausql.control.fleet_map import Configuration
from tausql.control.planner import PlanLimits
from tausql.control.planning import Pauses
from tausql.control.planning_shards import ShardLimits
from tausql.control.planning_streams import StreamLimits
from tausql.control.wanted import STREAMS_MAX
from tausql.control.warm_pool import PoolLimits
from tausql.protocol.fleet import Member
from tausql.runtime.settings import ServiceSettings, settings_for


class JournalMember(BaseModel):
    """One journal replica of the fleet, in whichever region."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(min_length=1, description="What its disk is called at genesis: its pod's name.")
    address: str = Field(pattern=r"^.+:\d+$", description="`host:port`, letter for letter its TAUSQL_ADDRESS.")
    region: str = Field(default="", description="Empty: the own one.")


class Peer(BaseModel):
    """The control of another region."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    region: str = Field(min_length=1)
    address: str = Field(pattern=r"^.+:\d+$", description="`host:port` of its RPC listener.")


class ControlSettings(ServiceSettings):
    """Environment: `TAUSQL_CONTROL_...`; lists are JSON."""

    model_config = settings_for("CONTROL")

    namespace: str = Field(default="", description="Whose pods the fleet is; empty: the pod's own namespace.")
    release: str = Field(default="tausql", description="The pods' label `app.kubernetes.io/instance`.")
    region: str = Field(default="local-1", min_length=1, description="The region that this release serves.")
    streams: int = Field(
        default=2,
        ge=1,
        le=STREAMS_MAX,
        description="Streams of the journal wanted at least; to have fewer than there are, ask control.",
    )
    journal: tuple[JournalMember, ...] = Field(
        default=(),
        description="All journal replicas of all regions. Never derived from pods: who votes is a fact of the disks.",
    )
    peers: tuple[Peer, ...] = Field(default=(), description="The controls of the other regions.")
    peer_wait_seconds: float = Field(
        default=2.0,
        ge=0,
        description="How long the first map waits for the peers' word: without it a restarted control would tell "
        "everybody for an instant that the other regions are empty.",
    )
    adjudicator_regions: tuple[str, ...] = Field(
        default=(),
        description="Regions in the order in which their adjudicators should hold streams, the same in every region; "
        "those not named come after, by name.",
    )
    settle_seconds: float = Field(
        default=0.02, ge=0, description="Changes within so long make one map: a rollout changes many pods at once."
    )
    watch_seconds: int = Field(
        default=50, ge=1, description="Life of one watch at the API server; a quiet one is known to live so often."
    )
    watchers_max: int = Field(default=5_000, ge=1, description="Processes that follow the map at once.")
    kubernetes_url: str = Field(
        default="", description="Empty: the cluster this pod is in; else e.g. http://127.0.0.1:8001 (`kubectl proxy`)."
    )
    processor_deployment: str = Field(
        default="", description="The Deployment of the processors that are kept warm; empty: no warm pool."
    )
    processor_hpa: str = Field(
        default="",
        description="The HorizontalPodAutoscaler that targets it, whose minReplicas is then raised and lowered; empty: "
        "there is none, and control alone says how many there are.",
    )
    processors_min: int = Field(default=1, ge=1, description="Never fewer processors than this.")
    processors_max: int = Field(default=16, ge=1, description="Never more are asked for; the HPA's maximum holds too.")
    target_sessions: int = Field(
        default=100, ge=1, description="Sessions that one processor is meant to carry: a few at work, most idle."
    )
    warm_processors: int = Field(
        default=1, ge=0, description="Processors beyond what the sessions need, so that nobody waits for a pod."
    )
    warm_sessions: int = Field(
        default=0, ge=0, description="The same, as room for so many more sessions; the larger of the two counts."
    )
    scale_in_seconds: float = Field(
        default=120.0, ge=0, description="Fewer processors must have sufficed for so long before there are fewer."
    )
    reconcile_seconds: float = Field(
        default=5.0, gt=0, description="Between looks at what became of the wish: an upgrade may have reset it."
    )
    lease: str = Field(default="", description="Name of the Lease of whoever scales; empty: `<release>-control`.")
    lease_seconds: float = Field(
        default=15.0, ge=1, description="A holder silent for so long has lost it; Kubernetes' own controllers' value."
    )
    status_seconds: float = Field(default=2.0, gt=0, description="How long a pod may take to answer for its status.")
    status_concurrency: int = Field(default=32, ge=1, description="Pods asked for their status at once.")

    planning: bool = Field(
        default=True, description="Whether control moves ranges, streams and shards; false: all stays as it is."
    )
    plan_seconds: float = Field(
        default=10.0, gt=0, description="Between two looks at adjudicators and storages while nothing changes."
    )
    plan_busy_seconds: float = Field(default=0.5, gt=0, description="The same while something moves.")
    sustain_seconds: float = Field(
        default=20.0, ge=0, description="What the load suggests must have been so for so long before it is done."
    )
    placement_seconds: float = Field(
        default=10.0,
        ge=0,
        description="Between two moves of a range from stream to stream: each costs retries.",
    )
    adjudicator_zone: str = Field(
        default="",
        description="Zone whose adjudicators hold the streams if they can; `auto`: the one with most processors; "
        "empty: streams are spread over all zones, for each process has one core at most.",
    )
    ranges_max: int = Field(default=256, ge=2, description="Key ranges that streams own, altogether.")
    range_gap_rate: float = Field(
        default=100.0, gt=0, description="Commits a second by which streams must differ before a range moves."
    )
    shard_bytes: int = Field(
        default=256 << 20, ge=1024, description="A shard with more is cut in two: some seconds to copy, at most."
    )
    shard_load: float = Field(
        default=5_000.0,
        gt=0,
        description="A shard with more reads and writes a second is cut in two.",
    )
    shards_max: int = Field(default=2_000, ge=1, description="Shards in all; the map of so many is some 200 kB.")
    storage_zones: int = Field(default=3, ge=1, description="Zones that keep each row, where there are so many.")
    storage_moves_max: int = Field(default=2, ge=1, description="Replicas of shards being filled at once.")
    storage_gone_seconds: float = Field(
        default=600.0,
        ge=0,
        description="A storage silent for so long is replaced by another of its zone.",
    )
    status_addresses: dict[str, str] = Field(
        default={},
        description="Where there is no Kubernetes: `host:port` (HTTP) of adjudicators and storages, by name.",
    )

    api_listen: str = Field(
        default="", description="`host:port` of the API for clients, beside the process's own HTTP port; empty: none."
    )
    api_tls_dir: str = Field(
        default="", description="Folder of tls.crt and tls.key for that API; empty: plain HTTP, as behind an ingress."
    )
    api_rate: float = Field(default=100.0, gt=0, description="Requests a second of one user or role to the API.")
    api_burst: float = Field(default=500.0, ge=1, description="As many at once.")
    api_regions: tuple[str, ...] = Field(
        default=(),
        description="Further regions whose API this control answers: one machine that plays several of them.",
    )
    account: str = Field(default="000000000000", pattern=r"^\d{12}$", description="The account that owns everything.")
    credentials_file: str = Field(
        default="",
        description="The first access key (JSON: access_key_id, secret_access_key): may do everything, as long as it "
        "is in this file. Empty: there is none.",
    )
    fleet_key_file: str = Field(
        default="",
        description="32 random bytes in base64: what the secrets of all other keys are encrypted with in the system "
        "cluster. Empty: no other keys can be made.",
    )
    web_identity_issuer: str = Field(
        default="",
        description="Issuer of web identity tokens whose keys are in a file. On Kubernetes the API server is asked "
        "about its own, and this is for others.",
    )
    web_identity_keys_file: str = Field(default="", description="That issuer's key set (JWKS).")
    switches: tuple[Literal["extensions", "lenient", "testing"], ...] = Field(
        default=(), description="SQL beyond Aurora DSQL that all new clusters have; a cluster's tag adds to it."
    )
    clusters_max: int = Field(default=20, ge=1, le=100_000, description="Clusters of one region: DSQL's quota.")
    linked_clusters_max: int = Field(default=5, ge=1, description="Of them linked over regions, beside the others.")
    change_streams_max: int = Field(default=5, ge=1, description="Change streams of a cluster.")
    connections_max: int = Field(default=10_000, ge=1, description="Connections of a cluster: DSQL's quota.")
    connections_per_second: float = Field(default=100.0, gt=0, description="New ones a second, once the burst is used.")
    connections_burst: int = Field(default=1_000, ge=1, description="New ones at once.")
    storage_bytes_max: int = Field(
        default=10 << 40, ge=1, description="Bytes of a cluster; above, writes are refused (53100)."
    )
    idle_seconds: float = Field(
        default=1_800.0,
        gt=0,
        description="A cluster nobody is connected to for so long is called IDLE. It costs no more.",
    )
    inactive_seconds: float = Field(default=86_400.0, gt=0, description="The same for INACTIVE.")
    system_poll_seconds: float = Field(
        default=0.5,
        gt=0,
        description="Where there are several controls: between two looks at what the others have decided.",
    )
    event_days: float = Field(default=90.0, gt=0, description="How long the audit log is kept: CloudTrail's 90 days.")
    event_rows: int = Field(
        default=200_000,
        ge=1,
        description="Events kept at most, about: the oldest go first.",
    )

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        for what, values in (
            ("journal replicas of the same name", [one.name for one in self.journal]),
            ("journal replicas at the same address", [one.address for one in self.journal]),
            ("peers of the same region", [self.region, *(one.region for one in self.peers)]),
        ):
            if len(set(values)) != len(values):
                raise ValueError(f"two {what}")
        if self.processors_max < self.processors_min:
            raise ValueError("processors_max is below processors_min")
        return self

    def configuration(self, namespace: str) -> Configuration:
        """What the map is made with. `namespace`: where the pods are."""
        journal = [
            Member(one.name, "", one.address, region="" if one.region == self.region else one.region)
            for one in self.journal
        ]
        regions = {self.region, *(peer.region for peer in self.peers)}
        named = [region for region in self.adjudicator_regions if region in regions]
        return Configuration(
            namespace=namespace,
            region=self.region,
            streams=self.streams,
            journal=tuple(sorted(journal, key=lambda one: one.name)),
            regions=(*dict.fromkeys(named), *sorted(regions - set(named))),
        )

    def plan_limits(self) -> PlanLimits:
        return PlanLimits(
            streams=self.streams,
            zone=self.adjudicator_zone,
            stream=StreamLimits(ranges_max=self.ranges_max, gap_rate=self.range_gap_rate),
            shard=ShardLimits(
                shard_bytes=self.shard_bytes,
                shard_load=self.shard_load,
                zones=self.storage_zones,
                shards_max=self.shards_max,
                moves_max=self.storage_moves_max,
            ),
            sustain_seconds=self.sustain_seconds,
            step_seconds=self.placement_seconds,
            gone_seconds=self.storage_gone_seconds,
        )

    def pauses(self) -> Pauses:
        return Pauses(self.plan_busy_seconds, max(self.plan_seconds, self.plan_busy_seconds))

    def pool_limits(self) -> PoolLimits:
        return PoolLimits(
            target_sessions=self.target_sessions,
            warm_processors=self.warm_processors,
            warm_sessions=self.warm_sessions,
            least=self.processors_min,
            most=self.processors_max,
            scale_in_seconds=self.scale_in_seconds,
        )
