"""Start lastcall's demo and the API beside it, and say how to try them.

pip install 'lastcall[server]' && python start.py
"""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

PORT = int(os.environ.get("PORT", "8001"))
HERE = Path(__file__).parent
LASTCALL = [sys.executable, "-m", "lastcall"]
UVICORN = [sys.executable, "-m", "uvicorn", "--log-level", "warning"]
TRY = """
  curl -s {auth}/api/v1/sign-in -H 'Content-Type: application/json' \\
    -d '{{"email": "{email}", "password": "{password}"}}'   # gives an access_token

  curl -s localhost:{port} -H "Authorization: Bearer $TOKEN"
  curl -s -X POST {auth}/api/v1/sign-out -H "Authorization: Bearer $TOKEN"
  curl -s localhost:{port} -H "Authorization: Bearer $TOKEN"   # refused at once

or end the session in the browser: {auth}
"""


def main() -> None:
    """Run both until Ctrl-C."""
    with tempfile.TemporaryDirectory() as folder:
        database = ["--database-url", f"sqlite:///{folder}/demo.db"]
        demo = subprocess.Popen(
            [*LASTCALL, "demo", "--port", "0", "--json", *database],
            stdout=subprocess.PIPE,
            text=True,
        )
        try:
            auth = json.loads(demo.stdout.readline())
            key = json.loads(
                subprocess.check_output(
                    [*LASTCALL, "key", "create", "api", "--scope", "verify", "--json", *database],
                    text=True,
                )
            )["key"]
            print(TRY.format(auth=auth["url"], port=PORT, **auth), flush=True)
            subprocess.run(
                [*UVICORN, "app:app", "--port", str(PORT)],
                cwd=HERE,
                env={**os.environ, "AUTH_ADDRESS": auth["url"], "AUTH_KEY": key},
                check=False,
            )
        except KeyboardInterrupt:
            pass
        finally:
            demo.terminate()
            demo.wait()


if __name__ == "__main__":
    main()
