"""What is printed in the documentation, handed out to the tests that run it."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

from tests.conftest import ROOT

_BLOCK: Final = re.compile(
    r"^(?:<!-- not run: (?P<why>.+?) -->\n+)?```(?P<language>sh|python)\n(?P<text>.*?)^```$",
    re.MULTILINE | re.DOTALL,
)


@dataclass(frozen=True)
class Block:
    """A block of commands or of Python; `why` it isn't run, if it isn't."""

    page: str
    line: int
    language: str
    text: str
    why: str | None

    @property
    def name(self) -> str:
        """The file that it says it is, in its first line."""
        named = re.match(r"# ([\w/]+\.py)\b", self.text)
        return named[1] if named else ""

    def __str__(self) -> str:
        return f"{self.page}:{self.line} ({self.language})"


def blocks_of(page: str) -> list[Block]:
    """Read a page's blocks."""
    text = (ROOT / page).read_text("utf-8")
    return [
        Block(
            page,
            text.count("\n", 0, match.start("text")),
            match["language"],
            match["text"],
            match["why"],
        )
        for match in _BLOCK.finditer(text)
    ]


class Blocks:
    """A page's blocks of one language that are to be run, each taken once."""

    def __init__(self, blocks: list[Block]) -> None:
        self._waiting = blocks

    def take(self, containing: str) -> Block:
        """Give the first that contains a text, to be run now."""
        for block in self._waiting:
            if containing in block.text:
                self._waiting.remove(block)
                return block
        raise AssertionError(f"no block contains {containing!r}")

    def take_files(self) -> dict[str, str]:
        """Give the next ones that say which file they are, by its name."""
        taken: dict[str, str] = {}
        for block in list(self._waiting):
            if block.name and block.name not in taken:
                taken[block.name] = block.text
                self._waiting.remove(block)
        return taken

    def left(self) -> list[str]:
        """Tell which nobody has taken."""
        return [str(block) for block in self._waiting]


@contextmanager
def every_block(page: str, language: str, under: str = "") -> Iterator[Blocks]:
    """Hand out every block of a page that is to be run, or of one of its sections, and see that
    none was left."""
    chosen = [one for one in blocks_of(page) if one.language == language and one.why is None]
    if under:
        lines = (ROOT / page).read_text("utf-8").splitlines()
        start = lines.index(f"## {under}")
        ends = [at for at, line in enumerate(lines) if at > start and line.startswith("## ")]
        end = ends[0] if ends else len(lines)
        chosen = [one for one in chosen if start < one.line <= end]
    assert chosen, f"{page} has no block to run"
    blocks = Blocks(chosen)
    yield blocks
    assert not blocks.left(), "printed, and not run"
