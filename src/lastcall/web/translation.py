"""The texts' way to other languages, in gettext's words. There is only English so far."""


def gettext(text: str) -> str:
    """Give a text in the reader's language."""
    return text


def ngettext(one: str, many: str, number: int) -> str:
    """Give the form of a text that goes with a number, in the reader's language."""
    return one if number == 1 else many
