"""A card's evidence: it is true as issued, and no part of it can be changed unnoticed."""

import json
import re
from collections.abc import AsyncIterator, Callable
from typing import NamedTuple

import pytest
import pytest_asyncio
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from app.db.signing import Ed25519Signer
from app.errors import NotFound
from app.evidence.export import issue_evidence
from app.evidence.offline import EvidenceUnreadable, verify_evidence
from tests.builder import PAYER, a_consumer
from tests.cluster import Cluster, DatabaseUrls
from tests.evidence.telling import (
    KEYS,
    SIGNER,
    Told,
    changed,
    evidence_of,
    issuing,
    leaves,
    resigned,
    tell,
)

CARDS = (
    *("value", "listed", "count", "period", "contested"),
    *("frozen", "passed", "returned", "expired"),
)

SIGNED_ONLY = {
    "balances/cooling_off_ends_on",
    "balances/face_held_amount",
    "balances/on_hold",
    "balances/sessions_held",
    "checkpoint/chain_hash",
    "checkpoint/created_at",
    "checkpoint/id",
    "checkpoint/key_id",
    "checkpoint/seq",
    "checkpoint/sha256",
    "checkpoint/signature",
    "contract/method",
    "contract/version",
    "lines/*/store/name",
    "lines/*/use/dispute/case_id",
    "lines/*/use/dispute/id",
    "lines/*/use/dispute/status",
    "lines/*/use/reversal/amount",
    "lines/*/use/reversal/reason",
    "lines/*/use/reversal/requested_at",
    "lines/*/use/reversal/status",
    "merchant/id",
    "merchant/licence_number",
    "merchant/name",
    "payment/bank",
    "payment/bank_reference",
    "payment/custody_account",
    "payment/payer_account_number",
    "payment/payer_name",
    "payment/payment_reference",
    "payment/received_at",
    "terms/product_name",
}
"""What neither the chain nor the arithmetic covers: there the service's word is all there is."""


class _Balances(NamedTuple):
    seq: int
    debit_balance: int
    credit_balance: int
    amount: int


class Story(NamedTuple):
    urls: DatabaseUrls
    told: Told
    documents: dict[str, bytes]


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def story(cluster: Cluster) -> AsyncIterator[Story]:
    """Give cards to which a bit of everything happened, and the evidence of each."""
    urls = await cluster.clone("evidence")
    told = await tell(urls)
    async with issuing(urls) as issuer:
        documents = {name: await evidence_of(issuer, told, name) for name in CARDS}
    yield Story(urls, told, documents)
    await cluster.drop(urls.name)


@pytest.mark.parametrize("card", CARDS)
async def test_what_was_issued_is_true(story: Story, card: str) -> None:
    verdict = verify_evidence(story.documents[card], KEYS)

    assert verdict.faults == []
    assert verdict.evidence is not None
    assert verdict.key_id == SIGNER.key_id


async def test_the_story_has_every_kind_of_use(story: Story) -> None:
    lines = [
        line
        for content in story.documents.values()
        for line in json.loads(content)["evidence"]["lines"]
    ]
    proofs = [line["use"]["confirmation"] for line in lines if line["use"]]

    of_life = {"frozen", "unfrozen", "lost", "replaced", "reactivated", "transferred"}
    assert {line["kind"] for line in lines} == {"funded", "used", "reversed"} | of_life
    assert {proof["method"] for proof in proofs} == {"app", "consumer_code"}
    assert any(len(proof["draws"]) > 1 for proof in proofs)
    assert any(proof["description"] for proof in proofs)
    assert any(len(line["entry"]["text"].split("|")) == 7 for line in lines), "one moves nothing"
    reversals = [line["use"]["reversal"] for line in lines if line["use"]]
    assert {reversal["status"] for reversal in reversals if reversal} == {"done", "pending"}
    disputes = [line["use"]["dispute"] for line in lines if line["use"]]
    became = {dispute["status"] for dispute in disputes if dispute}
    assert became == {"open", "upheld", "dismissed"}


async def test_a_later_holder_is_not_told_what_was_written_for_the_one_before(
    story: Story,
) -> None:
    evidence = json.loads(story.documents["passed"])["evidence"]
    first, own = [line["use"]["confirmation"] for line in evidence["lines"] if line["use"]]

    assert first["consumer"] != own["consumer"] == evidence["holder"]["consumer"]
    assert (first["description"], first["description_salt"]) == (None, None)
    assert first["description_commitment"] is not None
    assert evidence["terms"]["holder_salt"] is None


@pytest.mark.parametrize("card", CARDS)
async def test_no_leaf_can_be_changed_unnoticed(story: Story, card: str) -> None:
    document = json.loads(story.documents[card])
    unnoticed: list[str] = []
    for place, value, set_to in list(leaves(document)):
        set_to(changed(place, value))
        if not verify_evidence(json.dumps(document).encode(), KEYS).count:
            unnoticed.append(place)
        set_to(value)

    assert unnoticed == []
    assert verify_evidence(json.dumps(document).encode(), KEYS).count == 0


async def test_even_the_signer_can_change_only_what_no_hash_and_no_sum_covers(
    story: Story,
) -> None:
    unnoticed: set[str] = set()
    for content in story.documents.values():
        document = json.loads(content)
        for place, value, set_to in list(leaves(document["evidence"])):
            set_to(changed(place, value))
            if not verify_evidence(resigned(document), KEYS).count:
                unnoticed.add(re.sub(r"/\d+", "/*", place)[1:])
            set_to(value)

    assert sorted(unnoticed) == sorted(SIGNED_ONLY)


async def test_another_key_is_named_whatever_it_is_called(story: Story) -> None:
    other = Ed25519Signer(Ed25519PrivateKey.generate())
    content = story.documents["value"]

    unknown = verify_evidence(content, {other.key_id: other.private_key.public_key()})
    forged = verify_evidence(content, {SIGNER.key_id: other.private_key.public_key()})

    assert {fault.place for fault in unknown.faults} == {
        "/signature/key_id",
        "/evidence/head/key_id",
    }
    assert {fault.place for fault in forged.faults} == {
        "/signature/signature",
        "/evidence/head/signature",
    }


Lines = list[dict[str, object]]

_CHANGES: dict[str, Callable[[Lines], Lines]] = {
    "cut off": lambda lines: lines[:-1],
    "left out": lambda lines: [lines[0], *lines[2:]],
    "repeated": lambda lines: [*lines, lines[-1]],
    "reversed": lambda lines: lines[::-1],
    "emptied": lambda _: [],
}


@pytest.mark.parametrize("change", _CHANGES.values(), ids=_CHANGES)
async def test_no_line_can_be_left_out_added_or_moved_even_by_the_signer(
    story: Story, change: Callable[[Lines], Lines]
) -> None:
    document = json.loads(story.documents["value"])
    document["evidence"]["lines"] = change(document["evidence"]["lines"])

    assert verify_evidence(resigned(document), KEYS).count > 0


async def test_blanks_and_the_order_of_keys_do_not_matter(story: Story) -> None:
    document = json.loads(story.documents["value"])
    turned = json.dumps(dict(reversed(document.items())), indent=4).encode()

    assert verify_evidence(turned, KEYS).count == 0


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b"\xff\xfe",
        b'{"evidence": {}}',
        b'{"evidence": {"a": 1, "a": 1}, "signature": {}}',
        b'{"evidence": {"a": 1.0}, "signature": {}}',
        b'{"evidence": {"a": NaN}, "signature": {}}',
        b'{"evidence": {"a": "\\ud800"}, "signature": {}}',
        b"[" * 100_000,
    ],
)
def test_what_is_no_evidence_is_said_to_be_unreadable(content: bytes) -> None:
    with pytest.raises(EvidenceUnreadable):
        verify_evidence(content, KEYS)


@pytest.mark.parametrize(
    "content",
    [
        b'{"evidence": {}, "signature": {}}',
        b'{"evidence": null, "signature": null}',
        b'{"evidence": [], "signature": "x"}',
    ],
)
def test_what_is_no_whole_evidence_is_not_true(content: bytes) -> None:
    assert verify_evidence(content, KEYS).count > 0


async def test_another_consumer_finds_no_such_card(story: Story) -> None:
    async with issuing(story.urls) as issuer:
        with pytest.raises(NotFound):
            await issue_evidence(issuer, a_consumer().consumer, story.told.cards["value"])


async def test_the_payer_is_masked(story: Story) -> None:
    content = story.documents["value"].decode()
    payment = json.loads(content)["evidence"]["payment"]

    assert PAYER.account_number not in content
    assert PAYER.name not in content
    assert payment["payer_account_number"] == f"****{PAYER.account_number[-4:]}"
    assert payment["payer_name"] == f"*{PAYER.name[-1]}"


async def test_no_entry_says_what_its_merchant_has(story: Story) -> None:
    """Beside the payment, whose amount is the card's own, no balance of the merchant's is shown."""
    async with issuing(story.urls) as issuer, issuer.db.snapshot() as tx:
        rows = await tx.fetch(
            _Balances, "SELECT seq, debit_balance, credit_balance, amount FROM transfer"
        )
    balances = {row.seq: {row.debit_balance, row.credit_balance} - {row.amount} for row in rows}
    shown = 0
    for content in story.documents.values():
        for line in json.loads(content)["evidence"]["lines"]:
            fields = line["entry"]["text"].split("|")
            if len(fields) == 7:
                continue
            versions = {fields[6], fields[7]}
            others = {str(value) for value in balances[line["seq"]] if value > 1_000} - versions
            assert not others & set(fields), line["entry"]["text"]
            shown += 1
    assert shown


_CARD = "card_id = '{card}'"
_CHARGE = f"charge_id = (SELECT subject_id FROM card_entry WHERE {_CARD} AND entry_no = 2)"
_SEQ = f"seq = (SELECT seq FROM card_entry WHERE {_CARD} AND entry_no = 2)"
_TAMPERINGS = [
    ("UPDATE card_product SET contract_text = contract_text || '。'", "contract/text"),
    (f"UPDATE card SET paid_amount = paid_amount + 1 WHERE {_CARD}", "terms/terms_hash"),
    (f"UPDATE card SET list_price_amount = 1 WHERE {_CARD}", "terms/terms_hash"),
    (f"UPDATE card SET released_amount = 1 WHERE {_CARD}", "balances/released_amount"),
    (f"UPDATE card SET face_used_amount = 1 WHERE {_CARD}", "balances/face_used_amount"),
    (f"UPDATE card SET refunded_amount = 1 WHERE {_CARD}", "balances/refunded_amount"),
    ("UPDATE purchase SET accepted_at = now()", "terms/terms_hash"),
    ("UPDATE purchase SET issuer = 'https://else.example'", "holder/consumer"),
    (f"UPDATE receipt SET amount = 1 WHERE {_CARD}", "payment/amount"),
    (f"DELETE FROM receipt WHERE {_CARD}", "payment"),
    (f"DELETE FROM card_entry WHERE {_CARD} AND entry_no = 3", "lines/2/no"),
    (f"DELETE FROM card_entry WHERE {_CARD}", "lines"),
    (
        f"UPDATE card_entry SET amount = amount + 1 WHERE {_CARD} AND entry_no = 2",
        "lines/1/entry/content_hash",
    ),
    (
        f"UPDATE card_entry SET custody_amount = 0 WHERE {_CARD} AND entry_no = 2",
        "lines/1/custody_amount",
    ),
    (
        f"UPDATE card_entry SET store_id = gen_random_uuid() WHERE {_CARD} AND entry_no = 2",
        "lines/1/store/id",
    ),
    (f"DELETE FROM charge WHERE {_CHARGE}", "lines/1/use"),
    (f"UPDATE charge SET description = '烫发' WHERE {_CHARGE}", "lines/1/use/confirmation/hash"),
    (f"UPDATE charge SET consumer = gen_random_uuid() WHERE {_CHARGE}",
     "lines/1/use/confirmation/consumer"),
    (f"UPDATE charge SET confirmation_method = 'app' WHERE {_CHARGE}",
     "lines/1/use/confirmation/hash"),
    (f"UPDATE charge SET code_hash = sha256('') WHERE {_CHARGE}", "lines/1/use/confirmation/hash"),
    (f"UPDATE charge SET status = 'confirmed' WHERE {_CHARGE}", "lines/1/use/status"),
    (f"UPDATE transfer SET amount = 1 WHERE {_SEQ}", "lines/1/entry/chain_hash"),
    (f"UPDATE transfer SET recorded_at = now() WHERE {_SEQ}", "lines/1/entry/text"),
    (f"UPDATE transfer SET chain_hash = sha256('') WHERE {_SEQ}", "lines/1/entry/chain_hash"),
    (f"DELETE FROM transfer WHERE {_SEQ}", "lines/1/entry"),
]  # fmt: skip


@pytest.mark.parametrize(("statement", "place"), _TAMPERINGS)
async def test_tampering_in_the_database_shows_in_what_is_issued_then(
    cluster: Cluster, story: Story, statement: str, place: str
) -> None:
    made = await cluster.clone("tampered", template=story.urls.name)
    await cluster.execute(
        "SET session_replication_role = replica",
        statement.format(card=story.told.cards["value"]),
        database=made.name,
    )

    async with issuing(made) as issuer:
        verdict = verify_evidence(await evidence_of(issuer, story.told, "value"), KEYS)

    assert f"/evidence/{place}" in {fault.place for fault in verdict.faults}
    await cluster.drop(made.name)


async def test_issuing_again_gives_the_same(story: Story) -> None:
    async with issuing(story.urls) as issuer:
        again = json.loads(await evidence_of(issuer, story.told, "value"))["evidence"]
    first = json.loads(story.documents["value"])["evidence"]

    for evidence in (first, again):
        del evidence["issued_at"], evidence["head"]["document"], evidence["head"]["signature"]
    assert again == first
