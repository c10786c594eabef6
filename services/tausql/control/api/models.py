"""Requests of Aurora DSQL's API, with the limits of its model."""

from __future__ import annotations

from typing import Annotated

from fastapi import Path, Query
from pydantic import BaseModel, ConfigDict, Field, StrictBool, StrictStr, StringConstraints

_TAG = r"^[a-zA-Z0-9_.:/=+\-@ ]*$"

ClusterId = Annotated[str, Path(pattern=r"^[a-z0-9]{26}$", description="Identifier of a cluster.")]
StreamId = Annotated[str, Path(pattern=r"^[a-z0-9]{26}$", description="Identifier of a change stream.")]
Arn = Annotated[str, Path(min_length=1, max_length=1011, pattern=r"^arn:.+$")]
ClientToken = Annotated[str, StringConstraints(strict=True, min_length=1, max_length=128, pattern=r"^[!-~]+$")]
QueryToken = Annotated[str | None, Query(alias="client-token", min_length=1, max_length=128, pattern=r"^[!-~]+$")]
MaxResults = Annotated[int, Query(alias="max-results", ge=1, le=100)]
NextToken = Annotated[str | None, Query(alias="next-token", max_length=1024)]
PolicyVersion = Annotated[str | None, Query(alias="expected-policy-version", max_length=128)]
TagKey = Annotated[str, StringConstraints(strict=True, min_length=1, max_length=128, pattern=_TAG)]
TagKeys = Annotated[list[TagKey], Query(alias="tagKeys", max_length=200)]
TagValue = Annotated[str, StringConstraints(strict=True, max_length=256, pattern=_TAG)]
Tags = Annotated[dict[TagKey, TagValue], Field(max_length=200)]
Policy = Annotated[str, StringConstraints(strict=True, min_length=1, max_length=20_480)]


class _Body(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True)


class MultiRegionProperties(_Body):
    witnessRegion: Annotated[StrictStr, Field(max_length=50)] | None = None
    clusters: Annotated[list[StrictStr], Field(max_length=100)] | None = None


class MetricGroup(_Body):
    metricGroup: StrictStr


MetricGroups = Annotated[list[MetricGroup], Field(max_length=20)]
KmsKey = Annotated[str, StringConstraints(strict=True, min_length=1, max_length=2048, pattern=r"^[a-zA-Z0-9:/_-]+$")]


class CreateCluster(_Body):
    deletionProtectionEnabled: StrictBool | None = None
    kmsEncryptionKey: KmsKey | None = None
    tags: Tags | None = None
    clientToken: ClientToken | None = None
    multiRegionProperties: MultiRegionProperties | None = None
    policy: Policy | None = None
    bypassPolicyLockoutSafetyCheck: StrictBool | None = None
    metricGroups: MetricGroups | None = None


class UpdateCluster(_Body):
    deletionProtectionEnabled: StrictBool | None = None
    kmsEncryptionKey: KmsKey | None = None
    clientToken: ClientToken | None = None
    multiRegionProperties: MultiRegionProperties | None = None
    metricGroups: MetricGroups | None = None


class PutClusterPolicy(_Body):
    policy: Policy
    bypassPolicyLockoutSafetyCheck: StrictBool | None = None
    expectedPolicyVersion: Annotated[StrictStr, Field(max_length=128)] | None = None
    clientToken: ClientToken | None = None


class TagResource(_Body):
    tags: Tags


class Kinesis(_Body):
    streamArn: Annotated[
        str,
        StringConstraints(
            strict=True, min_length=1, max_length=2048, pattern=r"^arn:aws.*:kinesis:.*:\d{12}:stream/\S+$"
        ),
    ]
    roleArn: Annotated[
        str,
        StringConstraints(
            strict=True,
            min_length=20,
            max_length=2048,
            pattern=r"^arn:aws(-[^:]+)?:iam::[0-9]{12}:role(/[a-zA-Z0-9+=,.@_-]+)+$",
        ),
    ]


class Target(_Body):
    kinesis: Kinesis


class CreateStream(_Body):
    targetDefinition: Target
    ordering: Annotated[StrictStr, Field(pattern=r"^UNORDERED$")]
    format: Annotated[StrictStr, Field(pattern=r"^JSON$")]
    tags: Tags | None = None
    clientToken: ClientToken | None = None
