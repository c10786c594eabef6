"""The changefeed's settings (environment prefix TAUSQL_CHANGEFEED_)."""

from __future__ import annotations

from pydantic import Field

from tausql.runtime.settings import ServiceSettings, settings_for


class ChangefeedSettings(ServiceSettings):
    model_config = settings_for("CHANGEFEED")

    targets: dict[str, str] = Field(
        default={},
        description="Where streams of an ARN go instead of to Kinesis, as a JSON object: an `http(s)` URL gets records "
        "posted as NDJSON, `file:///folder` appends them to `<stream>.ndjson` there.",
    )
    folder: str = Field(
        default="",
        description="Where every stream goes that `targets` does not name and Kinesis has no endpoint for: files of "
        "NDJSON. Empty: such a stream is IMPAIRED. For one machine; a pod's disk goes with it.",
    )
    kinesis_endpoint: str = Field(
        default="", description="URL of Kinesis or of what speaks its API. Empty: there is none."
    )
    credentials_file: str = Field(
        default="",
        description="JSON with `access_key_id` and `secret_access_key` to sign requests to Kinesis with. Needed with "
        "`kinesis_endpoint`.",
    )
    streams_max: int = Field(
        default=500, ge=1, description="Streams one changefeed delivers at once; each has a subscription and a buffer."
    )
    buffer_bytes_max: int = Field(
        default=16 << 20,
        ge=1 << 20,
        description="Changes of a stream that wait for its target. Above it the stream reads no more of the journal "
        "until they are delivered: more than the largest transaction, which is 10 MiB.",
    )
    batch_records_max: int = Field(
        default=500, ge=1, le=500, description="Records in one request: what Kinesis takes at most."
    )
    batch_bytes_max: int = Field(
        default=4 << 20, ge=1 << 10, description="Bytes in one request, but for a single record above it."
    )
    request_seconds: float = Field(default=10.0, gt=0, description="A target that has not answered by then has failed.")
    retry_seconds_max: float = Field(
        default=30.0, gt=0, description="Longest pause before a target that failed is tried again; it doubles from 0.1."
    )
    report_seconds: float = Field(
        default=1.0, gt=0, description="Between two reports of progress: what may be delivered again after a restart."
    )
    read_seconds: float = Field(default=10.0, gt=0, description="A read of storage not answered by then is repeated.")
    backup_folder: str = Field(
        default="",
        description="The folder that backups in folders are below. Empty: backups go to S3 alone. Every changefeed has "
        "to see the same folder.",
    )
    backup_s3_endpoint: str = Field(
        default="", description="URL of S3, or of what speaks its API, for backups. Empty: there is none."
    )
    backup_s3_region: str = Field(default="us-east-1", description="Region that requests to S3 are signed for.")
    backup_s3_credentials_file: str = Field(
        default="",
        description="JSON with `access_key_id` and `secret_access_key` to sign requests to S3 with. Needed with "
        "`backup_s3_endpoint`.",
    )
    backup_jobs_max: int = Field(
        default=4, ge=1, description="Backups and restores that one changefeed does at once; others wait."
    )
