"""The application on FastAPI. Its annotations are strings, as many applications have them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

from fastapi import APIRouter, Depends, FastAPI, WebSocket

from lastcall.integrations.fastapi import (
    CurrentSession,
    LastcallMiddleware,
    OptionalSession,
    require,
)
from lastcall.verifier.session import Session

if TYPE_CHECKING:
    from lastcall.verifier.checking import Checker

router = APIRouter()
admins = APIRouter(dependencies=[Depends(require("admin", "owner"))])


@router.get("/")
async def home(session: OptionalSession) -> dict[str, Any]:
    return {"user": session and session.user_id}


@router.get("/me")
def me(session: CurrentSession) -> dict[str, Any]:
    return {"user": session.user_id, "session": session.id}


@router.post("/me")
async def change_me(session: CurrentSession) -> dict[str, Any]:
    return {"user": session.user_id}


@admins.get("/admin")
async def admin() -> dict[str, Any]:
    return {}


@router.get("/fresh")
async def fresh(_: Annotated[Session, Depends(require(max_age=600))]) -> dict[str, Any]:
    return {}


@router.get("/public")
async def public() -> dict[str, Any]:
    return {}


@router.websocket("/talk")
async def talk(socket: WebSocket, session: CurrentSession) -> None:
    await socket.accept()
    await socket.send_text(session.user_id)
    await socket.close()


@admins.websocket("/admin/talk")
async def admin_talk(socket: WebSocket) -> None:
    await socket.accept()
    await socket.send_text("admin")
    await socket.close()


def make(verifier: Checker) -> FastAPI:
    app = FastAPI()
    app.add_middleware(LastcallMiddleware, verifier=verifier)
    app.include_router(router)
    app.include_router(admins)
    return app
