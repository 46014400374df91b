"""Rows of tokens as one HTML page, light and dark, that needs no network and no scripts."""

from collections.abc import Mapping, Sequence
from html import escape
from importlib.resources import files
from itertools import groupby

from r1ci_plugins.report.token_rows import TokenRow, mean_log_prob, plain, reveal

_STYLE = files("r1ci_plugins.report").joinpath("token_page.css").read_text(encoding="utf-8")
_POLICY = "default-src 'none'; style-src 'unsafe-inline'"


def page(facts: Mapping[str, str], rows: Sequence[TokenRow], alarm: str = "") -> str:
    """The page: facts by heading, then all tokens. The fact ``question`` is the title; ``alarm`` is a warning."""
    title = facts["question"]
    warnings = [facts[name] for name in ("excluded", "leaks") if name in facts]
    if alarm:
        warnings.append(alarm)
    shown = {name: text for name, text in facts.items() if name not in ("question", "excluded", "leaks")}
    return "\n".join(
        [
            "<!DOCTYPE html>",
            '<html lang="en"><head><meta charset="utf-8">',
            f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            f"<title>{_text(title)}</title><style>\n{_STYLE}</style></head><body>",
            f"<h1>{_text(title)}</h1>",
            *(f'<p class="alarm">{_text(warning)}</p>' for warning in warnings),
            "<dl>",
            *(f"<dt>{_text(heading)}</dt><dd>{_text(text)}</dd>" for heading, text in shown.items()),
            "</dl>",
            '<div class="legend">',
            '<span><span class="t trained">trained</span> sampled by the policy</span>',
            '<span><span class="t leak">trained</span> though not sampled: a leak</span>',
            '<span><span class="t predict">predicted</span> a code output in the loss\'s second term</span>',
            '<span><span class="t">not trained</span></span>',
            '<span><span class="t special">&lt;special&gt;</span> token</span>',
            "<span><i>· ↵ ⇥</i> blank, line break, tab</span>",
            "<span><i>⟨7⟩</i> a token without text of its own</span>",
            "<span>point at a token for its numbers</span>",
            "</div>",
            *(_segment(list(group)) for _, group in groupby(rows, key=lambda row: row.segment)),
            "</body></html>\n",
        ]
    )


def _segment(rows: Sequence[TokenRow]) -> str:
    first, mean = rows[0], mean_log_prob(rows)
    trained, leaks = sum(row.trained for row in rows), sum(row.leaks for row in rows)
    notes = [f"turn {first.turn}" if first.turn else "before turn 1"]
    notes.append(f"{len(rows)} tokens")
    notes.append(f"{trained} trained" if trained else "not trained")
    if predicted := sum(row.predicted for row in rows):
        notes.append(f"{predicted} predicted")
    if leaks:
        notes.append(f'<b class="alarm">{leaks} leak</b>')
    if mean is not None:
        notes.append(f"mean log-prob {mean:.3f}")
    name = first.kind.value.replace("_", " ")
    return (
        f'<section class="{first.kind.value}"><aside><h2>{name}</h2>'
        + "".join(f"<p>{note}</p>" for note in notes)
        + f"</aside><pre>{''.join(map(_token, rows))}</pre></section>"
    )


def _token(row: TokenRow) -> str:
    classes = " ".join(name for name in ("t", row.verdict, "special" if row.special else "") if name)
    text = "".join(map(_character, row.text)) or f"<i>⟨{escape(str(row.token_id))}⟩</i>"
    verdict = {
        "leak": "trained, though the policy did not write it",
        "predict": "predicted, in the loss's second term",
        "": "not trained",
    }.get(row.verdict, row.verdict)
    log_prob = "log-prob unknown" if row.log_prob is None else f"log-prob {row.log_prob:.4f}"
    parts = [f"#{row.position}", f"id {row.token_id}", row.kind.value, f"turn {row.turn}", log_prob, verdict]
    if row.special:
        parts.append("special token")
    return f'<span class="{classes}" title="{escape(" | ".join(parts))}">{text}</span>'


def _character(character: str) -> str:
    sign = reveal(character)
    after = {"\n": "\n", " ": "<wbr>"}.get(character, "")  # the browser may break the line where the blank was
    return escape(character) if sign == character else f"<i>{sign}</i>{after}"


def _text(text: str) -> str:
    return escape(plain(text))
