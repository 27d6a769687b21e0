"""`python -m benchmarks.check_scene FOLDER NUMBER`: make a database with a user, a service key and so
many tokens of one session; print them as JSON. It runs where the server is installed; what is
measured with them runs beside other libraries, see `benchmarks.checks`."""

import asyncio
import json
import sys
from pathlib import Path

import msgspec

from benchmarks.scene import begin, settings
from lastcall.identity.administration import OPERATOR
from lastcall.identity.passwords import CHEAP, Passwords
from lastcall.node import Node
from lastcall.tokens import mint_access


async def make(folder: Path, number: int) -> dict[str, object]:
    """Fill an empty folder."""
    node = await Node.open(settings(folder), passwords=Passwords(CHEAP, 1), serving=True)
    try:
        account = await node.identity.add_account("Acme")
        position = (await node.store.log_end()).position
        user = await node.identity.add_user(account.id, "ada@example.com", password="a sentence")
        tokens = await begin(node.sessions, user, position)
        _, key = await node.services.create(account.id, "benchmark", ("verify",), OPERATOR)
        signer = await node.signing.signer()
        access = (await node.sessions.authenticate(tokens.access_token)).access
        return {
            "key": key,
            "jwk": (await node.signing.ring()).jwks()[0],
            "issuer": access.issuer,
            "audience": access.audience,
            "tokens": [
                mint_access(msgspec.structs.replace(access, token_id=f"bench-{one:012}"), signer)
                for one in range(number)
            ],
        }
    finally:
        await node.close()


if __name__ == "__main__":
    print(json.dumps(asyncio.run(make(Path(sys.argv[1]), int(sys.argv[2])))))
