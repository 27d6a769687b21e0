"""The application on Litestar."""

from typing import Any

from litestar import Litestar, Router, WebSocket, get, post, websocket

from lastcall.integrations.litestar import CurrentSession, LastcallPlugin, OptionalSession, requires
from lastcall.verifier.checking import Checker


@get("/")
async def home(optional_session: OptionalSession) -> dict[str, Any]:
    return {"user": optional_session and optional_session.user_id}


@get("/me", sync_to_thread=True)
def me(session: CurrentSession) -> dict[str, Any]:
    return {"user": session.user_id, "session": session.id}


@post("/me", status_code=200)
async def change_me(session: CurrentSession) -> dict[str, Any]:
    return {"user": session.user_id}


@get("/admin")
async def admin() -> dict[str, Any]:
    return {}


@get("/fresh", guards=[requires(max_age=600)])
async def fresh() -> dict[str, Any]:
    return {}


@get("/public")
async def public() -> dict[str, Any]:
    return {}


@websocket("/talk")
async def talk(socket: WebSocket[Any, Any, Any], session: CurrentSession) -> None:
    await socket.accept()
    await socket.send_text(session.user_id)
    await socket.close()


@websocket("/admin/talk")
async def admin_talk(socket: WebSocket[Any, Any, Any]) -> None:
    await socket.accept()
    await socket.send_text("admin")
    await socket.close()


def make(verifier: Checker, **more: Any) -> Litestar:  # noqa: ANN401
    admins = Router("/", route_handlers=[admin, admin_talk], guards=[requires("admin", "owner")])
    return Litestar(
        [home, me, change_me, admins, fresh, public, talk],
        plugins=[LastcallPlugin(verifier)],
        **more,
    )
