"""All that the HTTP API offers; what is asked for most is found first."""

from lastcall.http import (
    forward_auth,
    health,
    keys,
    logout,
    metrics,
    oauth,
    password,
    records,
    renew,
    services,
    sessions,
    sign_in,
    terminations,
    users,
    verifiers,
    well_known,
)
from lastcall.http.endpoint import AnyEndpoint
from lastcall.http.openapi import openapi_endpoint

ENDPOINTS: list[AnyEndpoint] = [
    *sign_in.ENDPOINTS,
    *sessions.ENDPOINTS,
    *oauth.ENDPOINTS,
    *services.ENDPOINTS,
    *terminations.ENDPOINTS,
    *password.ENDPOINTS,
    *records.ENDPOINTS,
    *users.ENDPOINTS,
    *logout.ENDPOINTS,
    *keys.ENDPOINTS,
    *verifiers.ENDPOINTS,
    *forward_auth.ENDPOINTS,
    *renew.ENDPOINTS,
    *well_known.ENDPOINTS,
    *health.ENDPOINTS,
    *metrics.ENDPOINTS,
]
ENDPOINTS.append(openapi_endpoint(ENDPOINTS))
