"""Claims and their cases as consumers, merchants and operators see them: over HTTP."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from app.cases import rulings
from app.cases import service as cases
from app.cases.routes import desk_of
from app.evidence.verification import verify
from tests.cluster import Cluster
from tests.contract.world import Side, World, open_world, unique

CLAIM = {"reason": "health", "text": "医生不建议运动"}
DENIES = {"agree": False, "text": "门店照常营业"}


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def world(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[World]:
    urls = await cluster.clone("cases")
    async with open_world(urls, tmp_path_factory.mktemp("data")) as opened:
        yield opened
    report = await verify(urls.database_url)
    assert not report.findings, "\n".join(map(str, report.findings))
    await cluster.drop(urls.name)


async def claimed(world: World, side: Side, body: Any = None, kind: str = "stored_value") -> Any:
    card_id = await world.card(side, kind)
    return await world.made(f"/v1/me/cards/{card_id}/refunds", side.consumer, body or CLAIM)


async def case_of(world: World, side: Side, refund: Any) -> Any:
    return await world.got(f"/v1/cases/{refund['case_id']}", side.merchant)


async def refund_of(world: World, side: Side, refund: Any) -> Any:
    return await world.got(f"/v1/me/refunds/{refund['id']}", side.consumer)


async def card_of(world: World, side: Side, refund: Any) -> Any:
    return await world.got(f"/v1/me/cards/{refund['card_id']}", side.consumer)


def path_of(refund: Any, step: str) -> str:
    return f"/v1/cases/{refund['case_id']}/{step}"


async def decided(world: World, refund: Any, **decision: Any) -> Any:
    """Let two persons decide; give the case as the approval shows it."""
    body = {"reason": "查证属实", **decision}
    proposed = await world.made(path_of(refund, "decisions"), world.operator, body)
    assert (proposed["status"], proposed["result"]) == ("proposed", None)
    approve = f"/v1/approvals/{proposed['id']}/approve"
    own = await world.call("POST", approve, world.operator)
    assert (own.status_code, own.json()["code"]) == (409, "own_proposal")
    done = await world.made(approve, world.operator2)
    assert done["status"] == "approved"
    return done["result"]


async def advance(world: World, days: int) -> None:
    body = {"seconds": days * 86_400}
    assert (await world.call("POST", "/v1/sandbox/clock/advance", body=body, key="")).is_success


async def test_a_preview_says_that_people_judge_and_the_claim_opens_a_case(world: World) -> None:
    side = world.a
    card_id = await world.card(side)
    preview = await world.made(
        f"/v1/me/cards/{card_id}/refunds/preview", side.consumer, {"reason": "health"}, key=""
    )
    assert (preview["needs_case"], preview["id"], preview["case_id"]) == (True, None, None)

    refund = await world.made(f"/v1/me/cards/{card_id}/refunds", side.consumer, CLAIM)

    assert (refund["status"], refund["class"]) == ("case_open", "merchant_fault")
    assert refund["case_id"].startswith("case_")
    assert refund["payee"] is None
    assert (await card_of(world, side, refund))["status"] == "refunding"
    case = await case_of(world, side, refund)
    assert (case["kind"], case["status"], case["reason"]) == ("refund_claim", "open", "health")
    assert (case["card_id"], case["refund_id"]) == (card_id, refund["id"])
    assert (case["charge_id"], case["answer"], case["decision"]) == (None, None, None)
    assert case["text"] == CLAIM["text"]
    assert case["answer_due_on"] is not None
    own = await world.got(f"/v1/me/cases/{refund['case_id']}", side.consumer)
    assert own == case
    assert await world.got(f"/v1/cases/{refund['case_id']}", world.operator) == case


async def test_the_merchants_agreement_is_a_decided_refund(world: World) -> None:
    side = world.a
    refund = await claimed(world, side)

    case = await world.made(path_of(refund, "answers"), side.merchant, {"agree": True})

    assert (case["status"], case["answer"]["agree"]) == ("decided", True)
    assert (case["decision"]["decision"], case["decision"]["by"]) == ("upheld", "merchant")
    done = await refund_of(world, side, refund)
    assert (done["status"], done["amount"]) == ("decided", refund["amount"])
    assert done["payee"]["account_number"] == "****3445"
    again = await world.made(path_of(refund, "answers"), side.merchant, {"agree": True})
    assert again == case
    other = await world.call("POST", path_of(refund, "answers"), side.merchant, DENIES)
    assert (other.status_code, other.json()["code"]) == (409, "case_state")


async def test_two_persons_decide_where_the_merchant_disagrees(world: World) -> None:
    side = world.a
    refund = await claimed(world, side)
    answered = await world.made(path_of(refund, "answers"), side.merchant, DENIES)
    assert (answered["status"], answered["answer"]["text"]) == ("answered", DENIES["text"])

    result = await decided(world, refund, decision="upheld")

    assert result == await world.got(f"/v1/cases/{refund['case_id']}", world.operator)
    assert result["decision"]["reason"] == "查证属实"
    assert result["decision"]["by"] == "two_persons"
    assert (await refund_of(world, side, refund))["status"] == "decided"
    # What people wrote is not kept with the approval, where nobody could erase it.
    approvals = await world.got("/v1/approvals?status=approved", world.operator)
    kept = approvals["data"][0]["result"]
    assert (kept["text"], kept["answer"]["text"], kept["decision"]["reason"]) == (None, None, None)


async def test_a_rejected_claim_offers_the_consumers_own_choice(world: World) -> None:
    side = world.a
    refund = await claimed(world, side, {"reason": "service_unavailable"})
    before = await case_of(world, side, refund)
    await decided(world, refund, decision="rejected")

    done = await refund_of(world, side, refund)

    assert before["text"] is None
    assert (done["status"], done["alternative"]) == ("rejected", "consumer_choice")
    assert (await card_of(world, side, refund))["status"] == "active"
    body = await world.refund_body(side, refund["card_id"])
    chosen = await world.made(f"/v1/me/cards/{refund['card_id']}/refunds", side.consumer, body)
    assert chosen["status"] == "decided"


async def test_a_withdrawn_claim_leaves_the_card_as_it_was(world: World) -> None:
    side = world.a
    refund = await claimed(world, side, kind="count")
    path = f"/v1/me/refunds/{refund['id']}/withdraw"

    done = await world.made(path, side.consumer)

    assert (done["status"], done["alternative"]) == ("withdrawn", None)
    assert await world.made(path, side.consumer) == done
    case = await case_of(world, side, refund)
    assert (case["status"], case["decision"]["by"]) == ("decided", "consumer")
    assert (await card_of(world, side, refund))["status"] == "active"


async def test_a_minors_claim_needs_what_was_used(world: World) -> None:
    side = world.a
    refund = await claimed(world, side, {"reason": "minor"})
    path = path_of(refund, "decisions")
    body: dict[str, object] = {"decision": "upheld", "reason": "身份证件"}

    lacking = await world.call("POST", path, world.operator, body)
    assert (lacking.status_code, lacking.json()["errors"][0]["pointer"]) == (422, "/used_amount")
    wrong = {**body, "decision": "rejected", "used_amount": 1}
    assert (await world.call("POST", path, world.operator, wrong)).status_code == 422
    result = await decided(world, refund, decision="upheld", used_amount=100_00)

    assert result["used_amount"] == 100_00
    done = await refund_of(world, side, refund)
    assert (done["class"], done["amount"]) == ("agreed", refund["amount"] - 100_00)
    assert done["residue_amount"] == 100_00
    assert done["inputs"]["used_amount"] == 100_00


async def test_what_is_asked_badly_is_refused_and_says_where(world: World) -> None:
    side = world.a
    refund = await claimed(world, side)
    answers, decisions = path_of(refund, "answers"), path_of(refund, "decisions")
    for who, path, body in (
        (side.merchant, answers, {}),
        (side.merchant, answers, {"agree": "yes"}),
        (side.merchant, answers, {"agree": 1}),
        (side.merchant, answers, {"agree": True, "text": ""}),
        (side.merchant, answers, {"agree": True, "text": "长" * 2001}),
        (side.merchant, answers, {"agree": True, "more": 1}),
        (world.operator, decisions, {"decision": "upheld"}),
        (world.operator, decisions, {"decision": "withdrawn", "reason": "r"}),
        (world.operator, decisions, {"decision": "upheld", "reason": "r", "used_amount": -1}),
    ):
        answer = await world.call("POST", path, who, body)
        assert (answer.status_code, answer.json()["code"]) == (422, "invalid_request"), body
    for missing in ("case_01h455vb4pex5vsknk084sn02q", "nothing", refund["id"]):
        got = await world.call("GET", f"/v1/cases/{missing}", world.operator)
        assert got.status_code == 404
    assert (await case_of(world, side, refund))["status"] == "open"


async def test_lists_show_each_what_is_theirs(world: World) -> None:
    side, other = world.a, world.b
    mine, theirs = await claimed(world, side), await claimed(world, other)

    shown = await world.got("/v1/cases?status=open&kind=refund_claim&limit=200", side.merchant)
    ids = [case["id"] for case in shown["data"]]
    assert mine["case_id"] in ids
    assert theirs["case_id"] not in ids
    every = await world.got("/v1/cases?limit=2", world.operator)
    assert [case["id"] for case in every["data"]] == [theirs["case_id"], mine["case_id"]]
    page = await world.got(f"/v1/cases?limit=2&cursor={every['next_cursor']}", world.operator)
    assert theirs["case_id"] not in [case["id"] for case in page["data"]]
    own = await world.got("/v1/me/cases?status=open", other.consumer)
    assert [case["id"] for case in own["data"]] == [theirs["case_id"]]
    for who, path in (
        (other.merchant, f"/v1/cases/{mine['case_id']}"),
        (other.consumer, f"/v1/me/cases/{mine['case_id']}"),
    ):
        assert (await world.call("GET", path, who)).status_code == 404
    narrowed = await world.call("GET", "/v1/cases", side.narrowed)
    assert narrowed.status_code == 403
    bad = await world.call("GET", "/v1/cases?status=lost", world.operator)
    assert bad.status_code == 422


async def test_the_holder_sees_an_answer_without_who_gave_it(world: World) -> None:
    side = world.a
    refund = await claimed(world, side)
    answered = await world.made(path_of(refund, "answers"), side.merchant, DENIES)

    own = await world.got(f"/v1/me/cases/{refund['case_id']}", side.consumer)

    assert answered["answer"]["by"] is not None
    assert own["answer"] == {**answered["answer"], "by": None}


async def test_a_key_repeats_what_it_did(world: World) -> None:
    side = world.a
    refund = await claimed(world, side)
    path, key = path_of(refund, "answers"), unique("k")
    first = await world.call("POST", path, side.merchant, DENIES, key=key)
    proposal = {"decision": "upheld", "reason": "查证属实"}
    proposing = unique("k")
    proposed = [
        await world.call(
            "POST", path_of(refund, "decisions"), world.operator, proposal, key=proposing
        )
        for _ in range(2)
    ]
    await world.made(f"/v1/approvals/{proposed[0].json()['id']}/approve", world.operator2)

    again = await world.call("POST", path, side.merchant, DENIES, key=key)

    assert again.json() == first.json()
    assert again.headers["idempotency-replayed"] == "true"
    assert proposed[0].json() == proposed[1].json()
    assert proposed[1].headers["idempotency-replayed"] == "true"
    other = await world.call("POST", path, side.merchant, {"agree": True}, key=key)
    assert (other.status_code, other.json()["code"]) == (422, "idempotency_key_reused")


async def test_a_withdrawal_and_a_decision_at_once_leave_one_of_them(world: World) -> None:
    side = world.a
    refund = await claimed(world, side)
    body = {"decision": "upheld", "reason": "查证属实"}
    proposed = await world.made(path_of(refund, "decisions"), world.operator, body)
    await world.made(f"/v1/me/refunds/{refund['id']}/withdraw", side.consumer)

    late = await world.call("POST", f"/v1/approvals/{proposed['id']}/approve", world.operator2)

    assert (late.status_code, late.json()["code"]) == (409, "case_state")
    assert (await refund_of(world, side, refund))["status"] == "withdrawn"


async def test_a_proposal_ends_when_its_case_was_decided_otherwise(world: World) -> None:
    side = world.a
    agreed, other = await claimed(world, side), await claimed(world, side)
    body = {"decision": "rejected", "reason": "查无实据"}
    overtaken = await world.made(path_of(agreed, "decisions"), world.operator, body)
    waiting = await world.made(path_of(other, "decisions"), world.operator, body)
    await world.made(path_of(agreed, "answers"), side.merchant, {"agree": True})
    db = world.served.services.db

    assert await rulings.end_overtaken(db) >= 1
    assert await rulings.end_overtaken(db) == 0

    ended = await world.got(f"/v1/approvals/{overtaken['id']}", world.operator)
    assert (ended["status"], ended["decided_by"], ended["result"]) == ("rejected", "anxin", None)
    late = await world.call("POST", f"/v1/approvals/{overtaken['id']}/approve", world.operator2)
    assert (late.status_code, late.json()["code"]) == (409, "approval_decided")
    done = await world.made(f"/v1/approvals/{waiting['id']}/approve", world.operator2)
    assert (done["status"], done["result"]["decision"]["decision"]) == ("approved", "rejected")
    assert await rulings.end_overtaken(db) == 0


async def test_silence_is_agreement_from_the_day_after(world: World) -> None:
    """Last: it moves the clock of all that is here."""
    side = world.a
    refund = await claimed(world, side, {"reason": "obligations_transferred"})
    services = world.served.services
    await advance(world, 20)

    late = await world.call("POST", path_of(refund, "answers"), side.merchant, DENIES)
    assert (late.status_code, late.json()["code"]) == (409, "deadline_passed")
    assert await cases.decide_silent(desk_of(services)) > 0

    case = await case_of(world, side, refund)
    assert (case["status"], case["answer"]) == ("decided", None)
    assert (case["decision"]["decision"], case["decision"]["by"]) == ("upheld", "silence")
    assert (await refund_of(world, side, refund))["status"] == "decided"
