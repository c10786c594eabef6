"""Clients of Aurora DSQL written in Python, each in an environment of its own, unmodified."""

from __future__ import annotations

import json
import sys

import pytest
from tests.compatibility.environments import environment

from .conftest import PROGRAMS, Runner

AWS = (
    "boto3==1.44.5",
    "aurora-dsql-python-connector[psycopg,psycopg2,asyncpg]==0.2.7",
    "psycopg[binary,pool]>=3.2",
    "psycopg2-binary>=2.9",
    "asyncpg>=0.30",
    "aurora-dsql-sqlalchemy==1.3.0",
    "sqlalchemy==2.0.44",
    "aurora-data-api==0.5.0",
)


def test_boto3(run: Runner) -> None:
    assert "fine" in run(environment("clients-aws", *AWS).python, PROGRAMS / "boto3_operations.py")


@pytest.mark.parametrize("driver", ["psycopg", "psycopg2", "asyncpg"])
def test_connector(run: Runner, driver: str) -> None:
    assert "fine" in run(environment("clients-aws", *AWS).python, PROGRAMS / "connectors.py", driver)


@pytest.mark.parametrize("driver", ["psycopg", "psycopg2"])
def test_sqlalchemy(run: Runner, driver: str) -> None:
    assert "fine" in run(environment("clients-aws", *AWS).python, PROGRAMS / "sqlalchemy_orm.py", driver)


def test_data_api(run: Runner) -> None:
    assert "fine" in run(environment("clients-aws", *AWS).python, PROGRAMS / "data_api.py")


def test_mcp_server(run: Runner) -> None:
    made = environment("clients-mcp", "awslabs.aurora-dsql-mcp-server==1.1.4")
    assert "fine" in run(made.python, PROGRAMS / "mcp_server.py")


def test_aws_command_line(run: Runner) -> None:
    aws = environment("clients-awscli", "awscli==1.46.3").folder / "bin" / "aws"
    made = json.loads(run(aws, "dsql", "create-cluster", "--no-deletion-protection-enabled"))
    identifier = made["identifier"]
    run(aws, "dsql", "wait", "cluster-active", "--identifier", identifier)
    assert identifier in run(aws, "dsql", "list-clusters")
    run(aws, "dsql", "tag-resource", "--resource-arn", made["arn"], "--tags", "stage=test")
    assert json.loads(run(aws, "dsql", "get-cluster", "--identifier", identifier))["tags"] == {"stage": "test"}
    run(aws, "dsql", "delete-cluster", "--identifier", identifier)
    run(aws, "dsql", "wait", "cluster-not-exists", "--identifier", identifier)


def test_the_token_command(run: Runner) -> None:
    token = run.fleet.tausql("token").strip()
    program = "import psycopg; print(psycopg.connect().execute('SELECT current_user').fetchone())"
    assert "admin" in run(sys.executable, "-c", program, PGPASSWORD=token)
