"""A Django project that keeps its own users, with the server mounted in it.

pip install 'lastcall[server,django]' && python app.py
"""

import uvicorn
from django.conf import settings
from django.contrib.auth import get_user_model
from django.core.management import call_command
from shop.asgi import application  # sets Django up

if __name__ == "__main__":
    call_command("migrate", verbosity=0)
    users = get_user_model().objects
    if not users.filter(username="ada").exists():
        users.create_user("ada", "ada@shop.test", "correct horse", first_name="Ada")
    print(f"http://localhost:{settings.PORT}, as ada with the password: correct horse", flush=True)
    uvicorn.run(application, port=settings.PORT, log_level="warning")
