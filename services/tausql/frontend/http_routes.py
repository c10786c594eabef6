"""All that is SQL over HTTP, for whatever listener offers it."""

from __future__ import annotations

from fastapi import APIRouter

from tausql.frontend.http_neon import Neon
from tausql.frontend.http_rds_data import RdsData
from tausql.frontend.http_sql import HttpSql
from tausql.frontend.http_statements import Statements


def routers(statements: Statements) -> tuple[APIRouter, ...]:
    return tuple(api(statements).router() for api in (HttpSql, RdsData, Neon))
