"""Which HTTP proxy leads to a lake, by the customary environment variables."""

from __future__ import annotations

from collections.abc import Mapping
from ipaddress import ip_address
from urllib.parse import urlsplit


def proxy_for(url: str, environment: Mapping[str, str]) -> str | None:
    """The proxy's URL for requests to `url`, or None for a direct connection.

    `http_proxy`, `https_proxy`, `all_proxy` and `no_proxy`, lower case before upper, as curl reads them; `HTTP_PROXY`
    in upper case is ignored, as there: a CGI server sets it from a request's `Proxy` header. Unlike curl, this machine
    itself is never asked for by way of another.
    """
    target = urlsplit(url)
    names = [f"{target.scheme}_proxy", f"{target.scheme}_proxy".upper(), "all_proxy", "ALL_PROXY"]
    found = (environment[name] for name in names if name != "HTTP_PROXY" and environment.get(name))
    proxy = next(found, None)
    excluded = environment.get("no_proxy") or environment.get("NO_PROXY") or ""
    if proxy is None or _is_here(target.hostname or "") or _is_excluded(target.hostname or "", target.netloc, excluded):
        return None
    return proxy if "://" in proxy else f"http://{proxy}"


def _is_here(host: str) -> bool:
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False


def _is_excluded(host: str, host_and_port: str, excluded: str) -> bool:
    """Whether `no_proxy`, a list of hosts and domains separated by commas, names a host; `*` names all."""
    names = [name.strip().lower().lstrip(".") for name in excluded.split(",")]
    return any(name == "*" or name in (host, host_and_port) or host.endswith(f".{name}") for name in names if name)
