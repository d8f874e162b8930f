"""A page of HTML that needs no other file."""

from __future__ import annotations

import base64
import html
from collections.abc import Sequence

_STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; color: #222; background: #fff; max-width: 72rem;
  margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.5rem; } h2 { font-size: 1.15rem; margin-top: 2rem; border-bottom: 1px solid #ddd; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
th, td { padding: .25rem .7rem; text-align: right; border-bottom: 1px solid #eee; white-space: nowrap; }
th:first-child, td:first-child, .text { text-align: left; } td.text { white-space: normal; }
th { color: #555; font-weight: 600; }
.wide { overflow-x: auto; } .plots { display: flex; flex-wrap: wrap; gap: 1rem; } .plots img { max-width: 100%; }
figure { margin: 0; flex: 1 1 28rem; max-width: 35rem; }
.note { color: #666; font-size: .9rem; } .alarm { color: #a11; }
"""


def page(title: str, parts: Sequence[str]) -> str:
    """The whole page; `parts` are HTML, made by the functions below."""
    return (
        f'<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        f'<meta name="viewport" content="width=device-width"><title>{html.escape(title)}</title>'
        f"<style>{_STYLE}</style></head>\n<body><h1>{html.escape(title)}</h1>\n"
        + "\n".join(parts)
        + "\n</body></html>\n"
    )


def heading(text: str) -> str:
    """A part's title."""
    return f"<h2>{html.escape(text)}</h2>"


def paragraph(text: str, kind: str = "") -> str:
    """Text; `kind` is "", "note" or "alarm"."""
    return f'<p class="{kind}">{html.escape(text)}</p>'


def table(header: Sequence[str], rows: Sequence[Sequence[str]], prose: Sequence[int] = ()) -> str:
    """A table; columns in `prose` hold sentences."""

    def cells(kind: str, row: Sequence[str]) -> str:
        texts = (' class="text"' if place in prose else "" for place in range(len(row)))
        return "".join(f"<{kind}{text}>{html.escape(cell)}</{kind}>" for text, cell in zip(texts, row, strict=True))

    head = cells("th", header)
    body = "".join(f"<tr>{cells('td', row)}</tr>" for row in rows)
    return f'<div class="wide"><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'


def plots(pictures: Sequence[tuple[str, bytes]]) -> str:
    """PNG pictures, each with what it shows for those who cannot see it."""
    shown = "".join(
        f'<figure><img alt="{html.escape(alt)}" src="data:image/png;base64,{base64.b64encode(png).decode()}"></figure>'
        for alt, png in pictures
    )
    return f'<div class="plots">{shown}</div>'
