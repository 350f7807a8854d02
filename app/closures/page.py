"""A closure's certificate as a page to print. Every value is escaped; nothing is loaded."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from app.closures.certificate import Certificate

ROWS_MAX: Final = 500
"""Of what is left: a page of more is for nobody; all of it is in the signed document."""

_FEN_A_YUAN: Final = 100
_STATUS: Final = {
    "closed": "已结清 Closed",
    "closed_with_shortfall": "资金不足·余额登记为债权 Closed with a shortfall",
}
_KINDS: Final = {"stored_value": "储值卡", "count": "计次卡", "period": "期限卡"}
_WHY: Final = {
    "account_needed": "待持卡人提供同名账户",
    "disputed": "争议中",
    "earned": "商户已核销款",
    "funds_nothing": "无主来款",
    "hold": "司法冻结",
    "interest": "未分配利息",
    "not_answered_by_the_bank": "银行未回执",
    "not_refunded": "未退",
    "rest_of_a_refund": "退款余额",
    "set_aside": "争议退款留存",
    "shortfall": "资金不足·未付债权",
    "to_be_paid": "待付",
    "without_a_receipt": "退回款·归属待定",
}
_STYLE: Final = """
:root { color-scheme: light; }
body { font: 15px/1.55 "Noto Serif CJK SC", "Songti SC", SimSun, Georgia, serif; color: #1b1b1b;
  max-width: 46rem; margin: 2.5rem auto; padding: 0 1.5rem; }
h1 { font-size: 1.7rem; letter-spacing: .08em; text-align: center; margin: 0 0 .2rem; }
h2 { font-size: 1.05rem; margin: 2rem 0 .5rem; }
.sub { text-align: center; color: #555; margin: 0 0 2rem; }
table { border-collapse: collapse; width: 100%; }
th, td { border-bottom: 1px solid #ccc; padding: .35rem .5rem; text-align: left;
  vertical-align: top; overflow-wrap: anywhere; }
thead th { border-bottom: 2px solid #1b1b1b; }
.n { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
.head th { width: 14rem; font-weight: normal; color: #555; }
.total td { font-weight: bold; border-bottom: none; }
footer { margin-top: 2.5rem; font-size: .8rem; color: #444; overflow-wrap: anywhere; }
code { font: .78rem ui-monospace, Menlo, Consolas, monospace; }
@media print { body { margin: 0; max-width: none; font-size: 11pt; }
  tr { break-inside: avoid; } thead { display: table-header-group; } @page { margin: 18mm; } }
"""


def page_of(certificate: Certificate) -> str:
    """Write the page: a whole document in one file, for a screen and for paper."""
    said = certificate.read()
    merchant, closure = said["merchant"], said["closure"]
    title = f"{merchant['name']} 停业清退证明"
    return f"""<!doctype html>
<html lang="zh-CN">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{escape(title)}</title>
<style>{_STYLE}</style>
</head>
<body>
<h1>预付资金清退证明</h1>
<p class="sub">Certificate of closure No. {escape(str(said["number"]))}</p>
{
        _facts(
            ("商户 Merchant", merchant["name"]),
            ("统一社会信用代码 Licence", merchant["licence_number"]),
            ("清退编号 Closure", closure["id"]),
            ("原因 Reason", closure["reason"]),
            ("结果 Result", _STATUS.get(closure["status"], closure["status"])),
            ("停业 Closing since", _moment(closure["closing_at"])),
            ("开始退款 Refunding since", _moment(closure["started_at"])),
            ("签发 Issued", _moment(said["issued_at"])),
        )
    }
<h2>退款 Refunds</h2>
{_refunds(said)}
<h2>托管账户 Custody</h2>
{
        _facts(
            ("余额 At the bank", yuan(said["custody_amount"])),
            ("未经指令划出 Owed by the bank", yuan(said["bank_claim_amount"])),
            ("不足 Shortfall", yuan(said["shortfall_amount"])),
        )
    }
{_left(said)}
{_uncovered(said["uncovered_reversals"])}
{_footer(certificate)}
</body>
</html>
"""


def yuan(amount: int) -> str:
    """Show an amount in yuan, exactly."""
    sign, amount = ("-", -amount) if amount < 0 else ("", amount)
    return f"{sign}¥{amount // _FEN_A_YUAN:,}.{amount % _FEN_A_YUAN:02d}"


def _moment(text: str | None) -> str:
    """Show a moment to the minute, Beijing time, as people write it."""
    return "" if text is None else text[:16].replace("T", " ")


def _facts(*facts: tuple[str, object]) -> str:
    rows = "".join(
        f"<tr><th>{escape(name)}</th><td>{escape(str(value or '—'))}</td></tr>"
        for name, value in facts
    )
    return f'<table class="head">{rows}</table>'


def _refunds(said: Mapping[str, Any]) -> str:
    refunded = said["refunded"]
    rows = [
        (str(_KINDS.get(kind["kind"], kind["kind"])), kind["card_count"], kind["refund_amount"])
        for kind in refunded["kinds"]
    ]
    body = "".join(_row(_plain(name), _number(f"{count:,}"), _money(sum_))
                   for name, count, sum_ in rows)  # fmt: skip
    total = _row(
        _plain("合计 Total"), _number(f"{refunded['card_count']:,}"), _money(refunded["amount"])
    )
    paid = f"{refunded['paid_count']:,} 笔 / {yuan(refunded['paid_amount'])}"
    head = _head(("卡种 Cards", ""), ("张 Count", "n"), ("退款 Refunded", "n"))
    return (
        f'<table>{head}<tbody>{body}</tbody><tbody class="total">{total}</tbody></table>'
        f"<p>已付 Paid: {escape(paid)}</p>"
    )


def _left(said: Mapping[str, Any]) -> str:
    left: Sequence[Mapping[str, Any]] = said["left"]
    if not left:
        return "<p>托管账户已清零。 Nothing is left.</p>"
    body = "".join(
        _row(
            _plain(str(_WHY.get(one["why"], one["why"]))),
            f"<td><code>{escape(one['subject_id'])}</code></td>",
            _plain(str(one["holder"] or "—")),
            _money(one["amount"]),
        )
        for one in left[:ROWS_MAX]
    )
    more = len(left) - ROWS_MAX
    told = f"<p>另有 {more:,} 项见签名文件 … and {more:,} more in the signed document.</p>"
    head = _head(("原因 Why", ""), ("名下 Name", ""), ("持卡人 Holder", ""), ("金额 Amount", "n"))
    total = _row(_plain("合计 Total"), "<td></td>", "<td></td>", _money(said["left_amount"]))
    return (
        "<h2>余额明细 What is left, by name</h2>"
        f'<table>{head}<tbody>{body}</tbody><tbody class="total">{total}</tbody></table>'
        f"{told if more > 0 else ''}"
    )


def _uncovered(uncovered: Sequence[Mapping[str, Any]]) -> str:
    if not uncovered:
        return ""
    body = "".join(
        _row(
            f"<td><code>{escape(one['charge_id'])}</code></td>",
            _plain(str(one["holder"] or "—")),
            _money(one["amount"]),
            _money(one["kept_amount"]),
        )
        for one in uncovered[:ROWS_MAX]
    )
    head = _head(
        ("消费 Use", ""), ("持卡人 Holder", ""), ("金额 Amount", "n"), ("其中留存 Kept", "n")
    )
    return (
        "<h2>对商户的债权 Claims on the merchant: uses taken back that it does not cover</h2>"
        f"<table>{head}<tbody>{body}</tbody></table>"
    )


def _footer(certificate: Certificate) -> str:
    signed = certificate.signature_facts()
    return (
        "<footer><p>以签名文件为准。 Made from the signed document, which counts.</p>"
        f"<p>SHA-256 <code>{escape(signed['sha256'])}</code></p>"
        f"<p>Ed25519 <code>{escape(signed['signature'])}</code> "
        f"({escape(signed['key_id'])})</p></footer>"
    )


def _head(columns: tuple[str, str], *others: tuple[str, str]) -> str:
    cells = "".join(f'<th class="{kind}">{escape(name)}</th>' for name, kind in (columns, *others))
    return f"<thead><tr>{cells}</tr></thead>"


def _row(*cells: str) -> str:
    return f"<tr>{''.join(cells)}</tr>"


def _plain(text: str) -> str:
    return f"<td>{escape(text)}</td>"


def _number(text: str) -> str:
    return f'<td class="n">{escape(text)}</td>'


def _money(amount: int) -> str:
    return _number(yuan(amount))
