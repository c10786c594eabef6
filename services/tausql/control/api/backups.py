"""Backup and restore, which Aurora DSQL leaves to AWS Backup: paths of our own, with the actions that IAM knows."""

from __future__ import annotations

import math
from typing import Annotated, Any

from fastapi import APIRouter, Path, Request, Response
from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from tausql.control.api import models
from tausql.control.api.answers import answered
from tausql.control.api.dsql import ERRORS, current, decided, permitted
from tausql.control.api.exchange import Exchange, exchange_of
from tausql.control.clusters import backups, life
from tausql.control.clusters.listing import page
from tausql.control.clusters.records import Cluster, cluster_arn
from tausql.control.faults import invalid_field
from tausql.protocol.backup import BACKUP, RESTORE

FOLLOW_SECONDS_MAX = 7 * 86_400
TIME_MAX = 1e11
JobId = Annotated[str, Path(pattern=r"^[a-z0-9]{26}$", description="Identifier of a job.")]
Location = Annotated[
    str,
    StringConstraints(strict=True, min_length=1, max_length=1024, pattern=r"^[ -~]+$"),
    Field(description="A folder below the fleet's own for backups, or s3://bucket/prefix."),
]


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class StartBackupJob(_Body):
    location: Location
    followSeconds: Annotated[int, Field(strict=True, ge=0, le=FOLLOW_SECONDS_MAX)] = 0
    clientToken: models.ClientToken | None = None


class StartRestoreJob(_Body):
    location: Location
    restoreTime: Annotated[float, Field(strict=True, gt=0, lt=TIME_MAX)] | None = None
    deletionProtectionEnabled: bool = True
    tags: models.Tags | None = None
    clientToken: models.ClientToken | None = None


def routes() -> APIRouter:
    router = APIRouter(tags=["backups"], responses=ERRORS)
    _backups(router)
    _restores(router)
    return router


def _backups(router: APIRouter) -> None:
    @router.post("/backup/{identifier}", summary="StartBackupJob")
    async def start_backup_job(request: Request, identifier: models.ClusterId, body: StartBackupJob) -> Response:
        exchange = exchange_of(request)
        asked = {"identifier": identifier, **body.model_dump(exclude_none=True, exclude={"clientToken"})}
        exchange.begin("StartBackupJob", asked)
        await permitted(exchange, "dsql:StartBackupJob", identifier)
        return await decided(
            exchange,
            body.clientToken,
            asked,
            lambda image: backups.start_backup(
                image,
                current(exchange, image, identifier),
                body.location,
                body.followSeconds,
                exchange.tenancy.now(),
            ),
        )

    @router.get("/backup/{identifier}", summary="ListBackupJobs")
    async def list_backup_jobs(
        request: Request,
        identifier: models.ClusterId,
        maxResults: models.MaxResults = 100,
        nextToken: models.NextToken = None,
    ) -> Response:
        exchange = exchange_of(request)
        exchange.begin("ListBackupJobs", {"identifier": identifier}, read_only=True)
        cluster = await permitted(exchange, "dsql:GetBackupJob", identifier)
        every = backups.of_cluster(exchange.tenancy.image, cluster)
        found, more = page(every, lambda one: (round(one.created_at * 1e6), one.identifier), nextToken, maxResults)
        listed: dict[str, Any] = {"jobs": [backups.told_of(one) for one in found]}
        return answered({**listed, "nextToken": more} if more else listed)

    @router.get("/backup/{identifier}/{job}", summary="GetBackupJob")
    async def get_backup_job(request: Request, identifier: models.ClusterId, job: JobId) -> Response:
        """Also once the cluster is gone, as backups outlive it."""
        exchange = exchange_of(request)
        exchange.begin("GetBackupJob", {"identifier": identifier, "job": job}, read_only=True)
        return await _job(exchange, "dsql:GetBackupJob", BACKUP, job, identifier)


def _restores(router: APIRouter) -> None:
    @router.post("/restore", summary="StartRestoreJob")
    async def start_restore_job(request: Request, body: StartRestoreJob) -> Response:
        exchange = exchange_of(request)
        asked = body.model_dump(exclude_none=True, exclude={"clientToken"})
        exchange.begin("StartRestoreJob", asked)
        anywhere = cluster_arn(exchange.region, exchange.account, "*")
        exchange.permit("dsql:StartRestoreJob", anywhere)
        exchange.permit("dsql:CreateCluster", anywhere, tags=body.tags)
        if body.tags:
            exchange.permit("dsql:TagResource", anywhere, tags=body.tags)
        if body.restoreTime is not None and not math.isfinite(body.restoreTime):
            raise invalid_field("restoreTime", "The time is not a number")
        tenancy = exchange.tenancy
        settings = tenancy.settings
        return await decided(
            exchange,
            body.clientToken,
            asked,
            lambda image: backups.start_restore(
                image,
                tenancy.place(exchange.region),
                life.Ask(body.tags or {}, body.deletionProtectionEnabled),
                settings.quotas,
                settings.switches,
                tenancy.now(),
                body.location,
                body.restoreTime,
            ),
        )

    @router.get("/restore/{job}", summary="GetRestoreJob")
    async def get_restore_job(request: Request, job: JobId) -> Response:
        exchange = exchange_of(request)
        exchange.begin("GetRestoreJob", {"job": job}, read_only=True)
        return await _job(exchange, "dsql:GetRestoreJob", RESTORE, job, "")


async def _job(exchange: Exchange, action: str, what: str, identifier: str, cluster: str) -> Response:
    """cluster: empty: the job's own. Whether a job exists is told only to those who may see it."""
    await exchange.tenancy.state.look()
    image = exchange.tenancy.image
    job = image.of(backups.BackupJob).get(identifier)
    of = cluster or (job.cluster if job is not None else "*")
    exchange.permit(action, exchange.arn_of(of), image.of(Cluster).get(of))
    found = backups.find(image, what, identifier if job is None or job.cluster == of else "", exchange.region)
    return answered(backups.told_of(found))
