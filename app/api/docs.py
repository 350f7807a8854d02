"""`/docs`: the contract as one page that needs no script, no font and no other host.

FastAPI's own page loads its program from a network that a bank's machine does not reach, and
a page with a foreign script could read every key typed into it.
"""

import json
from collections.abc import Iterator, Mapping
from html import escape
from typing import Any, Final

from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

_METHODS: Final = ("get", "post", "put", "patch", "delete")

_STYLE: Final = """
:root{color-scheme:light dark;font:15px/1.55 system-ui,"PingFang SC","Microsoft YaHei",sans-serif}
body{margin:0 auto;max-width:60rem;padding:1.5rem}
h2{margin:2rem 0 .5rem;text-transform:capitalize;border-bottom:1px solid #8886}
summary{cursor:pointer;padding:.35rem 0}summary code{font-size:.95rem}
details{border-bottom:1px solid #8883}details[open]{padding-bottom:1rem}
pre{background:#8881;padding:.75rem;overflow:auto;border-radius:.4rem;font-size:.82rem}
b.get{color:#2563eb}b.post{color:#15803d}b.put,b.patch{color:#b45309}b.delete{color:#b91c1c}
b{display:inline-block;width:4.2rem;font-size:.8rem}table{border-collapse:collapse;width:100%}
td{border-top:1px solid #8883;padding:.25rem .5rem;vertical-align:top}small{opacity:.75}
"""


def add_docs(api: FastAPI) -> None:
    """Serve the page at `/docs`; it is written once, when it is first asked for."""
    pages: list[bytes] = []

    async def docs(_request: Request) -> Response:
        if not pages:
            pages.append(_page(api.openapi()).encode())
        return HTMLResponse(
            pages[0],
            headers={"content-security-policy": "default-src 'none'; style-src 'unsafe-inline'"},
        )

    api.add_route("/docs", docs, include_in_schema=False)


def _page(contract: Mapping[str, Any]) -> str:
    tags: dict[str, list[str]] = {}
    for path, calls in contract["paths"].items():
        for method in _METHODS:
            if method in calls:
                call = calls[method]
                tag = (call.get("tags") or ["other"])[0]
                tags.setdefault(tag, []).append(_call(contract, method, path, call))
    title = escape(contract["info"]["title"])
    body = "".join(f"<h2>{escape(tag)}</h2>{''.join(calls)}" for tag, calls in tags.items())
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{title}</title>'
        f'<meta name="viewport" content="width=device-width"><style>{_STYLE}</style>'
        f"<h1>{title}</h1><p>{escape(contract['info'].get('description', ''))}</p>"
        f'<p>The same as a document for programs: <a href="/openapi.json">openapi.json</a>.</p>'
        f"{body}</html>"
    )


def _call(contract: Mapping[str, Any], method: str, path: str, call: Mapping[str, Any]) -> str:
    return (
        f'<details><summary><b class="{method}">{method.upper()}</b><code>{escape(path)}</code> '
        f"<small>{escape(call.get('summary', ''))}</small></summary>"
        f"<p>{escape(call.get('description', ''))}</p>{''.join(_parts(contract, call))}</details>"
    )


def _parts(contract: Mapping[str, Any], call: Mapping[str, Any]) -> Iterator[str]:
    parameters = call.get("parameters", [])
    if parameters:
        rows = (
            f"<tr><td><code>{escape(p['name'])}</code><td>{p['in']}"
            f"{', required' if p.get('required') else ''}<td>{escape(p.get('description', ''))}"
            for p in parameters
        )
        yield f"<table>{''.join(rows)}</table>"
    body = call.get("requestBody", {}).get("content", {}).get("application/json")
    if body is not None:
        yield f"<h4>Request</h4>{_schema(contract, body['schema'])}"
    for status, response in sorted(call.get("responses", {}).items()):
        for media, content in response.get("content", {}).items():
            if "problem" in media:
                for code, example in content.get("examples", {}).items():
                    yield (
                        f"<div><code>{status} {escape(code)}</code> "
                        f"<small>{escape(example['summary'])}</small></div>"
                    )
            elif content.get("schema"):
                yield f"<h4>{status}</h4>{_schema(contract, content['schema'])}"


def _schema(contract: Mapping[str, Any], schema: Mapping[str, Any]) -> str:
    name = schema.get("$ref", "").rpartition("/")[2]
    shown = contract["components"]["schemas"].get(name, schema)
    text = json.dumps(shown, ensure_ascii=False, indent=1)
    return (
        f"<details><summary>{escape(name or 'value')}</summary><pre>{escape(text)}</pre></details>"
    )
