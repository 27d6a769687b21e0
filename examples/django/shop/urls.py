"""The shop's pages."""

from django.contrib.auth import authenticate
from django.contrib.auth.decorators import login_required
from django.shortcuts import redirect, render
from django.urls import path

from lastcall.integrations.django import client_of
from lastcall.local import local_path
from shop.auth import sessions


def login(request):
    """Check the password with Django; then begin a session, and set its cookies."""
    if request.method == "GET":
        return render(request, "login.html")
    user = authenticate(
        request, username=request.POST["username"], password=request.POST["password"]
    )
    if user is None:
        return render(request, "login.html", {"wrong": True}, status=401)
    started = sessions.start(
        str(user.pk),
        client=client_of(request),
        name=user.get_full_name() or user.username,
        email=user.email,
        amr=("pwd",),
    )
    response = redirect(local_path(request.POST.get("next"), "/"))
    started.set_cookies(response)
    return response


@login_required
def home(request):
    """Only for who is signed in; a browser that isn't goes to /login, and comes back."""
    return render(request, "home.html", {"session": request.lastcall.session})


urlpatterns = [path("", home), path("login", login)]
