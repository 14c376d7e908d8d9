"""Elements of HTML and XML. Whatever is in them is escaped when they are written."""

from __future__ import annotations

import re
from xml.etree.ElementTree import Element, tostring

FORBIDDEN = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")  # https://www.w3.org/TR/xml/#charsets


def make(tag: str, *content: str | Element | None, **attributes: str | int | None) -> Element:
    """An element with its texts and elements, in order. None is left out. Attributes: `class_` is class, `aria_hidden` is aria-hidden."""
    given = {name.rstrip("_").replace("_", "-"): str(value) for name, value in attributes.items() if value is not None}
    element = Element(tag, given)
    for part in content:
        if isinstance(part, Element):
            element.append(part)
        elif part and len(element):
            element[-1].tail = (element[-1].tail or "") + part
        elif part:
            element.text = (element.text or "") + part
    return element


def write_markup(element: Element) -> str:
    """The text of an element. Each element in it has an end tag: HTML needs them, as long as we use no void element, and XML allows them.
    A character that XML forbids is replaced.
    """
    return FORBIDDEN.sub("\ufffd", tostring(element, encoding="unicode", short_empty_elements=False))
