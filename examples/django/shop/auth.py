"""The server that is mounted in the shop, and whose the sessions are."""

from django.conf import settings
from django.contrib.auth import get_user_model

from lastcall.server import create_app
from lastcall.settings import load

server = create_app(
    load({"public_url": f"http://localhost:{settings.PORT}/auth", "sign_in_url": "/login"})
)
verifier = server.verifier
sessions = server.sessions("Shop")


def user_of(session):
    """Give Django's user of a session, for request.user."""
    return get_user_model().objects.filter(pk=session.external_id, is_active=True).first()
