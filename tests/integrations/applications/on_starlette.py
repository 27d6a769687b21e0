"""The application on Starlette."""

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket

from lastcall.integrations.starlette import LastcallMiddleware, visit
from lastcall.verifier.checking import Checker


async def home(request: Request) -> Response:
    session = visit(request).session
    return JSONResponse({"user": session and session.user_id})


async def me(request: Request) -> Response:
    session = visit(request).require()
    return JSONResponse({"user": session.user_id, "session": session.id})


async def admin(request: Request) -> Response:
    visit(request).require("admin", "owner")
    return JSONResponse({})


async def fresh(request: Request) -> Response:
    visit(request).require(max_age=600)
    return JSONResponse({})


async def public(_: Request) -> Response:
    return JSONResponse({})


async def talk(socket: WebSocket) -> None:
    session = visit(socket).require()
    await socket.accept()
    await socket.send_text(session.user_id)
    await socket.close()


def make(verifier: Checker) -> Starlette:
    return Starlette(
        routes=[
            Route("/", home),
            Route("/me", me, methods=["GET", "POST"]),
            Route("/admin", admin),
            Route("/fresh", fresh),
            Route("/public", public),
            WebSocketRoute("/talk", talk),
        ],
        middleware=[Middleware(LastcallMiddleware, verifier=verifier)],
    )
