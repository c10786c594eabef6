"""HTTP SQL's requests and answers, as OpenAPI shows them."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, Field

PARAMETERS_MAX = 65_535  # what the protocol's 16 bits hold


class SqlRequest(BaseModel):
    model_config = ConfigDict(extra="forbid")

    sql: str = Field(description="One statement, with parameters as $1, $2, ...", examples=["select $1::int + 1 as n"])
    params: list[Any] = Field(
        default=[],
        max_length=PARAMETERS_MAX,
        description="Parameter values. Each is given to the statement as text and takes the type the statement needs; "
        "lists and objects are given as JSON. Send numerics that must be exact as strings.",
        examples=[[41]],
    )
    transaction: str | None = Field(default=None, description="A transaction's id; without, the statement commits.")


class ColumnModel(BaseModel):
    name: str
    type: str = Field(description="PostgreSQL's name of the type.", examples=["integer"])


class SqlAnswer(BaseModel):
    columns: list[ColumnModel] = Field(description="Empty where the statement gives no rows.")
    rows: list[list[Any]] = Field(
        description="Values in the order of `columns`. numeric, bigint beyond 2^53, NaN and infinities are strings; "
        "timestamps ISO 8601; json and jsonb the document; arrays lists; other types PostgreSQL's text."
    )
    rowCount: int = Field(description="Rows returned or changed.")
    command: str = Field(description="The command tag without its counts.", examples=["SELECT", "CREATE TABLE"])


class TransactionAnswer(BaseModel):
    transaction: str = Field(description="For `transaction` in requests. Secret: who has it can use it.")


class EndAnswer(BaseModel):
    transaction: str
    state: str = Field(examples=["committed", "rolled back"])


class ErrorModel(BaseModel):
    sqlstate: str = Field(description="PostgreSQL's five characters.", examples=["40001"])
    message: str
    detail: str | None = None
    hint: str | None = None
    retryable: bool = Field(description="True if the same work, done again from its beginning, may well succeed.")


class ErrorAnswer(BaseModel):
    error: ErrorModel
