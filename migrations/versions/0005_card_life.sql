-- What a holder may do with a card: freeze, transfer, report lost, reactivate.
-- Nothing is deployed yet: the tables are empty, and no client knows what changes here.
-- squawk-ignore-file constraint-missing-not-valid, ban-drop-constraint

ALTER TABLE card
    -- The first frozen day of a period card whose term stands still now.
    ADD COLUMN frozen_on date,
    -- Codes made before this draw on the card no more: it was lost, or changed hands.
    ADD COLUMN codes_from timestamptz,
    -- The first day on which a new holder may ask for a refund (policy).
    ADD COLUMN refundable_from date;
ALTER TABLE card
    ADD CONSTRAINT card_frozen_days_not_negative CHECK (frozen_days >= 0),
    ADD CONSTRAINT card_frozen_is_of_a_period CHECK (
        kind = 'period' OR (frozen_on IS NULL AND frozen_days = 0)),
    ADD CONSTRAINT card_frozen_since_a_day CHECK (status <> 'frozen' OR frozen_on IS NOT NULL);

ALTER TABLE card_entry DROP CONSTRAINT card_entry_kind_check;
ALTER TABLE card_entry ADD CONSTRAINT card_entry_kind_is_known CHECK (kind IN (
    'funded', 'used', 'reversed', 'refunded', 'adjusted', 'transferred',
    'frozen', 'unfrozen', 'lost', 'replaced', 'reactivated'));

-- What a line of a card's life left: how its term runs. Frozen days decide refunds, so all of it
-- enters the hash chain through the line. Never changed.
CREATE TABLE card_life (
    merchant_no integer NOT NULL,
    card_id uuid NOT NULL,
    -- Of the line in the card's statement that says it.
    entry_no integer NOT NULL,
    kind text NOT NULL CONSTRAINT card_life_kind_is_known CHECK (kind IN (
        'frozen', 'unfrozen', 'lost', 'replaced', 'reactivated')),
    -- The first frozen day, where the term stands still after this.
    frozen_on date,
    -- The frozen days that are over.
    frozen_days integer NOT NULL CONSTRAINT card_life_days_not_negative CHECK (frozen_days >= 0),
    valid_until date,
    at timestamptz NOT NULL,
    PRIMARY KEY (merchant_no, card_id, entry_no)
);

-- A card on its way from one holder to another. It is theirs when they accept.
CREATE TABLE card_transfer (
    merchant_no integer NOT NULL,
    transfer_id uuid NOT NULL,
    card_id uuid NOT NULL,
    giver uuid NOT NULL,
    giver_id text NOT NULL,
    receiver uuid NOT NULL,
    receiver_id text NOT NULL,
    -- Of both: a subject is known within its issuer alone.
    issuer text NOT NULL,
    status text NOT NULL CONSTRAINT card_transfer_status_is_known CHECK (status IN (
        'offered', 'accepted', 'declined', 'withdrawn')),
    -- The chain knows holders by commitments, salted with these. Setting them to NULL erases who
    -- it was, and leaves the chain whole.
    giver_salt bytea,
    receiver_salt bytea,
    giver_commitment bytea,
    receiver_commitment bytea,
    -- Of the line in the card's statement that says it was accepted.
    entry_no integer,
    -- By which version of the policies the new holder waits for a refund.
    policy_version bigint,
    created_at timestamptz NOT NULL,
    ended_at timestamptz,
    PRIMARY KEY (merchant_no, transfer_id),
    FOREIGN KEY (merchant_no, card_id) REFERENCES card (merchant_no, card_id),
    CONSTRAINT card_transfer_is_to_another CHECK (giver <> receiver),
    CONSTRAINT card_transfer_offered_has_no_end CHECK ((status = 'offered') = (ended_at IS NULL)),
    CONSTRAINT card_transfer_accepted_is_in_the_chain CHECK (
        (status = 'accepted') = (entry_no IS NOT NULL)
        AND (status = 'accepted') = (giver_commitment IS NOT NULL)
        AND (status = 'accepted') = (receiver_commitment IS NOT NULL)
        AND (status = 'accepted') = (policy_version IS NOT NULL))
);

CREATE UNIQUE INDEX card_transfer_one_offer ON card_transfer (merchant_no, card_id)
WHERE status = 'offered';
CREATE INDEX card_transfer_of_card ON card_transfer (merchant_no, card_id);
-- Over all merchants: a receiver may have nothing there yet.
CREATE INDEX card_transfer_of_giver ON card_transfer (giver, transfer_id);
CREATE INDEX card_transfer_of_receiver ON card_transfer (receiver, transfer_id);
