# Copyright (c) 2026, k8s_cluster.manager contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What Cloudflare says when it refuses. Codes and sentences are those of answers that people have published; the source stands beside each."""

from __future__ import annotations

import typing as t

SAME_NAME = "https://developers.cloudflare.com/dns/manage-dns-records/troubleshooting/records-with-same-name/"


class Refusal(Exception):
    """An answer other than success: HTTP status, Cloudflare's code and sentence, and the chain of causes some codes have."""

    def __init__(self, status: int, code: int, message: str, chain: t.Sequence[tuple[int, str]] = (), headers: dict[str, str] | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.chain = chain
        self.headers = headers or {}

    def body(self) -> dict[str, t.Any]:
        """The envelope a client gets."""
        error: dict[str, t.Any] = {"code": self.code, "message": self.message}
        if self.chain:
            error["error_chain"] = [{"code": code, "message": message} for code, message in self.chain]
        return {"result": None, "success": False, "errors": [error], "messages": []}


# Access


def no_credentials() -> Refusal:
    """github.com/cloudflare/cloudflare-python/issues/2678."""
    return Refusal(400, 9106, "Missing X-Auth-Key, X-Auth-Email or Authorization headers")


def malformed_token() -> Refusal:
    """github.com/jeessy2/ddns-go/issues/916: a token that is not 40 characters long, for one."""
    return Refusal(400, 6003, "Invalid request headers", [(6111, "Invalid format for Authorization header")])


def unknown_token() -> Refusal:
    """GET /zones with a well-formed token that does not exist."""
    return Refusal(403, 9109, "Invalid access token")


def unverified_token() -> Refusal:
    """GET /user/tokens/verify with a well-formed token that does not exist."""
    return Refusal(401, 1000, "Invalid API Token")


def not_permitted() -> Refusal:
    """github.com/cloudflare/terraform-provider-cloudflare/issues/913: DNS records without the permission, or of a zone outside the token's resources."""
    return Refusal(403, 10000, "Authentication error")


def zone_not_permitted() -> Refusal:
    """github.com/octodns/octodns-cloudflare/issues/60: reading a zone without Zone Read, or one outside the token's resources."""
    return Refusal(403, 9109, "Unauthorized to access requested resource")


def no_route(path: str) -> Refusal:
    """github.com/cloudflare/cf-terraforming/issues/275: HTTP 400 for an identifier that is none; sentence as in K0p1-Git/cloudflare-ddns-updater#61."""
    return Refusal(400, 7003, f"Could not route to {path}, perhaps your object identifier is invalid?")


def unknown_path() -> Refusal:
    """github.com/cloudflare/cf-terraforming/issues/254."""
    return Refusal(400, 7000, "No route for that URI")


def wrong_method(method: str) -> Refusal:
    """github.com/fire1ce/DDNS-Cloudflare-Bash/issues/3: a verb the path does not have."""
    return Refusal(405, 10000, f"{method} method not allowed for the api_token authentication scheme")


def throttled(seconds: int) -> Refusal:
    """github.com/lablabs/cloudflare-exporter/issues/74; Retry-After: developers.cloudflare.com/fundamentals/api/reference/limits."""
    message = "More than 1200 requests per 300 seconds reached. Please wait and consider throttling your request speed"
    return Refusal(429, 971, message, headers={"Retry-After": str(seconds)})


def broken() -> Refusal:
    """A failure on Cloudflare's side."""
    return Refusal(500, 10013, "An internal error prevented the form from being processed. If the problem persists, contact support.")


# Records


def missing_record() -> Refusal:
    """github.com/zanjie1999/cloudflare-api-v4-ddns/issues/5."""
    return Refusal(404, 81044, "Record does not exist.")


def quota_exceeded() -> Refusal:
    """github.com/js-org/js.org/issues/2873; 200 records on free zones: github.com/cloudflare/cloudflare-docs/pull/16600."""
    return Refusal(400, 81045, "The record quota has been exceeded.")


def host_exists() -> Refusal:
    """github.com/cloudflare/terraform-provider-cloudflare/issues/1247: a CNAME beside an A, AAAA or CNAME."""
    return Refusal(400, 81053, f"An A, AAAA, or CNAME record with that host already exists. For more details, refer to <{SAME_NAME}>.")


def alias_exists() -> Refusal:
    """github.com/jeessy2/ddns-go/issues/1557: an A or AAAA beside a CNAME."""
    return Refusal(400, 81054, f"A CNAME record with that host already exists. For more details, refer to <{SAME_NAME}>.")


def record_exists() -> Refusal:
    """github.com/webprofusion/certify/issues/565: the same name, type and content with other settings."""
    return Refusal(400, 81057, "Record already exists.")


def identical_exists() -> Refusal:
    """github.com/jeessy2/ddns-go/issues/1378: the same in every setting."""
    return Refusal(400, 81058, "An identical record already exists.")


def invalid(code: int, message: str) -> Refusal:
    """A DNS validation error. Until 2024 these came as 1004 with the code in the chain; today as the code itself (timothymiller/cloudflare-ddns#230)."""
    return Refusal(400, code, message)


def invalid_body(why: str) -> Refusal:
    """A body that is not what the path takes, with the general code that other validation errors have (hashicorp/terraform#11991)."""
    return Refusal(400, 1004, "DNS Validation Error", [(9207, why)])
