-- The closing of a merchant: every card refunded once.
-- Nothing is deployed yet: the tables are empty, and no client knows what they lose here.
-- squawk-ignore-file ban-drop-constraint, constraint-missing-not-valid, adding-not-nullable-field, require-concurrent-index-creation

CREATE TABLE closure (
    merchant_no integer NOT NULL REFERENCES book (merchant_no),
    closure_id uuid NOT NULL,
    kind text NOT NULL
    CONSTRAINT closure_kind_is_known CHECK (kind IN ('notice', 'immediate', 'absconded')),
    reason text NOT NULL,
    status text NOT NULL CONSTRAINT closure_status_is_known CHECK (status IN (
        'notice', 'closing', 'refunding', 'closed', 'closed_with_shortfall', 'cancelled')),
    ordered_by text NOT NULL,
    created_at timestamptz NOT NULL,
    -- When the 30 days are over: from then on it is closing, by the clock.
    notice_ends_at timestamptz,
    closing_at timestamptz,
    started_at timestamptz,
    finished_at timestamptz,
    -- What there was to refund when two persons had decided that it be done.
    card_count integer NOT NULL DEFAULT 0 CHECK (card_count >= 0),
    refund_amount bigint NOT NULL DEFAULT 0 CHECK (refund_amount >= 0),
    -- What was refunded, written with each step: never more, never less than its rows.
    refunded_count integer NOT NULL DEFAULT 0 CHECK (refunded_count >= 0),
    refunded_amount bigint NOT NULL DEFAULT 0 CHECK (refunded_amount >= 0),
    run_microseconds bigint NOT NULL DEFAULT 0,
    -- What claims go short of, as it was shared out last; 0 where custody covers all.
    shortfall_amount bigint NOT NULL DEFAULT 0 CHECK (shortfall_amount >= 0),
    -- Whether refunds decided before are still being brought to their shares: none is cut.
    adjusting boolean NOT NULL DEFAULT false,
    -- The book's seq when all was shared out last: who brings refunds to their shares stops where
    -- another has shared anew.
    shared_seq bigint NOT NULL DEFAULT 0,
    -- The book's seq when the end was looked at last: what came since may change it.
    seen_seq bigint NOT NULL DEFAULT 0,
    PRIMARY KEY (merchant_no, closure_id),
    CONSTRAINT closure_notice_has_an_end CHECK ((kind = 'notice') = (notice_ends_at IS NOT NULL)),
    CONSTRAINT closure_status_follows_its_steps CHECK (
        CASE status
            WHEN 'notice' THEN kind = 'notice' AND closing_at IS NULL
            WHEN 'cancelled' THEN kind = 'notice' AND closing_at IS NULL
            WHEN 'closing' THEN closing_at IS NOT NULL AND started_at IS NULL
            ELSE closing_at IS NOT NULL AND started_at IS NOT NULL
        END),
    CONSTRAINT closure_finished_has_an_end CHECK (
        (finished_at IS NOT NULL) = (status IN ('closed', 'closed_with_shortfall', 'cancelled')))
);

-- A merchant closes once; only what was cancelled makes room for another.
CREATE UNIQUE INDEX closure_of_a_merchant_once ON closure (merchant_no) WHERE status <> 'cancelled';

-- What a card gets of its claim where custody does not cover all: written when it is shared out,
-- so that every step, and every process after a crash, pays by the same sum.
CREATE TABLE closure_share (
    merchant_no integer NOT NULL,
    claim_id uuid NOT NULL,
    closure_id uuid NOT NULL,
    claim_amount bigint NOT NULL CHECK (claim_amount > 0),
    amount bigint NOT NULL CHECK (amount >= 0 AND amount <= claim_amount),
    PRIMARY KEY (merchant_no, claim_id)
);

-- Files that are cut again without a merchant that closes; kept until it was done.
CREATE TABLE closure_recut (
    merchant_no integer NOT NULL,
    file_id uuid NOT NULL REFERENCES payment_file (file_id),
    kind text NOT NULL,
    business_date date NOT NULL,
    done_at timestamptz,
    PRIMARY KEY (merchant_no, file_id)
);

CREATE INDEX closure_recut_waiting ON closure_recut (merchant_no) WHERE done_at IS NULL;

-- The end of a closure, signed. A later bank fact makes another; none is changed.
CREATE TABLE closure_certificate (
    merchant_no integer NOT NULL,
    closure_id uuid NOT NULL,
    number integer NOT NULL CHECK (number > 0),
    document text NOT NULL,
    sha256 bytea NOT NULL CHECK (octet_length(sha256) = 32),
    signature bytea NOT NULL,
    key_id text NOT NULL REFERENCES signing_key (key_id),
    issued_at timestamptz NOT NULL,
    PRIMARY KEY (merchant_no, closure_id, number),
    FOREIGN KEY (merchant_no, closure_id) REFERENCES closure (merchant_no, closure_id)
);

-- By which closure a refund was decided, and what of it a shortfall leaves unpaid: the named
-- claim, which stays on the card's account (or in suspense, where no card was bought).
ALTER TABLE refund
    ADD COLUMN closure_id uuid,
    -- Negative in a supplement that pays what another left unpaid.
    ADD COLUMN unpaid_amount bigint NOT NULL DEFAULT 0
    CONSTRAINT refund_unpaid_is_not_negative CHECK (
        unpaid_amount >= 0 OR (supplements IS NOT NULL AND amount + unpaid_amount = 0));
ALTER TABLE refund DROP CONSTRAINT refund_amount_is_positive;
-- Nothing is paid by an order of 0: of a card, or where a shortfall leaves nothing.
ALTER TABLE refund ADD CONSTRAINT refund_amount_is_positive CHECK (
    amount > 0 OR (amount = 0 AND (card_id IS NOT NULL OR unpaid_amount > 0)
        AND status NOT IN ('decided', 'in_transit', 'account_needed')));
CREATE INDEX refund_of_closure ON refund (merchant_no, refund_id) WHERE closure_id IS NOT NULL;
-- What others than the closure decided, and no bank has got: each cut of a closing merchant asks
-- whether one of them grew beyond its share.
CREATE INDEX refund_grown_in_closure ON refund (merchant_no, card_id)
    WHERE status = 'decided' AND closure_id IS NULL AND card_id IS NOT NULL;

-- A closing merchant's cards wait for their disputes; few uses are disputed at a time.
CREATE INDEX charge_disputed ON charge (merchant_no) WHERE status = 'disputed';
