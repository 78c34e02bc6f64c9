"""The description as a page to read: one file, no script, and no address outside. Pure."""

import json
from collections.abc import Mapping
from html import escape
from typing import Any

_STYLE = (
    ":root{color-scheme:light dark;font:16px/1.5 system-ui,sans-serif}body{max-width:60rem;margin:2rem auto;"
    "padding:0 1rem}pre{overflow-x:auto;padding:.75rem;border:1px solid}code{font-size:.95em}"
    "a{color:inherit}table{border-collapse:collapse}td{padding:.1rem .75rem .1rem 0;vertical-align:top}"
)


def docs_page(described: Mapping[str, Any]) -> str:
    """Return the page as HTML."""
    info = described["info"]
    routes = "".join(
        _route(method, path, operation)
        for path, operations in described["paths"].items()
        for method, operation in operations.items()
    )
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        f"<title>{escape(info['title'])} API</title>"
        f'<meta name="viewport" content="width=device-width"><style>{_STYLE}</style></head><body><main>'
        f"<h1>{escape(info['title'])} API</h1><p>{escape(info['description'])}</p>"
        f'<p><a href="/openapi.json">openapi.json</a> has every field.</p>{routes}</main></body></html>'
    )


def _route(method: str, path: str, operation: Mapping[str, Any]) -> str:
    names = ", ".join(parameter["name"] for parameter in operation.get("parameters", ()))
    role = f"<p>Role: <code>{escape(operation['x-role'])}</code></p>" if operation.get("x-role") else ""
    asked = role + (f"<p>Parameters: <code>{escape(names)}</code></p>" if names else "")
    taken = operation.get("requestBody", {}).get("content", {})
    if taken:
        asked += f"<p>Content types: <code>{escape(', '.join(taken))}</code></p>"
    for media in taken.values():
        if "example" in media:
            example = escape(json.dumps(media["example"], indent=1))
            asked += f'<pre tabindex="0"><code>{example}</code></pre>'
    codes = "".join(
        f"<tr><td>{code}</td><td>{escape(said['description'])}</td></tr>"
        for code, said in operation["responses"].items()
    )
    return (
        f"<section><h2><code>{method.upper()} {escape(path)}</code></h2><p>{escape(operation['summary'])}</p>"
        f"{asked}<table><tbody>{codes}</tbody></table></section>"
    )
