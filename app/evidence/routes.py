"""`/v1/me/cards/{card_id}/evidence`."""

from fastapi.responses import StreamingResponse

from app.api.dependencies import ConsumerDep, ServicesDep
from app.api.problems import problems
from app.api.routing import api_router
from app.api.schemas import CardId
from app.errors import NotFound
from app.evidence.export import Issuer, issue_evidence
from app.evidence.schemas import SignedEvidenceRead
from app.ids import Prefix, parse

router = api_router("/v1", tag="evidence")


@router.get(
    "/me/cards/{card_id}/evidence",
    summary="Export a card's evidence",
    response_model=SignedEvidenceRead,
    responses=problems(NotFound),
)
async def read_evidence(
    card_id: CardId, consumer: ConsumerDep, services: ServicesDep
) -> StreamingResponse:
    """Give contract, terms, payment, every use with its proof, and their places in the chain.

    Signed, and as of one moment; `anxin verify-evidence` checks the file without the service.
    """
    issuer = Issuer(services.db, services.sealer, services.signer)
    issued = await issue_evidence(issuer, consumer.consumer, parse(Prefix.CARD, card_id))
    return StreamingResponse(
        issued.chunks(),
        media_type="application/json",
        headers={
            "content-length": str(issued.size),
            "content-disposition": f'attachment; filename="{card_id}.evidence.json"',
            "cache-control": "no-store",
        },
    )
