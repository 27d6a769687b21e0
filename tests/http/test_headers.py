"""The headers of single kinds of answers; `test_every_answer` holds what all have."""

from starlette.responses import HTMLResponse, Response

from lastcall.device.agent import ACCEPT_CH
from lastcall.http.endpoint import AnyEndpoint, Call, Endpoint
from lastcall.http.guard import ANYONE
from lastcall.server import create_app
from tests.http.serving import Served
from tests.support.nodes import PASSWORD


async def test_behind_tls_browsers_are_told_to_stay_there(secured: Served, served: Served) -> None:
    for path in ("/healthz", "/nowhere"):
        response = await secured.client().get(path)
        assert response.headers["strict-transport-security"] == (
            "max-age=31536000; includeSubDomains"
        )
        assert "strict-transport-security" not in (await served.client().get(path)).headers


async def test_a_page_asks_for_client_hints_and_says_what_else_it_likes(served: Served) -> None:
    async def page(_call: Call[None, None, None]) -> Response:
        return HTMLResponse("<p>hello", headers={"Cache-Control": "private"})

    endpoints: list[AnyEndpoint] = [
        Endpoint(method="GET", path="/page", caller=ANYONE, handler=page, summary="", page=True)
    ]
    app = create_app(served.settings, node=served.node, endpoints=endpoints)
    response = await served.at(app).client().get("/page")
    assert response.headers["accept-ch"] == ACCEPT_CH
    assert response.headers.get_list("cache-control") == ["private"]


async def test_a_method_that_a_path_does_not_take_is_answered_with_those_that_it_does(
    served: Served,
) -> None:
    for path, allow in (
        ("/api/v1/session", "GET, HEAD"),
        ("/api/v1/sessions", "GET, HEAD, POST"),
        ("/api/v1/sessions/x", "DELETE"),
        ("/api/v1/sign-in", "POST"),
    ):
        response = await served.client().request("PUT", path)
        assert response.status_code == 405
        assert response.headers["allow"] == allow
        assert response.json()["code"] == "method_not_allowed"


async def test_client_hints_sharpen_what_a_device_is(served: Served) -> None:
    headers = {
        "User-Agent": "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/537.36 "
        "(KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36",
        "Sec-CH-UA-Platform": '"macOS"',
        "Sec-CH-UA-Platform-Version": '"26.1.0"',
    }
    body = {"email": "ada@example.com", "password": PASSWORD}
    session = (await served.client(headers).post("/api/v1/sign-in", json=body)).json()["session"]
    assert (session["device"]["os"], session["device"]["os_version"]) == ("macOS", "26.1")
