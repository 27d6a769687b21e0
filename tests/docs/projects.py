"""Django projects in a folder, of files as they are printed, each asked in a process of its own."""

import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

Question = tuple[str, str, dict[str, Any]]
"""A method of Django's test client, a path, and what else it is given."""


def write(folder: Path, files: Mapping[str, str], urls: Mapping[str, str]) -> None:
    """Write a project's files, with what a project has beside them: urls, a key, a database."""
    project = folder / "myproject"
    project.mkdir(parents=True)
    rest = (
        "\nSECRET_KEY = 'for this test'\nROOT_URLCONF = 'myproject.urls'\n"
        "ALLOWED_HOSTS = ['*']\nUSE_TZ = True\nDEFAULT_AUTO_FIELD = 'django.db.models.AutoField'\n"
        "DATABASES = {'default': {'ENGINE': 'django.db.backends.sqlite3', 'NAME': 'app.db'}}\n"
    )
    listed = "".join(f"    path({path!r}, views.{view}),\n" for path, view in urls.items())
    written = {
        "__init__.py": "",
        "urls.py": "from django.urls import path\nfrom myproject import views\n"
        f"urlpatterns = [\n{listed}]\n",
        **files,
        "settings.py": files["settings.py"] + rest,
    }
    for name, text in written.items():
        (project / name).write_text(text, "utf-8")


def ask(
    folder: Path,
    questions: Sequence[Question],
    environ: Mapping[str, str],
    *,
    before: str = "",
    python: Path | None = None,
) -> list[tuple[int, str]]:
    """Migrate the project's database, do something before, and ask it, by one client, which keeps
    its cookies. Give the statuses and the texts."""
    script = f"""
import json, sys
import django
django.setup()
from django.core.management import call_command
from django.test import Client
call_command("migrate", verbosity=0, run_syncdb=True)
{before}
client = Client(raise_request_exception=False)
answers = []
for method, path, more in json.loads(sys.argv[1]):
    answer = getattr(client, method)(path, **more)
    answers.append((answer.status_code, answer.content.decode()))
print(json.dumps(answers))
"""
    source = Path(__file__).resolve().parents[2] / "src"
    done = subprocess.run(
        [python or sys.executable, "-c", script, json.dumps(questions)],
        cwd=folder,
        env={
            **os.environ,
            "DJANGO_SETTINGS_MODULE": "myproject.settings",
            "PYTHONPATH": f"{source}{os.pathsep}{folder}",
            **environ,
        },
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    return [(status, text) for status, text in json.loads(done.stdout.splitlines()[-1])]
