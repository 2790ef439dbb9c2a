"""Configuration: ``FAULTLIGHT_*`` environment variables, and no other source."""

import ipaddress
from functools import cache
from pathlib import Path
from typing import Literal

from pydantic import Field, SecretStr, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

MEBIBYTE = 1 << 20
GIBIBYTE = 1 << 30


class Settings(BaseSettings):
    """Every setting of the service. ``docs/reference/configuration.md`` is generated from this class."""

    model_config = SettingsConfigDict(env_prefix="FAULTLIGHT_", extra="ignore")

    data_dir: Path = Field(Path(".data"), description="where embedded servers and local stores keep their data")
    database_url: SecretStr | None = Field(
        None, description="PostgreSQL, `postgresql+psycopg://user:password@host/name`; unset: embedded"
    )
    broker_url: SecretStr | None = Field(None, description="Redis, `redis://host:6379/0`; unset: embedded")
    blob_url: str | None = Field(None, description="`s3://bucket/prefix` or `file:///path`; unset: in the data folder")
    s3_endpoint: str | None = Field(None, description="endpoint of an S3-compatible store; unset: AWS")
    s3_region: str = Field("us-east-1", description="region of the S3 store")
    s3_access_key_id: SecretStr | None = Field(None, description="access key of the S3 store")
    s3_secret_access_key: SecretStr | None = Field(None, description="secret key of the S3 store")
    staging_dir: Path | None = Field(None, description="where uploads are staged; unset: in the data folder")
    scratch_dir: Path | None = Field(None, description="workers' scratch space; unset: in the data folder")

    api_host: str = Field("127.0.0.1", description="address the API listens on")
    api_port: int = Field(8460, description="port the API listens on; 0 takes a free one")
    public_url: str | None = Field(None, description="how clients reach the API; unset: made from host and port")
    log_level: str = Field("INFO", description="DEBUG, INFO, WARNING or ERROR")
    log_format: str = Field("json", description="json or console")

    upload_max_bytes: int = Field(16 * GIBIBYTE, description="largest file accepted")
    bundle_max_members: int = Field(10_000, description="most files in one bundle")
    program_quota_bytes: int = Field(1024 * GIBIBYTE, description="most bytes of originals kept per program")
    upload_expires_s: int = Field(
        7 * 86400, description="an unfinished upload is dropped this long after its last byte"
    )
    staging_reserve_bytes: int = Field(GIBIBYTE, description="free space that must remain in the staging folder")

    rate_limit_per_minute: int = Field(6000, description="requests per key and minute; 0: no limit")

    key_cache_s: float = Field(
        1.0, description="a key found good may read this long before it is looked up again; 0: looked up each time"
    )

    console_idle_s: float = Field(4 * 3600.0, description="a console session without a request this long has ended")
    console_session_s: float = Field(24 * 3600.0, description="a console session ends after this long at the latest")
    sign_in_attempts: int = Field(5, description="an account is locked after this many wrong passwords in a row")
    sign_in_lock_s: float = Field(900.0, description="how long it is locked then")
    sign_in_link_s: float = Field(3600.0, description="how long a one-time sign-in link is good")

    oidc_issuer: str | None = Field(
        None, description="OpenID Connect provider people may sign in by; needs the public URL"
    )
    oidc_client_id: str | None = Field(None, description="how the provider knows this service")
    oidc_client_secret: SecretStr | None = Field(None, description="its secret at the provider; unset: a public client")
    oidc_claim: str = Field("preferred_username", description="what of the provider's word is the account's name")

    read_timeout_s: float = Field(600.0, description="wall-clock limit for reading one file")
    read_memory_bytes: int = Field(2 * GIBIBYTE, description="memory limit for reading one file")
    read_output_bytes: int = Field(64 * GIBIBYTE, description="most bytes of records read from one file")

    lease_s: float = Field(30.0, description="a worker that does not renew its lease this long has lost the job")
    reconcile_interval_s: float = Field(10.0, description="seconds between two passes of the reconciler")
    republish_after_s: float = Field(15.0, description="a queued job unclaimed this long is published again")
    job_max_attempts: int = Field(3, description="a job that kills its worker this often is dead")
    reread_interval_s: float = Field(3600.0, description="seconds between two looks for files to read again")
    scheduler_metrics_port: int = Field(0, description="port of the scheduler's Prometheus metrics; 0: none")
    worker_metrics_port: int = Field(0, description="port of a worker's Prometheus metrics; 0: none")
    orphan_age_s: float = Field(86400.0, description="a blob without a row is swept when older than this")

    reference_nets: str = Field(
        "",
        description="nets, or channels outside sessions, that are reference nodes besides those of golden sessions: "
        "patterns such as `REF_*, CLK?`",
    )
    agent_silent_after_s: float = Field(1800.0, description="an agent that has not reported this long is silent")
    agent_backlog_after_s: float = Field(
        14400.0, description="an agent whose oldest file has waited this long has a backlog"
    )
    webhook_networks: str = Field(
        "",
        description="networks with private or other special addresses that webhooks may lead to, such as "
        "`10.20.0.0/16, fd00::/8`; public addresses are allowed",
    )
    webhook_ca_file: Path | None = Field(
        None, description="certificates (PEM) that webhooks' receivers are believed by; unset: the public ones"
    )

    report_grace_s: float = Field(
        900.0, description="a report seen due later than this is missed: with the policy `skip` it is not made"
    )
    smtp_host: str | None = Field(None, description="mail server that takes reports; unset: none is mailed")
    smtp_port: int = Field(587, description="its port")
    smtp_security: Literal["none", "starttls", "tls"] = Field(
        "starttls", description="`none`, `starttls` or `tls` (from the first byte, usually port 465)"
    )
    smtp_user: str | None = Field(None, description="user at the mail server; unset: it asks for none")
    smtp_password: SecretStr | None = Field(None, description="password at the mail server")
    smtp_sender: str | None = Field(None, description="address that reports come from; needed with a mail server")
    smtp_ca_file: Path | None = Field(
        None, description="certificates (PEM) that the mail server is believed by; unset: the public ones"
    )
    report_domains: str = Field(
        "",
        description="domains that reports may be mailed to, such as `example.com, *.example.org`; empty: every domain",
    )

    @field_validator("webhook_networks")
    @classmethod
    def _are_networks(cls, text: str) -> str:
        for part in filter(None, map(str.strip, text.split(","))):
            ipaddress.ip_network(part)
        return text

    def staging(self) -> Path:
        """Return the staging directory."""
        return self.staging_dir or self.data_dir / "staging"

    def scratch(self) -> Path:
        """Return the workers' scratch directory."""
        return self.scratch_dir or self.data_dir / "scratch"


@cache
def get_settings() -> Settings:
    """Return this process's settings, read once from the environment."""
    return Settings()
