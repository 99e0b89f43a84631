"""The service's settings: environment variables in, one validated object out."""

import logging
import re
import ssl
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

MAX_PORT = 65535
LOG_LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR")

_CERTIFICATE = re.compile("-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----", re.DOTALL)


class SettingsError(ValueError):
    """Invalid environment; the message lists every error."""

    def __init__(self, errors: list[str]) -> None:
        super().__init__("Invalid environment: " + "; ".join(errors) + ".")
        self.errors = errors


@dataclass(frozen=True)
class DatabaseSettings:
    """Address, credentials and TLS settings of the database."""

    host: str
    port: int
    name: str
    user: str
    password: str = field(repr=False)
    tls: ssl.SSLContext | None
    """None means plain text; a context always verifies certificate chain and host name."""


@dataclass(frozen=True)
class Settings:
    """All settings of the service; `Settings.read` maps the variables."""

    environment: str
    listen_address: str
    port: int
    metrics_port: int
    log_level: int
    drain_seconds: float
    pool_size: int
    """Connections to the database, one of them for readiness."""
    traces: bool
    """Whether OpenTelemetry traces are sent; the SDK reads its standard variables itself."""
    version: str
    revision: str
    database: DatabaseSettings

    @classmethod
    def read(cls, environ: Mapping[str, str]) -> "Settings":
        """Return the settings in `environ`. Raises `SettingsError`, which lists every error."""
        reader = _Reader(environ)
        settings = cls(
            environment=reader.text("NODE_ENV", "development"),
            listen_address=reader.text("LISTEN_ADDRESS", "::"),  # a container is reached from outside
            port=reader.whole_number("PORT", 3000, 1, MAX_PORT),
            metrics_port=reader.whole_number("METRICS_PORT", 9464, 1, MAX_PORT),
            log_level=reader.log_level("LOG_LEVEL"),
            drain_seconds=reader.whole_number("DRAIN_SECONDS", 10, 0, 600),
            pool_size=reader.whole_number("DB_POOL_SIZE", 4, 2, 100),
            traces=reader.traces(),
            version=reader.text("VERSION", "unknown"),
            revision=reader.text("REVISION", "unknown"),
            database=DatabaseSettings(
                host=reader.required("DB_HOST"),
                port=reader.whole_number("DB_PORT", 5432, 1, MAX_PORT),
                name=reader.required("DB_SCHEMA"),
                user=reader.required("DB_USER"),
                password=reader.required("DB_PASSWORD"),
                tls=reader.tls(),
            ),
        )
        if settings.port == settings.metrics_port:
            reader.errors.append(f"PORT and METRICS_PORT are both {settings.port}: give each its own")
        if reader.errors:
            raise SettingsError(reader.errors)
        return settings


class _Reader:
    """Read variables one by one, and collect errors instead of stopping at the first."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ = environ
        self.errors: list[str] = []

    def text(self, name: str, default: str) -> str:
        return self._environ.get(name, "") or default

    def required(self, name: str) -> str:
        value = self._environ.get(name, "")
        if not value:
            self.errors.append(f"{name} is not set")
        elif "\0" in value:
            self.errors.append(f"{name} contains a NUL")
        return value

    def whole_number(self, name: str, default: int, low: int, high: int) -> int:
        value = self._environ.get(name, "")
        if not value:
            return default
        number = int(value) if value.isascii() and value.isdigit() and len(value) < 10 else -1
        if not low <= number <= high:
            self.errors.append(f"{name} is {value!r}, not a whole number from {low} to {high}")
            return default
        return number

    def one_of(self, name: str, default: str, allowed: tuple[str, ...], fold: Callable[[str], str]) -> str:
        value = self.text(name, default)
        if fold(value) not in allowed:
            self.errors.append(f"{name} is {value!r}, not one of {', '.join(allowed)}")
            return default
        return fold(value)

    def log_level(self, name: str) -> int:
        return logging.getLevelNamesMapping()[self.one_of(name, "INFO", LOG_LEVELS, str.upper)]

    def traces(self) -> bool:
        """Return whether a variable of OpenTelemetry names a place for traces, and none switches them off."""
        places = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
        default = "otlp" if any(self._environ.get(name) for name in places) else "none"
        exporter = self.one_of("OTEL_TRACES_EXPORTER", default, ("otlp", "none"), str.lower)
        if exporter == "none" or self.text("OTEL_SDK_DISABLED", "false").lower() == "true":
            return False
        for name in ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL"):
            self.one_of(name, "http/protobuf", ("http/protobuf",), str.lower)
        return True

    def tls(self) -> ssl.SSLContext | None:
        wanted = self.one_of("DB_SSL", "false", ("true", "false"), str.lower) == "true"
        authority = self._environ.get("DB_CA", "")
        if not wanted:
            if authority:
                self.errors.append("DB_CA is set but DB_SSL is not true: set DB_SSL=true, or unset DB_CA")
            return None
        # Only the certificates: a bundle's comments may be in any language, the TLS library reads ASCII.
        certificates = "\n".join(_CERTIFICATE.findall(authority))
        try:
            if certificates or not authority:
                # Without DB_CA: the system's authorities. Either way chain and host name are verified.
                return ssl.create_default_context(cadata=certificates or None)
        except (ssl.SSLError, ValueError, TypeError):
            pass
        self.errors.append("DB_CA has no PEM certificate: give the text of the database's CA certificate")
        return None
