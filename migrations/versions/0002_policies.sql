-- Nothing is deployed yet: the tables are empty, and no client waits for a lock.
-- squawk-ignore-file constraint-missing-not-valid, require-concurrent-index-creation

-- Policies: what a region, or everywhere ('' as region), sets differently from what is built in.
--
-- The versions of one key and region form one chain without a gap or an overlap, whoever
-- writes: a version that has ended ends on the day on which another one of its key and region
-- begins, no two begin or end on the same day, and at most one has no end. So every version
-- but one leads to a later one, no two lead to the same, and all of them lie on one line.

CREATE TABLE policy (
    policy_id uuid PRIMARY KEY,
    -- Counts over all keys, so that one number says which rows a decision could know.
    version bigint NOT NULL
        CONSTRAINT policy_version_is_unique UNIQUE
        CONSTRAINT policy_version_is_positive CHECK (version > 0),
    key text NOT NULL,
    region text NOT NULL
        CONSTRAINT policy_region_is_a_division CHECK (region ~ '^([0-9]{2}){0,3}$'),
    value jsonb NOT NULL,
    valid_from date NOT NULL,
    -- The first day on which it does not count any more.
    valid_to date,
    approval_id uuid NOT NULL
        CONSTRAINT policy_is_approved_once UNIQUE
        REFERENCES approval (approval_id),
    created_at timestamptz NOT NULL,
    CONSTRAINT policy_ends_after_its_start CHECK (valid_to > valid_from),
    CONSTRAINT policy_begins_once UNIQUE (key, region, valid_from),
    CONSTRAINT policy_ends_once UNIQUE (key, region, valid_to),
    CONSTRAINT policy_ends_where_the_next_begins
        FOREIGN KEY (key, region, valid_to) REFERENCES policy (key, region, valid_from)
);

CREATE UNIQUE INDEX policy_runs_on_once ON policy (key, region) WHERE valid_to IS NULL;

-- The ceilings on what a consumer may have prepaid. A product is exempt from them from when a
-- second person has approved the legal basis that its merchant gave.
ALTER TABLE card_product
    ADD COLUMN ceiling_exempted_at timestamptz,
    ADD CONSTRAINT product_exempted_says_why CHECK (
        ceiling_exempted_at IS NULL OR ceiling_exemption IS NOT NULL);

-- What a consumer accepted and has not paid counts as prepaid.
CREATE INDEX purchase_accepted_by ON purchase (merchant_no, consumer, expires_at)
WHERE status = 'awaiting_payment' AND accepted_at IS NOT NULL;
