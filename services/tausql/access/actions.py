"""What can be allowed or denied: Aurora DSQL's actions in IAM."""

from __future__ import annotations

import msgspec

PREFIX = "dsql:"
CONNECT = "dsql:DbConnect"
CONNECT_ADMIN = "dsql:DbConnectAdmin"


class Action(msgspec.Struct, frozen=True):
    name: str
    level: str  # as IAM sorts them
    resources: tuple[str, ...] = ("cluster",)  # none: `*` only
    conditions: tuple[str, ...] = ()  # condition keys beyond the global ones
    in_cluster_policy: bool = True  # a cluster's own policy is asked, too

    @property
    def full_name(self) -> str:
        return PREFIX + self.name


_WITNESS = ("dsql:WitnessRegion",)
_TAGS = ("aws:RequestTag", "aws:TagKeys")

ACTIONS: tuple[Action, ...] = (
    Action("DbConnect", "Write"),
    Action("DbConnectAdmin", "Write"),
    Action("CreateCluster", "Write", conditions=_TAGS + _WITNESS, in_cluster_policy=False),
    Action("UpdateCluster", "Write", conditions=_WITNESS),
    Action("DeleteCluster", "Write"),
    Action("GetCluster", "Read"),
    Action("GetClusterPolicy", "Read"),
    Action("GetVpcEndpointServiceName", "Read"),
    Action("ListClusters", "List", resources=(), in_cluster_policy=False),
    Action("PutClusterPolicy", "Write"),
    Action("DeleteClusterPolicy", "Write"),
    Action("AddPeerCluster", "Write"),
    Action("RemovePeerCluster", "Write"),
    Action("PutMultiRegionProperties", "Write"),
    Action("PutWitnessRegion", "Write", conditions=_WITNESS),
    Action("CreateStream", "Write", conditions=_TAGS),
    Action("GetStream", "Read", resources=("stream",)),
    Action("ListStreams", "List"),
    Action("DeleteStream", "Write", resources=("stream",)),
    Action("UpdateStream", "Write", resources=("stream",)),
    Action("TagResource", "Tagging", resources=("cluster", "stream"), conditions=_TAGS),
    Action("UntagResource", "Tagging", resources=("cluster", "stream"), conditions=("aws:TagKeys",)),
    Action("ListTagsForResource", "Read", resources=("cluster", "stream")),
    Action("StartBackupJob", "Write"),
    Action("StopBackupJob", "Write", in_cluster_policy=False),
    Action("GetBackupJob", "Read", in_cluster_policy=False),
    Action("StartRestoreJob", "Write", in_cluster_policy=False),
    Action("StopRestoreJob", "Write", in_cluster_policy=False),
    Action("GetRestoreJob", "Read", in_cluster_policy=False),
    Action(
        "InjectError",
        "Write",
        resources=(),
        conditions=("dsql:FisActionId", "dsql:FisTargetArns"),
        in_cluster_policy=False,
    ),
)


def action_named(name: str) -> Action | None:
    """name: with or without `dsql:`, in any case."""
    wanted = name.lower().removeprefix(PREFIX)
    return next((action for action in ACTIONS if action.name.lower() == wanted), None)
