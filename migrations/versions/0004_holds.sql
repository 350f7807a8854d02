-- Holds on cards, payables and custody accounts: what courts and authorities order.

CREATE TABLE hold (
    merchant_no integer NOT NULL REFERENCES book (merchant_no),
    hold_id uuid NOT NULL,
    target text NOT NULL CONSTRAINT hold_target_is_known CHECK (
        target IN ('card', 'payable', 'custody_account')),
    -- A card, or the merchant whose payable or custody account it is.
    target_id uuid NOT NULL,
    -- NULL holds all.
    amount bigint CONSTRAINT hold_amount_is_positive CHECK (amount > 0),
    document_number text NOT NULL,
    reason text NOT NULL,
    text_salt bytea NOT NULL,
    status text NOT NULL CONSTRAINT hold_status_is_known CHECK (
        status IN ('active', 'lifted', 'expired')),
    placed_by text NOT NULL,
    placed_at timestamptz NOT NULL,
    expires_at timestamptz,
    ended_at timestamptz,
    -- Its entries in the book's chain.
    seq bigint NOT NULL,
    ended_seq bigint,
    PRIMARY KEY (merchant_no, hold_id),
    CONSTRAINT hold_ends_after_it_began CHECK (expires_at > placed_at AND ended_at >= placed_at),
    CONSTRAINT hold_ended_says_when CHECK (
        (status = 'active') = (ended_at IS NULL) AND (status = 'active') = (ended_seq IS NULL)),
    CONSTRAINT hold_expired_had_an_end CHECK (status <> 'expired' OR expires_at IS NOT NULL)
);

-- What stands against a card, or against a merchant's money.
CREATE INDEX hold_in_force ON hold (merchant_no, target_id) WHERE status = 'active';
CREATE INDEX hold_to_expire ON hold (expires_at) WHERE status = 'active' AND expires_at IS NOT NULL;
-- Lists go over all merchants, newest first.
CREATE UNIQUE INDEX hold_newest ON hold (hold_id);
