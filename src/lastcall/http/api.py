"""All that the HTTP API offers; what is asked for most is found first."""

from lastcall.http import (
    health,
    metrics,
    password,
    renew,
    services,
    sessions,
    sign_in,
    terminations,
    well_known,
)
from lastcall.http.endpoint import AnyEndpoint
from lastcall.http.openapi import openapi_endpoint

ENDPOINTS: list[AnyEndpoint] = [
    *sign_in.ENDPOINTS,
    *sessions.ENDPOINTS,
    *services.ENDPOINTS,
    *terminations.ENDPOINTS,
    *password.ENDPOINTS,
    *renew.ENDPOINTS,
    *well_known.ENDPOINTS,
    *health.ENDPOINTS,
    *metrics.ENDPOINTS,
]
ENDPOINTS.append(openapi_endpoint(ENDPOINTS))
