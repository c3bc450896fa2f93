"""Text from corpora, configurations and records on its way into HTML: none of it may become markup or script."""

import base64
import hashlib
import json
import math
import re
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from ablations.report.parts import HERE

# Controls, and what turns the direction of the text around it: in a name or a command they only ever deceive.
HIDDEN = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069\ufeff]")
IN_SCRIPT = {"<": "\\u003c", ">": "\\u003e", "&": "\\u0026", "\u2028": "\\u2028", "\u2029": "\\u2029"}


def visible(text: object) -> str:
    """A name or a command with its invisible characters spelled out, such as `\\u202e`."""
    return HIDDEN.sub(lambda found: f"\\u{ord(found[0]):04x}", str(text))


def plain(value: Any) -> Any:
    """A copy in which every text is `visible`, for charts, whose labels know no isolation."""
    if isinstance(value, dict):
        return {visible(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    return visible(value) if isinstance(value, str) else value


def script_json(value: Any) -> Markup:
    """JSON that may stand inside a script element: no character of it can end the element or begin a comment."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    return Markup(re.sub("[<>&\u2028\u2029]", lambda found: IN_SCRIPT[found[0]], text))


def significant(value: float | None, digits: int = 5) -> float | int | None:
    """A number with so many significant digits, as short as JSON has it; none where it is not finite."""
    if value is None or not math.isfinite(value):
        return None
    if value == 0 or isinstance(value, int):
        return value
    short = float(f"{value:.{digits}g}")
    return int(short) if short.is_integer() and abs(short) < 1e15 else short


def policy(*scripts: str) -> str:
    """The content security policy of a page with these scripts: they run, and nothing else does or is fetched.

    The library evaluates its expressions with its own interpreter (`ast`), so that no 'unsafe-eval' is needed; it sets
    styles by script, hence 'unsafe-inline' for those.
    """
    hashes = " ".join(
        f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'" for text in scripts
    )
    return (
        f"default-src 'none'; script-src {hashes}; style-src 'unsafe-inline'; img-src data:; "
        "base-uri 'none'; form-action 'none'"
    )


def environment() -> Environment:
    """Templates in which everything is escaped that is not said to be markup, and a missing name is an error."""
    made = Environment(
        loader=FileSystemLoader(HERE / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters["visible"] = visible
    return made
