-- Cases that people judge, and disputes of uses.
-- Nothing is deployed yet: the tables are empty, and nothing waits for a lock here.
-- squawk-ignore-file constraint-missing-not-valid, require-concurrent-index-creation, require-concurrent-index-deletion

-- `case` is a reserved word, which every statement of the writer would have to quote.
CREATE TABLE case_file (
    merchant_no integer NOT NULL,
    case_id uuid NOT NULL,
    kind text NOT NULL CONSTRAINT case_kind_is_known CHECK (kind IN ('refund_claim', 'dispute')),
    status text NOT NULL
    CONSTRAINT case_status_is_known CHECK (status IN ('open', 'answered', 'decided')),
    -- Whose claim it is.
    consumer uuid NOT NULL,
    card_id uuid,
    charge_id uuid,
    refund_id uuid,
    -- Of a claim one of the words of the contract; of a dispute what the consumer wrote, sealed.
    reason text,
    stated_reason bytea,
    stated_reason_commitment bytea,
    -- What people wrote is sealed; the chain has commitments, salted with this. Erasing a case
    -- is setting its salt and its sealed texts to NULL.
    salt bytea,
    text bytea,
    text_commitment bytea,
    -- The last day on which the merchant can answer. NULL until the calendar reaches that far.
    answer_due_on date,
    answer_agree boolean,
    answer_text bytea,
    answer_text_commitment bytea,
    answered_at timestamptz,
    answered_by text,
    decision text
    CONSTRAINT case_decision_is_known CHECK (decision IN ('upheld', 'rejected', 'withdrawn')),
    decision_reason bytea,
    decision_reason_commitment bytea,
    used_amount bigint CONSTRAINT case_used_amount_is_not_negative CHECK (used_amount >= 0),
    decided_at timestamptz,
    decided_by text CONSTRAINT case_decided_by_is_known CHECK (decided_by IN (
        'two_persons', 'merchant', 'silence', 'consumer', 'closure')),
    -- What the two persons decided by.
    approval_id uuid,
    created_at timestamptz NOT NULL,
    PRIMARY KEY (merchant_no, case_id),
    CONSTRAINT case_is_about_what_its_kind_says CHECK (
        CASE kind
            WHEN 'refund_claim' THEN refund_id IS NOT NULL AND card_id IS NOT NULL
            ELSE charge_id IS NOT NULL AND refund_id IS NULL
        END),
    CONSTRAINT case_reason_is_of_its_kind CHECK (
        (kind = 'refund_claim') = (reason IS NOT NULL)
        AND (kind = 'dispute') = (stated_reason_commitment IS NOT NULL)
        AND (stated_reason IS NULL OR stated_reason_commitment IS NOT NULL)),
    CONSTRAINT case_answer_is_whole CHECK (
        (answer_agree IS NULL) = (answered_at IS NULL)
        AND (answer_agree IS NULL) = (answered_by IS NULL)),
    CONSTRAINT case_decision_is_whole CHECK (
        (decision IS NULL) = (decided_at IS NULL) AND (decision IS NULL) = (decided_by IS NULL)),
    CONSTRAINT case_status_follows_its_steps CHECK (
        CASE status
            WHEN 'open' THEN answer_agree IS NULL AND decision IS NULL
            WHEN 'answered' THEN answer_agree IS FALSE AND decision IS NULL
            ELSE decision IS NOT NULL
        END),
    CONSTRAINT case_decided_by_two_persons_is_approved CHECK (
        (decided_by IS NOT DISTINCT FROM 'two_persons') = (approval_id IS NOT NULL)),
    CONSTRAINT case_silence_is_no_answer CHECK (
        decided_by IS DISTINCT FROM 'silence' OR answer_agree IS NULL),
    CONSTRAINT case_agreed_by_the_merchant CHECK (
        (decided_by IS NOT DISTINCT FROM 'merchant') = (answer_agree IS TRUE))
);

-- A claim has one case, and a use one that is not decided.
CREATE UNIQUE INDEX case_of_refund_once ON case_file (merchant_no, refund_id)
WHERE refund_id IS NOT NULL;
CREATE UNIQUE INDEX case_of_charge_once ON case_file (merchant_no, charge_id)
WHERE charge_id IS NOT NULL AND status <> 'decided';
CREATE INDEX case_of_charge ON case_file (merchant_no, charge_id) WHERE charge_id IS NOT NULL;
CREATE INDEX case_of_card ON case_file (merchant_no, card_id) WHERE card_id IS NOT NULL;
CREATE INDEX case_of_consumer ON case_file (consumer, case_id);
CREATE INDEX case_in_order ON case_file (case_id);
CREATE INDEX case_unanswered ON case_file (answer_due_on, case_id) WHERE status = 'open';

-- Disputes -----------------------------------------------------------------------------------

-- A use has at most one dispute, whose state stands with it: every read of a charge shows it.
ALTER TABLE charge
    ADD COLUMN dispute_id uuid,
    ADD COLUMN dispute_case_id uuid,
    ADD COLUMN dispute_status text
    CONSTRAINT charge_dispute_status_is_known CHECK (
        dispute_status IN ('open', 'upheld', 'dismissed')),
    ADD CONSTRAINT charge_dispute_is_whole CHECK (
        (dispute_id IS NULL) = (dispute_status IS NULL)
        AND (dispute_case_id IS NULL) = (dispute_status IS NULL)),
    -- Upheld, a use is taken back, at once or when payable covers it; dismissed, it is as before.
    ADD CONSTRAINT charge_disputed_as_its_dispute CHECK (
        CASE dispute_status
            WHEN 'open' THEN status = 'disputed' AND reversal_status IS NULL
            WHEN 'upheld' THEN status IN ('disputed', 'reversed') AND reversal_status IS NOT NULL
            WHEN 'dismissed' THEN status IN ('confirmed', 'reversed')
            ELSE status <> 'disputed'
        END);

-- Upheld disputes come before all other waiting reversals.
DROP INDEX charge_reversal_waiting;
CREATE INDEX charge_reversal_waiting
ON charge (merchant_no, (status <> 'disputed'), reversal_requested_at, charge_id)
WHERE reversal_status = 'pending';

CREATE TABLE dispute (
    merchant_no integer NOT NULL,
    dispute_id uuid NOT NULL,
    charge_id uuid NOT NULL,
    case_id uuid NOT NULL,
    status text NOT NULL
    CONSTRAINT dispute_status_is_known CHECK (status IN ('open', 'upheld', 'dismissed')),
    -- What of payable lies in release_disputed until the dispute is decided: all that the use
    -- moved, or nothing.
    set_aside_amount bigint NOT NULL
    CONSTRAINT dispute_set_aside_is_not_negative CHECK (set_aside_amount >= 0),
    opened_at timestamptz NOT NULL,
    decided_at timestamptz,
    PRIMARY KEY (merchant_no, dispute_id),
    -- Also a dismissed one: what was judged is not judged again.
    CONSTRAINT dispute_of_a_charge_once UNIQUE (merchant_no, charge_id),
    CONSTRAINT dispute_decided_says_when CHECK ((status = 'open') = (decided_at IS NULL))
);
