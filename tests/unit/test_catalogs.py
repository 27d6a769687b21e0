"""No text for readers was missed: all are in the catalogs, and these are complete and compiled."""

import ast
import re
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path

import pytest
from babel.messages.catalog import Catalog, Message
from jinja2 import Environment, nodes

from tools import make_locales, messages

LANGUAGES = dict(messages.languages())
PLACEHOLDER = re.compile(r"%(?:\(\w+\))?.")
TEXTS = messages.extract()


@pytest.fixture(params=LANGUAGES)
def tag(request: pytest.FixtureRequest) -> str:
    """Each language that has a catalog."""
    return str(request.param)


@pytest.fixture
def catalog(tag: str) -> Catalog:
    """Its catalog, as it is kept."""
    return messages.load(tag, LANGUAGES[tag])


def ids(message: Message) -> list[str]:
    return [message.id] if isinstance(message.id, str) else list(message.id)


def test_there_is_another_language_than_english() -> None:
    assert "de" in LANGUAGES


def test_a_catalog_holds_exactly_the_texts_of_the_pages(catalog: Catalog) -> None:
    held = {message.id for message in catalog if message.id}
    assert held == TEXTS, "run `make messages`"


def test_every_text_is_translated(catalog: Catalog) -> None:
    assert [message.id for message in messages.untranslated(catalog)] == []


def test_every_translation_has_its_plural_forms_and_the_same_placeholders(
    catalog: Catalog,
) -> None:
    for message in catalog:
        if not message.id:
            continue
        forms = messages.forms(message)
        assert len(forms) == (catalog.num_plurals if message.pluralizable else 1), message.id
        wanted = sorted(PLACEHOLDER.findall(ids(message)[-1]))
        assert all(sorted(PLACEHOLDER.findall(form)) == wanted for form in forms), message.id


def test_a_translation_ends_as_its_text_does(catalog: Catalog) -> None:
    for message in catalog:
        for form in messages.forms(message) if message.id else ():
            end = ids(message)[0][-1]
            assert form == form.strip()
            assert form.endswith(end) if end in ".?:" else form[-1] not in ".?:", message.id


def test_what_is_kept_is_what_make_messages_writes(tag: str, catalog: Catalog) -> None:
    kept = [(LANGUAGES[tag] / name).read_bytes() for name in ("lastcall.po", "lastcall.mo")]
    written = messages.written(messages.updated(tag, catalog, TEXTS))
    assert list(written) == kept, "run `make messages`"


def test_a_catalog_names_no_person_place_or_time(tag: str) -> None:
    text = (LANGUAGES[tag] / "lastcall.po").read_text("utf-8")
    assert "\n#:" not in text
    header = text.partition("\n\n")[0]
    for word in ("Date", "Translator", "Team", "Generated", "Copyright", "@"):
        assert word not in header


def test_what_is_made_from_cldr_is_what_babel_has_now() -> None:
    for path, text in make_locales.files().items():
        assert path.read_text("utf-8") == text, "run `python -m tools.make_locales`"


def test_new_texts_want_a_translation_known_ones_keep_theirs_and_gone_ones_go() -> None:
    old = messages.updated("de", Catalog(), {"kept", "gone", ("a day", "days"), "soon plural"})
    for message in old:
        message.string = ("ein Tag", "Tage") if message.pluralizable else f"{message.id}!"
    new = messages.updated("de", old, {"kept", "new", ("a day", "days"), ("soon plural", "s")})
    assert {ids(message)[0]: messages.forms(message) for message in new if message.id} == {
        "kept": ["kept!"],
        "new": [""],
        "a day": ("ein Tag", "Tage"),
        "soon plural": ("", ""),
    }
    assert {ids(message)[0] for message in messages.untranslated(new)} == {"new", "soon plural"}


# What an extractor can't see is in no catalog.


def called_with(tree: ast.AST) -> Iterator[ast.Call]:
    calls = (node for node in ast.walk(tree) if isinstance(node, ast.Call))
    for call in calls:
        if isinstance(call.func, ast.Name) and call.func.id in messages.KEYWORDS:
            yield call


@pytest.mark.parametrize(
    "path", sorted(messages.PAGES.glob("**/*.py")), ids=lambda path: str(path.name)
)
def test_every_literal_that_python_translates_is_found(path: Path) -> None:
    """Also inside of f-strings, where Babel doesn't look. None is glued together."""
    found = {form for text in TEXTS for form in ([text] if isinstance(text, str) else text)}
    for call in called_with(ast.parse(path.read_text("utf-8"))):
        for argument in call.args[:2]:
            glued = isinstance(argument, ast.JoinedStr) or (
                isinstance(argument, ast.BinOp) and isinstance(argument.op, ast.Add | ast.Mod)
            )
            assert not glued, ast.unparse(call)
            if isinstance(argument, ast.Constant) and isinstance(argument.value, str):
                assert argument.value in found, f"not found: {argument.value}"


SENTENCE = re.compile(r"[A-Z][a-z']+(?:[ .?!]|$)")


def unasked(tree: ast.AST) -> list[str]:
    """Give what reads like words for people and is not given to a catalog. Docstrings, summaries of
    endpoints and texts of errors are for programmers."""
    spared: set[ast.AST] = set()
    for node in ast.walk(tree):
        match node:
            case ast.Expr(value=ast.Constant() as text):
                spared.add(text)
            case ast.Raise() | ast.keyword(arg="summary"):
                spared.update(ast.walk(node))
            case ast.Call(func=ast.Name(id=name)) if name in messages.KEYWORDS:
                spared.update(ast.walk(node))
            case _:
                pass
    texts = (node for node in ast.walk(tree) if isinstance(node, ast.Constant))
    return [
        text.value
        for text in texts
        if text not in spared and isinstance(text.value, str) and SENTENCE.match(text.value)
    ]


@pytest.mark.parametrize(
    "path", sorted(messages.PAGES.glob("**/*.py")), ids=lambda path: str(path.name)
)
def test_no_python_says_anything_in_one_language_only(path: Path) -> None:
    """Words that are translated later than where they stand are marked there."""
    assert unasked(ast.parse(path.read_text("utf-8"))) == []


def test_words_of_one_language_are_seen_in_python() -> None:
    code = '"""Doc."""\nA = {"Key": "Signed out", "b": mark("B c")}\ndef f():\n    return "Owner"'
    assert unasked(ast.parse(code)) == ["Key", "Signed out", "Owner"]


class Words(HTMLParser):
    """What a template says without asking a catalog."""

    SAID = frozenset({"alt", "aria-label", "aria-description", "placeholder", "title"})
    VALUE = "qzq"
    """Stands for what an expression yields."""

    def __init__(self, template: str) -> None:
        super().__init__()
        self.words: list[str] = []
        inside = False
        markup: list[str] = []
        # This block holds the name of a class.
        template = re.sub(r"\{% block layout %\}.*?\{% endblock %\}", "", template)
        for _, kind, text in Environment(autoescape=True).lex(template):
            if kind == "variable_begin":
                markup.append(self.VALUE)
            if kind in ("variable_begin", "block_begin", "comment_begin"):
                inside = True
            elif kind in ("variable_end", "block_end", "comment_end"):
                inside = False
            elif kind == "data" and not inside:
                markup.append(text)
        self.feed("".join(markup))
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Look at an element's attributes."""
        for name, value in attrs:
            if name in self.SAID or (name == "value" and tag == "input" and "submit" in str(attrs)):
                self.handle_data(value or "")

    def handle_data(self, data: str) -> None:
        """Look at a text."""
        rest = data.replace(self.VALUE, "").replace("lastcall", "")
        if any(character.isalpha() for character in rest):
            self.words.append(data.strip())


def unasked_in_expressions(template: str) -> list[str]:
    """Give what reads like words in a template's expressions and is not given to a catalog."""
    tree = Environment(autoescape=True).parse(template)
    asked: set[int] = set()
    for call in tree.find_all(nodes.Call):
        if isinstance(call.node, nodes.Name) and call.node.name in messages.KEYWORDS:
            asked.update(id(text) for text in call.find_all(nodes.Const))
    texts = [text.value for text in tree.find_all(nodes.Const) if id(text) not in asked]
    return sorted(text for text in texts if isinstance(text, str) and SENTENCE.match(text))


@pytest.mark.parametrize(
    "path", sorted(messages.PAGES.glob("templates/*.html")), ids=lambda path: str(path.name)
)
def test_no_template_says_anything_in_one_language_only(path: Path) -> None:
    template = path.read_text("utf-8")
    assert Words(template).words == []
    assert unasked_in_expressions(template) == []


def test_words_of_one_language_are_seen_in_a_template() -> None:
    expressions = """{{ notice("warn", text="Look at this") }}{{ "Yes" if a else _("No") }}"""
    assert unasked_in_expressions(expressions) == ["Look at this", "Yes"]
    said = Words(
        '<p title="a">b {{ _("c") }}</p>{# d #}{% if e %}<i alt="{{ f }}">g</i>{% endif %}'
    )
    assert said.words == ["a", "b qzq", "g"]
