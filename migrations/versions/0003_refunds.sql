-- Nothing is deployed yet: the table is empty, and no client knows what it loses here.
-- squawk-ignore-file ban-drop-constraint, ban-drop-not-null, constraint-missing-not-valid, adding-not-nullable-field, require-concurrent-index-creation

-- Refunds of cards join the money that goes back from suspense: one table, so that one cut takes
-- both, oldest first. What decided a card's refund is stored with it and enters the hash chain.

ALTER TABLE refund DROP CONSTRAINT refund_status_check;
ALTER TABLE refund ADD CONSTRAINT refund_status_is_known CHECK (status IN (
    'offered', 'requested', 'case_open', 'declined', 'rejected', 'withdrawn',
    'decided', 'in_transit', 'paid', 'account_needed'));
ALTER TABLE refund DROP CONSTRAINT refund_amount_check;
-- A refund of 0 is paid without an order: only a card has such a one.
ALTER TABLE refund ADD CONSTRAINT refund_amount_is_positive CHECK (
    amount > 0 OR (amount = 0 AND card_id IS NOT NULL
        AND status NOT IN ('decided', 'in_transit', 'account_needed')));

ALTER TABLE refund
    ALTER COLUMN payee_name DROP NOT NULL,
    ALTER COLUMN payee_account_number DROP NOT NULL,
    ALTER COLUMN decided_at DROP NOT NULL,
    ADD COLUMN consumer uuid,
    ADD COLUMN reason text,
    ADD COLUMN refund_class text,
    ADD COLUMN formula text,
    ADD COLUMN formula_version integer,
    ADD COLUMN policy_version bigint,
    ADD COLUMN inputs jsonb,
    ADD COLUMN as_of date,
    ADD COLUMN residue_amount bigint,
    ADD COLUMN interest_claim_amount bigint,
    ADD COLUMN case_id uuid,
    -- The refund that this one adds to, after a late reversal.
    ADD COLUMN supplements uuid,
    -- What the card was before; it is again where the claim is rejected or withdrawn.
    ADD COLUMN former_status text,
    -- Named by the holder after a return, and not verified yet.
    ADD COLUMN new_payee_name bytea,
    ADD COLUMN new_payee_account_number bytea,
    ADD COLUMN new_payee_bank_code text,
    ADD COLUMN created_at timestamptz,
    -- When the rest of the custody went to the merchant, and the card was refunded for good.
    ADD COLUMN settled_at timestamptz;

ALTER TABLE refund
    ADD CONSTRAINT refund_reason_is_known CHECK (reason IN (
        'cooling_off', 'consumer_choice', 'store_moved', 'obligations_transferred',
        'service_unavailable', 'health', 'minor', 'merchant_offer', 'closure')),
    ADD CONSTRAINT refund_class_is_known CHECK (refund_class IN (
        'merchant_fault', 'consumer_choice', 'cooling_off', 'agreed')),
    ADD CONSTRAINT refund_of_a_card_says_why CHECK (
        card_id IS NULL OR (consumer IS NOT NULL AND reason IS NOT NULL
            AND refund_class IS NOT NULL AND formula IS NOT NULL AND formula_version IS NOT NULL
            AND policy_version IS NOT NULL AND inputs IS NOT NULL AND as_of IS NOT NULL
            AND (residue_amount >= 0 OR supplements IS NOT NULL) AND interest_claim_amount >= 0
            AND created_at IS NOT NULL)),
    -- The residue of what adds to a refund is what the rest changed by.
    ADD CONSTRAINT refund_supplement_is_of_a_card CHECK (
        supplements IS NULL OR card_id IS NOT NULL),
    ADD CONSTRAINT refund_that_moves_was_decided CHECK (
        status IN ('offered', 'requested', 'case_open', 'declined', 'rejected', 'withdrawn')
        = (decided_at IS NULL)),
    ADD CONSTRAINT refund_to_be_paid_has_a_payee CHECK (
        status NOT IN ('decided', 'in_transit')
        OR (payee_name IS NOT NULL AND payee_account_number IS NOT NULL)),
    ADD CONSTRAINT refund_settled_was_decided CHECK (
        settled_at IS NULL OR (card_id IS NOT NULL AND decided_at IS NOT NULL));

-- What of the rest went with a use that was taken back after the refund: one movement for both.
ALTER TABLE card_entry ADD COLUMN adjusted_amount bigint;

-- A card is refunded once, whatever is asked at once; what adds to it names it.
CREATE UNIQUE INDEX refund_of_a_card_once ON refund (merchant_no, card_id)
WHERE card_id IS NOT NULL AND supplements IS NULL
    AND status IN ('requested', 'case_open', 'decided', 'in_transit', 'paid', 'account_needed');
CREATE INDEX refund_of_card ON refund (merchant_no, card_id) WHERE card_id IS NOT NULL;
CREATE INDEX refund_of_consumer ON refund (merchant_no, consumer, refund_id)
WHERE consumer IS NOT NULL;
CREATE INDEX refund_to_settle ON refund (merchant_no)
WHERE status = 'paid' AND settled_at IS NULL AND card_id IS NOT NULL;

-- How a card was sold: who paid from which account, and the store it is bound to.
CREATE VIEW card_sale AS
SELECT card.merchant_no, card.card_id, purchase.consumer AS buyer, store.store_id,
       store.status AS store_status, receipt.payer_name, receipt.payer_account_number
FROM card
JOIN purchase
    ON purchase.merchant_no = card.merchant_no AND purchase.purchase_id = card.purchase_id
JOIN store ON store.merchant_no = purchase.merchant_no AND store.store_id = purchase.store_id
JOIN card_entry AS funded
    ON funded.merchant_no = card.merchant_no AND funded.card_id = card.card_id
        AND funded.entry_no = 1
JOIN receipt
    ON receipt.merchant_no = card.merchant_no AND receipt.receipt_id = funded.subject_id;
