"""Start lastcall, two applications, and nginx before them all.

pip install 'lastcall[server]' && python start.py    (nginx must be installed)
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from urllib.request import urlopen

PORT = int(os.environ.get("PORT", "8000"))  # and the three after it
NGINX = os.environ.get("NGINX_PATH") or shutil.which("nginx") or "/usr/sbin/nginx"
EMAIL, PASSWORD = "ada@example.com", "correct horse"
HERE = Path(__file__).parent
LASTCALL = [sys.executable, "-m", "lastcall"]
UVICORN = [sys.executable, "-m", "uvicorn", "--log-level", "warning"]


def main() -> None:
    """Run them until Ctrl-C, with a database that is thrown away."""
    if not Path(NGINX).exists():
        sys.exit("There is no nginx here. On Debian or Ubuntu: apt-get install nginx-light")
    started: list[subprocess.Popen[bytes]] = []
    with tempfile.TemporaryDirectory() as folder:
        lastcall = {
            **os.environ,
            "LASTCALL_DATABASE_URL": f"sqlite:///{folder}/lastcall.db",
            "LASTCALL_PUBLIC_URL": f"http://localhost:{PORT}/auth",
            "LASTCALL_TRUSTED_PROXIES": "127.0.0.1",
        }

        def run(*words: str, said: str = "") -> str:
            command = [*LASTCALL, *words]
            return subprocess.run(
                command, env=lastcall, input=said, stdout=subprocess.PIPE, text=True, check=True
            ).stdout

        def start(*command: str, **environment: str) -> None:
            started.append(subprocess.Popen(command, cwd=HERE, env={**os.environ, **environment}))

        try:
            run("account", "add", "Shop", "--json")
            run("user", "add", EMAIL, "--owner", "--password-stdin", "--json", said=PASSWORD)
            key = json.loads(run("key", "create", "apps", "--scope", "verify", "--json"))["key"]
            server = [*LASTCALL, "serve", "--port", str(PORT + 1)]
            started.append(subprocess.Popen(server, env=lastcall, stdout=subprocess.DEVNULL))
            for number, (name, prefix) in enumerate((("the shop", ""), ("orders", "/orders"))):
                start(
                    *(*UVICORN, "app:app", "--port", str(PORT + 2 + number)),
                    NAME=name,
                    PREFIX=prefix,
                    AUTH_ADDRESS=f"http://127.0.0.1:{PORT + 1}/auth",
                    AUTH_KEY=key,
                )
            text = (HERE / "nginx.conf").read_text()
            for number in range(4):
                text = text.replace(f":{8000 + number}", f":{PORT + number}")
            (Path(folder) / "nginx.conf").write_text(text)
            start(NGINX, "-p", folder, "-c", "nginx.conf", "-e", "stderr")
            wait_for(f"http://127.0.0.1:{PORT}/auth/readyz", started)
            for name in ("", "orders/"):
                wait_for(f"http://127.0.0.1:{PORT}/{name}healthz", started)
            print(f"http://localhost:{PORT}, as {EMAIL} with the password: {PASSWORD}", flush=True)
            started[-1].wait()
        except KeyboardInterrupt:
            pass
        finally:
            for process in reversed(started):
                process.terminate()
                process.wait()


def wait_for(url: str, started: list[subprocess.Popen[bytes]]) -> None:
    """Wait until somebody answers there."""
    for _attempt in range(200):
        if any(process.poll() is not None for process in started):
            sys.exit("A part has stopped; it says why above. Are the four ports free?")
        try:
            urlopen(url, timeout=2).close()  # noqa: S310
        except OSError:
            time.sleep(0.1)
        else:
            return
    sys.exit(f"{url} does not answer")


if __name__ == "__main__":
    main()
