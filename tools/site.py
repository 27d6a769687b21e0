"""Builds the documentation's site: `python -m tools.site FOLDER`.

Its pages are those of docs/, and what is linked to elsewhere in the repository: that is under
`repository/`, and a file that is no Markdown is a page that shows it. So a link is written once, as
it works in the repository.
"""

import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import yaml

ROOT: Final = Path(__file__).resolve().parent.parent
DECISIONS: Final = "decisions/README.md"
LINK: Final = re.compile(r"(?<=\]\()(?!https?:|mailto:|#)([^)#\s]+)(#[^)\s]*)?(?=\))")
"""The target of a link to a file, and the place in it."""
_FENCED: Final = re.compile(r"(^```.*?^```$)", re.MULTILINE | re.DOTALL)
_LANGUAGES: Final = {".py": "python", ".html": "html", ".lua": "lua", ".toml": "toml"}


def main() -> int:
    """Build the site into the folder that is named."""
    (target,) = sys.argv[1:]
    build(Path(target))
    return 0


def build(target: Path) -> None:
    """Build the site. Raises CalledProcessError where a link leads nowhere."""
    with tempfile.TemporaryDirectory(prefix="lastcall-site-") as folder:
        stage = Path(folder)
        for file, text in pages():
            staged = stage / "docs" / placed(file)
            staged.parent.mkdir(parents=True, exist_ok=True)
            staged.write_text(text, "utf-8")
        for image in (ROOT / "docs").glob("**/*.png"):
            copied = stage / "docs" / image.relative_to(ROOT / "docs")
            copied.parent.mkdir(parents=True, exist_ok=True)
            copied.write_bytes(image.read_bytes())
        (stage / "docs/site.css").write_bytes((ROOT / "docs/site.css").read_bytes())
        config = configuration() | {"docs_dir": "docs", "site_dir": "site"}
        (stage / "mkdocs.yml").write_text(yaml.safe_dump(config, sort_keys=False), "utf-8")
        zensical = Path(sys.executable).parent / "zensical"
        subprocess.run(
            [zensical, "build", "--strict", "--clean", "-f", stage / "mkdocs.yml"],
            check=True,
            cwd=stage,
            stdout=subprocess.DEVNULL,
        )
        shutil.copytree(stage / "site", target, dirs_exist_ok=True)


def configuration() -> dict[str, Any]:
    """Read mkdocs.yml, and list the decisions in it."""
    config: dict[str, Any] = yaml.safe_load((ROOT / "mkdocs.yml").read_text("utf-8"))
    for section in config["nav"]:
        for name, entries in section.items():
            if entries == [DECISIONS]:
                section[name] = [DECISIONS, *(f"decisions/{file.name}" for file in decisions())]
    return config


def decisions() -> list[Path]:
    """List the records, oldest first."""
    return sorted((ROOT / "docs/decisions").glob("[0-9]*.md"))


def pages() -> Iterator[tuple[Path, str]]:
    """Give the site's pages, by the file that each is made of, and all that they lead to."""
    elsewhere = re.findall(r"repository/(\S+)", (ROOT / "mkdocs.yml").read_text("utf-8"))
    waiting = [*sorted((ROOT / "docs").glob("**/*.md")), *(ROOT / name for name in elsewhere)]
    seen = set(waiting)
    while waiting:
        file = waiting.pop(0)
        text = file.read_text("utf-8")
        if file.suffix != ".md":
            language = _LANGUAGES.get(file.suffix, "text")
            yield file, f"# {file.name}\n\n```{language}\n{text.rstrip()}\n```\n"
            continue
        if file == ROOT / "docs" / DECISIONS:
            text += "\n" + "".join(f"- [{title(one)}]({one.name})\n" for one in decisions())
        for linked in sorted(links(file, text)):
            if linked.suffix != ".png" and linked not in seen:
                seen.add(linked)
                waiting.append(linked)
        yield file, rewritten(file, text)


def title(file: Path) -> str:
    """Give a page's heading."""
    return file.read_text("utf-8").partition("\n")[0].removeprefix("# ")


def links(file: Path, text: str) -> set[Path]:
    """Give the files that a page leads to. Raises FileNotFoundError for one that isn't there."""
    prose = _FENCED.sub("", text)
    return {(file.parent / match[1]).resolve(strict=True) for match in LINK.finditer(prose)}


def rewritten(file: Path, text: str) -> str:
    """Have the links of a page lead to where their files stand on the site."""
    here = placed(file).parent

    def lead(match: re.Match[str]) -> str:
        there = placed((file.parent / match[1]).resolve())
        return Path(os.path.relpath(there, here)).as_posix() + (match[2] or "")

    parts = _FENCED.split(text)
    return "".join(part if part.startswith("```") else LINK.sub(lead, part) for part in parts)


def placed(file: Path) -> Path:
    """Tell where a file of the repository stands on the site."""
    within = file.relative_to(ROOT)
    if within.parts[0] == "docs":
        return within.relative_to("docs")
    shown = within if within.suffix == ".md" else within.with_name(f"{within.name}.md")
    return Path("repository") / shown


if __name__ == "__main__":
    sys.exit(main())
