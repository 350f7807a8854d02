CREATE FUNCTION public.anxin_now() RETURNS timestamp with time zone
    LANGUAGE sql PARALLEL SAFE
    SET search_path TO 'pg_catalog', 'public', 'pg_temp'
    AS $$
    SELECT pg_catalog.clock_timestamp()
        + coalesce((SELECT offset_seconds FROM public.sandbox_clock), 0) * interval '1 second'
$$;

CREATE TABLE public.account (
    merchant_no integer NOT NULL,
    account_id uuid NOT NULL,
    type text NOT NULL,
    balance bigint DEFAULT 0 NOT NULL,
    version bigint DEFAULT 0 NOT NULL,
    CONSTRAINT account_balance_not_negative CHECK (((balance >= 0) OR (type = 'custody'::text))),
    CONSTRAINT account_type_is_known CHECK ((type = ANY (ARRAY['custody'::text, 'bank_claim'::text, 'card'::text, 'merchant_payable'::text, 'release_disputed'::text, 'release_in_transit'::text, 'refund_payable'::text, 'refund_in_transit'::text, 'suspense'::text, 'custody_yield'::text]))),
    CONSTRAINT account_version_check CHECK ((version >= 0))
)
WITH (fillfactor='80');

CREATE TABLE public.alert (
    alert_id uuid NOT NULL,
    merchant_no integer NOT NULL,
    kind text NOT NULL,
    subject_id uuid,
    detail jsonb NOT NULL,
    created_at timestamp with time zone NOT NULL
);

CREATE TABLE public.api_key (
    key_id uuid NOT NULL,
    secret_hash bytea NOT NULL,
    role text NOT NULL,
    person_id text NOT NULL,
    merchant_no integer,
    store_ids uuid[],
    bank text,
    industries text[],
    districts text[],
    issuer text,
    scopes text[],
    sandbox boolean DEFAULT false NOT NULL,
    expires_at timestamp with time zone,
    revoked_at timestamp with time zone,
    created_at timestamp with time zone NOT NULL,
    CONSTRAINT api_key_of_bank_names_it CHECK (((role = 'bank'::text) = (bank IS NOT NULL))),
    CONSTRAINT api_key_of_merchant_names_it CHECK (((role = 'merchant'::text) = (merchant_no IS NOT NULL))),
    CONSTRAINT api_key_role_check CHECK ((role = ANY (ARRAY['operator'::text, 'merchant'::text, 'bank'::text, 'regulator'::text, 'wallet'::text])))
);

CREATE TABLE public.approval (
    approval_id uuid NOT NULL,
    action text NOT NULL,
    subject_id text,
    request jsonb NOT NULL,
    status text NOT NULL,
    proposed_by text NOT NULL,
    decided_by text,
    result jsonb,
    created_at timestamp with time zone NOT NULL,
    decided_at timestamp with time zone,
    CONSTRAINT approval_decided_has_a_decider CHECK (((status = 'proposed'::text) = (decided_by IS NULL))),
    CONSTRAINT approval_needs_two_persons CHECK (((status <> 'approved'::text) OR ((decided_by IS NOT NULL) AND (decided_by <> proposed_by)))),
    CONSTRAINT approval_status_check CHECK ((status = ANY (ARRAY['proposed'::text, 'approved'::text, 'rejected'::text])))
);

CREATE TABLE public.book (
    merchant_no integer NOT NULL,
    status text DEFAULT 'open'::text NOT NULL,
    seq bigint DEFAULT 0 NOT NULL,
    chain_hash bytea NOT NULL,
    last_at timestamp with time zone NOT NULL,
    waiting_reversal_amount bigint DEFAULT 0 NOT NULL,
    CONSTRAINT book_chain_hash_check CHECK ((octet_length(chain_hash) = 32)),
    CONSTRAINT book_seq_check CHECK ((seq >= 0)),
    CONSTRAINT book_status_is_known CHECK ((status = ANY (ARRAY['open'::text, 'notice'::text, 'frozen'::text, 'closing'::text, 'refunding'::text, 'closed'::text, 'closed_with_shortfall'::text]))),
    CONSTRAINT book_waiting_reversals_not_negative CHECK ((waiting_reversal_amount >= 0))
)
WITH (fillfactor='50');

CREATE TABLE public.business_day (
    day date NOT NULL,
    banking boolean NOT NULL,
    name text,
    provisional boolean NOT NULL
);

CREATE TABLE public.card (
    merchant_no integer NOT NULL,
    card_id uuid NOT NULL,
    consumer uuid NOT NULL,
    consumer_id text NOT NULL,
    product_id uuid NOT NULL,
    purchase_id uuid NOT NULL,
    kind text NOT NULL,
    status text NOT NULL,
    on_hold boolean DEFAULT false NOT NULL,
    paid_amount bigint NOT NULL,
    bonus_amount bigint NOT NULL,
    face_used_amount bigint DEFAULT 0 NOT NULL,
    face_held_amount bigint DEFAULT 0 NOT NULL,
    list_price_amount bigint,
    list_used_amount bigint DEFAULT 0 NOT NULL,
    list_price_missing boolean DEFAULT false NOT NULL,
    sessions_total integer,
    sessions_used integer DEFAULT 0 NOT NULL,
    sessions_held integer DEFAULT 0 NOT NULL,
    term_days integer,
    activated_on date NOT NULL,
    valid_until date,
    last_visit_day integer DEFAULT 0 NOT NULL,
    frozen_days integer DEFAULT 0 NOT NULL,
    released_amount bigint DEFAULT 0 NOT NULL,
    refunded_amount bigint DEFAULT 0 NOT NULL,
    adjusted_amount bigint DEFAULT 0 NOT NULL,
    recalled_amount bigint DEFAULT 0 NOT NULL,
    pending_count integer DEFAULT 0 NOT NULL,
    code_day date,
    code_day_amount bigint DEFAULT 0 NOT NULL,
    entry_count integer DEFAULT 0 NOT NULL,
    cooling_off_days integer NOT NULL,
    cooling_off_ends_on date,
    holder_salt bytea NOT NULL,
    terms_hash bytea NOT NULL,
    paid_at timestamp with time zone NOT NULL,
    created_at timestamp with time zone NOT NULL,
    frozen_on date,
    codes_from timestamp with time zone,
    refundable_from date,
    CONSTRAINT card_bonus_amount_check CHECK ((bonus_amount >= 0)),
    CONSTRAINT card_face_available_not_negative CHECK (((face_used_amount >= 0) AND (face_held_amount >= 0) AND ((face_used_amount + face_held_amount) <=
CASE kind
    WHEN 'stored_value'::text THEN (paid_amount + bonus_amount)
    ELSE (0)::bigint
END))),
    CONSTRAINT card_frozen_days_not_negative CHECK ((frozen_days >= 0)),
    CONSTRAINT card_frozen_is_of_a_period CHECK (((kind = 'period'::text) OR ((frozen_on IS NULL) AND (frozen_days = 0)))),
    CONSTRAINT card_frozen_since_a_day CHECK (((status <> 'frozen'::text) OR (frozen_on IS NOT NULL))),
    CONSTRAINT card_kind_check CHECK ((kind = ANY (ARRAY['stored_value'::text, 'count'::text, 'period'::text]))),
    CONSTRAINT card_list_used_amount_check CHECK ((list_used_amount >= 0)),
    CONSTRAINT card_money_is_never_negative CHECK (((released_amount >= 0) AND (refunded_amount >= 0) AND (adjusted_amount >= 0) AND (recalled_amount >= 0) AND ((((released_amount + refunded_amount) + adjusted_amount) + recalled_amount) <= paid_amount))),
    CONSTRAINT card_paid_amount_check CHECK ((paid_amount > 0)),
    CONSTRAINT card_pending_count_check CHECK ((pending_count >= 0)),
    CONSTRAINT card_sessions_available_not_negative CHECK (((sessions_used >= 0) AND (sessions_held >= 0) AND ((sessions_used + sessions_held) <= COALESCE(sessions_total, 0)))),
    CONSTRAINT card_status_check CHECK ((status = ANY (ARRAY['active'::text, 'frozen'::text, 'lost'::text, 'expired'::text, 'used_up'::text, 'refunding'::text, 'refunded'::text, 'recalled'::text, 'replaced'::text]))),
    CONSTRAINT card_visits_within_term CHECK (((last_visit_day >= 0) AND ((kind <> 'period'::text) OR (last_visit_day <= term_days))))
)
WITH (fillfactor='70');

CREATE TABLE public.card_entry (
    merchant_no integer NOT NULL,
    card_id uuid NOT NULL,
    entry_no integer NOT NULL,
    seq bigint NOT NULL,
    kind text NOT NULL,
    subject_id uuid NOT NULL,
    store_id uuid,
    amount bigint,
    sessions integer,
    visit_day integer,
    list_amount bigint,
    release_amount bigint NOT NULL,
    balance_face_amount bigint,
    balance_sessions integer,
    custody_amount bigint NOT NULL,
    evidence_hash bytea NOT NULL,
    at timestamp with time zone NOT NULL,
    adjusted_amount bigint,
    CONSTRAINT card_entry_custody_amount_check CHECK ((custody_amount >= 0)),
    CONSTRAINT card_entry_kind_is_known CHECK ((kind = ANY (ARRAY['funded'::text, 'used'::text, 'reversed'::text, 'refunded'::text, 'adjusted'::text, 'transferred'::text, 'frozen'::text, 'unfrozen'::text, 'lost'::text, 'replaced'::text, 'reactivated'::text])))
);

CREATE TABLE public.card_life (
    merchant_no integer NOT NULL,
    card_id uuid NOT NULL,
    entry_no integer NOT NULL,
    kind text NOT NULL,
    frozen_on date,
    frozen_days integer NOT NULL,
    valid_until date,
    at timestamp with time zone NOT NULL,
    CONSTRAINT card_life_days_not_negative CHECK ((frozen_days >= 0)),
    CONSTRAINT card_life_kind_is_known CHECK ((kind = ANY (ARRAY['frozen'::text, 'unfrozen'::text, 'lost'::text, 'replaced'::text, 'reactivated'::text])))
);

CREATE TABLE public.card_product (
    merchant_no integer NOT NULL,
    product_id uuid NOT NULL,
    name text NOT NULL,
    kind text NOT NULL,
    price_amount bigint NOT NULL,
    bonus_amount bigint DEFAULT 0 NOT NULL,
    sessions integer,
    gift_sessions integer,
    term_days integer,
    list_price_amount bigint,
    ceiling_exemption jsonb,
    terms jsonb NOT NULL,
    contract_version integer NOT NULL,
    contract_text text NOT NULL,
    contract_sha256 bytea NOT NULL,
    on_sale boolean DEFAULT true NOT NULL,
    created_at timestamp with time zone NOT NULL,
    ceiling_exempted_at timestamp with time zone,
    CONSTRAINT card_product_bonus_amount_check CHECK ((bonus_amount >= 0)),
    CONSTRAINT card_product_contract_sha256_check CHECK ((octet_length(contract_sha256) = 32)),
    CONSTRAINT card_product_gift_sessions_check CHECK ((gift_sessions >= 0)),
    CONSTRAINT card_product_kind_check CHECK ((kind = ANY (ARRAY['stored_value'::text, 'count'::text, 'period'::text]))),
    CONSTRAINT card_product_list_price_amount_check CHECK ((list_price_amount > 0)),
    CONSTRAINT card_product_price_amount_check CHECK ((price_amount > 0)),
    CONSTRAINT card_product_sessions_check CHECK ((sessions > 0)),
    CONSTRAINT card_product_term_days_check CHECK ((term_days > 0)),
    CONSTRAINT product_exempted_says_why CHECK (((ceiling_exempted_at IS NULL) OR (ceiling_exemption IS NOT NULL))),
    CONSTRAINT product_has_what_its_kind_needs CHECK ((((kind = 'count'::text) = (sessions IS NOT NULL)) AND ((kind = 'count'::text) OR (gift_sessions IS NULL)) AND ((kind <> 'period'::text) OR (term_days IS NOT NULL)) AND ((kind = 'stored_value'::text) OR (bonus_amount = 0))))
);

CREATE TABLE public.purchase (
    merchant_no integer NOT NULL,
    purchase_id uuid NOT NULL,
    product_id uuid NOT NULL,
    store_id uuid NOT NULL,
    status text NOT NULL,
    amount bigint NOT NULL,
    consumer uuid,
    consumer_id text,
    issuer text,
    contract_version integer NOT NULL,
    contract_sha256 bytea NOT NULL,
    accepted_at timestamp with time zone,
    card_id uuid,
    expires_at timestamp with time zone NOT NULL,
    created_at timestamp with time zone NOT NULL,
    CONSTRAINT purchase_accepted_has_a_holder CHECK (((accepted_at IS NULL) OR (consumer IS NOT NULL))),
    CONSTRAINT purchase_amount_check CHECK ((amount > 0)),
    CONSTRAINT purchase_funded_was_accepted CHECK ((((status = 'funded'::text) = (card_id IS NOT NULL)) AND ((status <> 'funded'::text) OR (accepted_at IS NOT NULL)))),
    CONSTRAINT purchase_status_check CHECK ((status = ANY (ARRAY['awaiting_payment'::text, 'funded'::text, 'cancelled'::text])))
);

CREATE TABLE public.receipt (
    merchant_no integer NOT NULL,
    receipt_id uuid NOT NULL,
    status text NOT NULL,
    suspense_reason text,
    bank text NOT NULL,
    bank_reference text NOT NULL,
    custody_account text NOT NULL,
    amount bigint NOT NULL,
    payment_reference text NOT NULL,
    payer_name bytea NOT NULL,
    payer_account_number bytea NOT NULL,
    payer_index bytea NOT NULL,
    purchase_id uuid,
    card_id uuid,
    refund_id uuid,
    paid_at timestamp with time zone NOT NULL,
    received_at timestamp with time zone NOT NULL,
    CONSTRAINT receipt_amount_check CHECK ((amount > 0)),
    CONSTRAINT receipt_matched_has_a_card CHECK (((status = 'matched'::text) = (card_id IS NOT NULL))),
    CONSTRAINT receipt_returned_has_a_refund CHECK (((status = 'returned'::text) = (refund_id IS NOT NULL))),
    CONSTRAINT receipt_status_check CHECK ((status = ANY (ARRAY['matched'::text, 'suspense'::text, 'returned'::text]))),
    CONSTRAINT receipt_suspense_reason_check CHECK ((suspense_reason = ANY (ARRAY['underpaid'::text, 'overpaid'::text, 'purchase_expired'::text, 'purchase_cancelled'::text, 'already_funded'::text, 'contract_not_accepted'::text, 'unknown_reference'::text, 'merchant_not_selling'::text, 'unknown_custody_account'::text])))
);

CREATE TABLE public.store (
    merchant_no integer NOT NULL,
    store_id uuid NOT NULL,
    name text NOT NULL,
    address text,
    status text NOT NULL,
    created_at timestamp with time zone NOT NULL,
    CONSTRAINT store_status_check CHECK ((status = ANY (ARRAY['open'::text, 'moved'::text, 'closed'::text])))
);

CREATE VIEW public.card_sale AS
 SELECT card.merchant_no,
    card.card_id,
    purchase.consumer AS buyer,
    store.store_id,
    store.status AS store_status,
    receipt.payer_name,
    receipt.payer_account_number
   FROM ((((public.card
     JOIN public.purchase ON (((purchase.merchant_no = card.merchant_no) AND (purchase.purchase_id = card.purchase_id))))
     JOIN public.store ON (((store.merchant_no = purchase.merchant_no) AND (store.store_id = purchase.store_id))))
     JOIN public.card_entry funded ON (((funded.merchant_no = card.merchant_no) AND (funded.card_id = card.card_id) AND (funded.entry_no = 1))))
     JOIN public.receipt ON (((receipt.merchant_no = card.merchant_no) AND (receipt.receipt_id = funded.subject_id))));

CREATE TABLE public.card_transfer (
    merchant_no integer NOT NULL,
    transfer_id uuid NOT NULL,
    card_id uuid NOT NULL,
    giver uuid NOT NULL,
    giver_id text NOT NULL,
    receiver uuid NOT NULL,
    receiver_id text NOT NULL,
    issuer text NOT NULL,
    status text NOT NULL,
    giver_salt bytea,
    receiver_salt bytea,
    giver_commitment bytea,
    receiver_commitment bytea,
    entry_no integer,
    policy_version bigint,
    created_at timestamp with time zone NOT NULL,
    ended_at timestamp with time zone,
    CONSTRAINT card_transfer_accepted_is_in_the_chain CHECK ((((status = 'accepted'::text) = (entry_no IS NOT NULL)) AND ((status = 'accepted'::text) = (giver_commitment IS NOT NULL)) AND ((status = 'accepted'::text) = (receiver_commitment IS NOT NULL)) AND ((status = 'accepted'::text) = (policy_version IS NOT NULL)))),
    CONSTRAINT card_transfer_is_to_another CHECK ((giver <> receiver)),
    CONSTRAINT card_transfer_offered_has_no_end CHECK (((status = 'offered'::text) = (ended_at IS NULL))),
    CONSTRAINT card_transfer_status_is_known CHECK ((status = ANY (ARRAY['offered'::text, 'accepted'::text, 'declined'::text, 'withdrawn'::text])))
);

CREATE TABLE public.case_file (
    merchant_no integer NOT NULL,
    case_id uuid NOT NULL,
    kind text NOT NULL,
    status text NOT NULL,
    consumer uuid NOT NULL,
    card_id uuid,
    charge_id uuid,
    refund_id uuid,
    reason text,
    stated_reason bytea,
    stated_reason_commitment bytea,
    salt bytea,
    text bytea,
    text_commitment bytea,
    answer_due_on date,
    answer_agree boolean,
    answer_text bytea,
    answer_text_commitment bytea,
    answered_at timestamp with time zone,
    answered_by text,
    decision text,
    decision_reason bytea,
    decision_reason_commitment bytea,
    used_amount bigint,
    decided_at timestamp with time zone,
    decided_by text,
    approval_id uuid,
    created_at timestamp with time zone NOT NULL,
    CONSTRAINT case_agreed_by_the_merchant CHECK (((NOT (decided_by IS DISTINCT FROM 'merchant'::text)) = (answer_agree IS TRUE))),
    CONSTRAINT case_answer_is_whole CHECK ((((answer_agree IS NULL) = (answered_at IS NULL)) AND ((answer_agree IS NULL) = (answered_by IS NULL)))),
    CONSTRAINT case_decided_by_is_known CHECK ((decided_by = ANY (ARRAY['two_persons'::text, 'merchant'::text, 'silence'::text, 'consumer'::text, 'closure'::text]))),
    CONSTRAINT case_decided_by_two_persons_is_approved CHECK (((NOT (decided_by IS DISTINCT FROM 'two_persons'::text)) = (approval_id IS NOT NULL))),
    CONSTRAINT case_decision_is_known CHECK ((decision = ANY (ARRAY['upheld'::text, 'rejected'::text, 'withdrawn'::text]))),
    CONSTRAINT case_decision_is_whole CHECK ((((decision IS NULL) = (decided_at IS NULL)) AND ((decision IS NULL) = (decided_by IS NULL)))),
    CONSTRAINT case_is_about_what_its_kind_says CHECK (
CASE kind
    WHEN 'refund_claim'::text THEN ((refund_id IS NOT NULL) AND (card_id IS NOT NULL))
    ELSE ((charge_id IS NOT NULL) AND (refund_id IS NULL))
END),
    CONSTRAINT case_kind_is_known CHECK ((kind = ANY (ARRAY['refund_claim'::text, 'dispute'::text]))),
    CONSTRAINT case_reason_is_of_its_kind CHECK ((((kind = 'refund_claim'::text) = (reason IS NOT NULL)) AND ((kind = 'dispute'::text) = (stated_reason_commitment IS NOT NULL)) AND ((stated_reason IS NULL) OR (stated_reason_commitment IS NOT NULL)))),
    CONSTRAINT case_silence_is_no_answer CHECK (((decided_by IS DISTINCT FROM 'silence'::text) OR (answer_agree IS NULL))),
    CONSTRAINT case_status_follows_its_steps CHECK (
CASE status
    WHEN 'open'::text THEN ((answer_agree IS NULL) AND (decision IS NULL))
    WHEN 'answered'::text THEN ((answer_agree IS FALSE) AND (decision IS NULL))
    ELSE (decision IS NOT NULL)
END),
    CONSTRAINT case_status_is_known CHECK ((status = ANY (ARRAY['open'::text, 'answered'::text, 'decided'::text]))),
    CONSTRAINT case_used_amount_is_not_negative CHECK ((used_amount >= 0))
);

CREATE TABLE public.charge (
    merchant_no integer NOT NULL,
    charge_id uuid NOT NULL,
    status text NOT NULL,
    kind text NOT NULL,
    store_id uuid NOT NULL,
    product_id uuid,
    consumer uuid NOT NULL,
    amount bigint,
    sessions integer,
    visit boolean,
    list_amount bigint,
    release_amount bigint,
    draws jsonb NOT NULL,
    code_hash bytea,
    confirmation_id uuid,
    confirmation_method text,
    confirmation_hash bytea,
    confirmed_at timestamp with time zone,
    balance_face_amount bigint,
    balance_sessions integer,
    balance_valid_until date,
    reversal_status text,
    reversal_requested_at timestamp with time zone,
    reversal_done_at timestamp with time zone,
    reversal_amount bigint,
    reversal_reason text,
    description text,
    text_salt bytea,
    client_reference text,
    expires_at timestamp with time zone,
    created_at timestamp with time zone NOT NULL,
    ended_at timestamp with time zone,
    dispute_id uuid,
    dispute_case_id uuid,
    dispute_status text,
    CONSTRAINT charge_amount_check CHECK ((amount > 0)),
    CONSTRAINT charge_confirmation_method_check CHECK ((confirmation_method = ANY (ARRAY['consumer_code'::text, 'app'::text]))),
    CONSTRAINT charge_dispute_is_whole CHECK ((((dispute_id IS NULL) = (dispute_status IS NULL)) AND ((dispute_case_id IS NULL) = (dispute_status IS NULL)))),
    CONSTRAINT charge_dispute_status_is_known CHECK ((dispute_status = ANY (ARRAY['open'::text, 'upheld'::text, 'dismissed'::text]))),
    CONSTRAINT charge_disputed_as_its_dispute CHECK (
CASE dispute_status
    WHEN 'open'::text THEN ((status = 'disputed'::text) AND (reversal_status IS NULL))
    WHEN 'upheld'::text THEN ((status = ANY (ARRAY['disputed'::text, 'reversed'::text])) AND (reversal_status IS NOT NULL))
    WHEN 'dismissed'::text THEN (status = ANY (ARRAY['confirmed'::text, 'reversed'::text]))
    ELSE (status <> 'disputed'::text)
END),
    CONSTRAINT charge_is_of_one_kind CHECK ((((kind = 'stored_value'::text) = (amount IS NOT NULL)) AND ((kind = 'count'::text) = (sessions IS NOT NULL)) AND ((kind = 'period'::text) = (visit IS NOT NULL)))),
    CONSTRAINT charge_kind_check CHECK ((kind = ANY (ARRAY['stored_value'::text, 'count'::text, 'period'::text]))),
    CONSTRAINT charge_list_amount_check CHECK ((list_amount >= 0)),
    CONSTRAINT charge_release_amount_check CHECK ((release_amount >= 0)),
    CONSTRAINT charge_released_was_confirmed CHECK ((((confirmation_id IS NULL) = (status = ANY (ARRAY['pending_confirmation'::text, 'declined'::text, 'expired'::text, 'cancelled'::text]))) AND ((confirmation_id IS NULL) = (release_amount IS NULL)) AND ((confirmation_id IS NULL) = (confirmed_at IS NULL)))),
    CONSTRAINT charge_reversal_amount_check CHECK ((reversal_amount >= 0)),
    CONSTRAINT charge_reversal_status_check CHECK ((reversal_status = ANY (ARRAY['pending'::text, 'done'::text, 'failed'::text]))),
    CONSTRAINT charge_sessions_check CHECK ((sessions > 0)),
    CONSTRAINT charge_status_check CHECK ((status = ANY (ARRAY['pending_confirmation'::text, 'confirmed'::text, 'declined'::text, 'expired'::text, 'cancelled'::text, 'disputed'::text, 'reversed'::text])))
)
WITH (fillfactor='90');

CREATE TABLE public.checkpoint (
    checkpoint_id uuid NOT NULL,
    document bytea NOT NULL,
    signature bytea NOT NULL,
    key_id text NOT NULL,
    created_at timestamp with time zone NOT NULL
);

CREATE TABLE public.closure (
    merchant_no integer NOT NULL,
    closure_id uuid NOT NULL,
    kind text NOT NULL,
    reason text NOT NULL,
    status text NOT NULL,
    ordered_by text NOT NULL,
    created_at timestamp with time zone NOT NULL,
    notice_ends_at timestamp with time zone,
    closing_at timestamp with time zone,
    started_at timestamp with time zone,
    finished_at timestamp with time zone,
    card_count integer DEFAULT 0 NOT NULL,
    refund_amount bigint DEFAULT 0 NOT NULL,
    refunded_count integer DEFAULT 0 NOT NULL,
    refunded_amount bigint DEFAULT 0 NOT NULL,
    run_microseconds bigint DEFAULT 0 NOT NULL,
    shortfall_amount bigint DEFAULT 0 NOT NULL,
    adjusting boolean DEFAULT false NOT NULL,
    shared_seq bigint DEFAULT 0 NOT NULL,
    seen_seq bigint DEFAULT 0 NOT NULL,
    CONSTRAINT closure_card_count_check CHECK ((card_count >= 0)),
    CONSTRAINT closure_finished_has_an_end CHECK (((finished_at IS NOT NULL) = (status = ANY (ARRAY['closed'::text, 'closed_with_shortfall'::text, 'cancelled'::text])))),
    CONSTRAINT closure_kind_is_known CHECK ((kind = ANY (ARRAY['notice'::text, 'immediate'::text, 'absconded'::text]))),
    CONSTRAINT closure_notice_has_an_end CHECK (((kind = 'notice'::text) = (notice_ends_at IS NOT NULL))),
    CONSTRAINT closure_refund_amount_check CHECK ((refund_amount >= 0)),
    CONSTRAINT closure_refunded_amount_check CHECK ((refunded_amount >= 0)),
    CONSTRAINT closure_refunded_count_check CHECK ((refunded_count >= 0)),
    CONSTRAINT closure_shortfall_amount_check CHECK ((shortfall_amount >= 0)),
    CONSTRAINT closure_status_follows_its_steps CHECK (
CASE status
    WHEN 'notice'::text THEN ((kind = 'notice'::text) AND (closing_at IS NULL))
    WHEN 'cancelled'::text THEN ((kind = 'notice'::text) AND (closing_at IS NULL))
    WHEN 'closing'::text THEN ((closing_at IS NOT NULL) AND (started_at IS NULL))
    ELSE ((closing_at IS NOT NULL) AND (started_at IS NOT NULL))
END),
    CONSTRAINT closure_status_is_known CHECK ((status = ANY (ARRAY['notice'::text, 'closing'::text, 'refunding'::text, 'closed'::text, 'closed_with_shortfall'::text, 'cancelled'::text])))
);

CREATE TABLE public.closure_certificate (
    merchant_no integer NOT NULL,
    closure_id uuid NOT NULL,
    number integer NOT NULL,
    document text NOT NULL,
    sha256 bytea NOT NULL,
    signature bytea NOT NULL,
    key_id text NOT NULL,
    issued_at timestamp with time zone NOT NULL,
    CONSTRAINT closure_certificate_number_check CHECK ((number > 0)),
    CONSTRAINT closure_certificate_sha256_check CHECK ((octet_length(sha256) = 32))
);

CREATE TABLE public.closure_recut (
    merchant_no integer NOT NULL,
    file_id uuid NOT NULL,
    kind text NOT NULL,
    business_date date NOT NULL,
    done_at timestamp with time zone
);

CREATE TABLE public.closure_share (
    merchant_no integer NOT NULL,
    claim_id uuid NOT NULL,
    closure_id uuid NOT NULL,
    claim_amount bigint NOT NULL,
    amount bigint NOT NULL,
    CONSTRAINT closure_share_check CHECK (((amount >= 0) AND (amount <= claim_amount))),
    CONSTRAINT closure_share_claim_amount_check CHECK ((claim_amount > 0))
);

CREATE UNLOGGED TABLE public.consumer_code (
    merchant_no integer NOT NULL,
    code_hash bytea NOT NULL,
    consumer uuid NOT NULL,
    card_id uuid,
    product_id uuid,
    store_id uuid,
    max_amount bigint,
    created_at timestamp with time zone NOT NULL,
    expires_at timestamp with time zone NOT NULL,
    CONSTRAINT consumer_code_code_hash_check CHECK ((octet_length(code_hash) = 32)),
    CONSTRAINT consumer_code_max_amount_check CHECK ((max_amount > 0))
);

CREATE TABLE public.consumer_merchant (
    consumer uuid NOT NULL,
    merchant_no integer NOT NULL
);

CREATE TABLE public.custody_account (
    merchant_no integer NOT NULL,
    bank text NOT NULL,
    account_number text NOT NULL,
    holder_name text NOT NULL,
    created_at timestamp with time zone NOT NULL
);

CREATE TABLE public.dispute (
    merchant_no integer NOT NULL,
    dispute_id uuid NOT NULL,
    charge_id uuid NOT NULL,
    case_id uuid NOT NULL,
    status text NOT NULL,
    set_aside_amount bigint NOT NULL,
    opened_at timestamp with time zone NOT NULL,
    decided_at timestamp with time zone,
    CONSTRAINT dispute_decided_says_when CHECK (((status = 'open'::text) = (decided_at IS NULL))),
    CONSTRAINT dispute_set_aside_is_not_negative CHECK ((set_aside_amount >= 0)),
    CONSTRAINT dispute_status_is_known CHECK ((status = ANY (ARRAY['open'::text, 'upheld'::text, 'dismissed'::text])))
);

CREATE TABLE public.fact (
    merchant_no integer NOT NULL,
    seq bigint NOT NULL,
    kind text NOT NULL,
    subject_id uuid NOT NULL,
    content_hash bytea NOT NULL,
    chain_hash bytea NOT NULL,
    effective_at timestamp with time zone NOT NULL,
    recorded_at timestamp with time zone NOT NULL,
    CONSTRAINT fact_chain_hash_check CHECK ((octet_length(chain_hash) = 32)),
    CONSTRAINT fact_content_hash_check CHECK ((octet_length(content_hash) = 32))
);

CREATE TABLE public.file_sequence (
    bank text NOT NULL,
    kind text NOT NULL,
    last_sequence bigint DEFAULT 0 NOT NULL,
    CONSTRAINT file_sequence_kind_check CHECK ((kind = ANY (ARRAY['release'::text, 'refund'::text])))
);

CREATE TABLE public.hold (
    merchant_no integer NOT NULL,
    hold_id uuid NOT NULL,
    target text NOT NULL,
    target_id uuid NOT NULL,
    amount bigint,
    document_number text NOT NULL,
    reason text NOT NULL,
    text_salt bytea NOT NULL,
    status text NOT NULL,
    placed_by text NOT NULL,
    placed_at timestamp with time zone NOT NULL,
    expires_at timestamp with time zone,
    ended_at timestamp with time zone,
    seq bigint NOT NULL,
    ended_seq bigint,
    CONSTRAINT hold_amount_is_positive CHECK ((amount > 0)),
    CONSTRAINT hold_ended_says_when CHECK ((((status = 'active'::text) = (ended_at IS NULL)) AND ((status = 'active'::text) = (ended_seq IS NULL)))),
    CONSTRAINT hold_ends_after_it_began CHECK (((expires_at > placed_at) AND (ended_at >= placed_at))),
    CONSTRAINT hold_expired_had_an_end CHECK (((status <> 'expired'::text) OR (expires_at IS NOT NULL))),
    CONSTRAINT hold_status_is_known CHECK ((status = ANY (ARRAY['active'::text, 'lifted'::text, 'expired'::text]))),
    CONSTRAINT hold_target_is_known CHECK ((target = ANY (ARRAY['card'::text, 'payable'::text, 'custody_account'::text])))
);

CREATE TABLE public.job (
    name text NOT NULL,
    leased_until timestamp with time zone NOT NULL,
    leased_by uuid,
    finished_at timestamp with time zone
);

CREATE TABLE public.transfer (
    merchant_no integer NOT NULL,
    seq bigint NOT NULL,
    kind text NOT NULL,
    debit_account_id uuid NOT NULL,
    credit_account_id uuid NOT NULL,
    amount bigint NOT NULL,
    debit_balance bigint NOT NULL,
    credit_balance bigint NOT NULL,
    debit_version bigint NOT NULL,
    credit_version bigint NOT NULL,
    subject_id uuid NOT NULL,
    corrects_seq bigint,
    content_hash bytea NOT NULL,
    chain_hash bytea NOT NULL,
    effective_at timestamp with time zone NOT NULL,
    recorded_at timestamp with time zone NOT NULL,
    CONSTRAINT transfer_amount_is_positive CHECK ((amount > 0)),
    CONSTRAINT transfer_chain_hash_check CHECK ((octet_length(chain_hash) = 32)),
    CONSTRAINT transfer_content_hash_check CHECK ((octet_length(content_hash) = 32)),
    CONSTRAINT transfer_corrects_an_earlier_one CHECK ((corrects_seq < seq)),
    CONSTRAINT transfer_is_between_two_accounts CHECK ((debit_account_id <> credit_account_id))
);

CREATE VIEW public.ledger_entry AS
 SELECT transfer.merchant_no,
    transfer.seq,
    transfer.debit_account_id AS account_id,
    'debit'::text AS side,
    transfer.amount,
    transfer.debit_balance AS balance,
    transfer.debit_version AS version,
    transfer.kind,
    transfer.subject_id,
    transfer.recorded_at
   FROM public.transfer
UNION ALL
 SELECT transfer.merchant_no,
    transfer.seq,
    transfer.credit_account_id AS account_id,
    'credit'::text AS side,
    transfer.amount,
    transfer.credit_balance AS balance,
    transfer.credit_version AS version,
    transfer.kind,
    transfer.subject_id,
    transfer.recorded_at
   FROM public.transfer;

CREATE TABLE public.merchant (
    merchant_no integer NOT NULL,
    merchant_id uuid NOT NULL,
    name text NOT NULL,
    licence_number text NOT NULL,
    industry text NOT NULL,
    district text NOT NULL,
    created_at timestamp with time zone NOT NULL,
    CONSTRAINT merchant_industry_is_known CHECK ((industry = ANY (ARRAY['hairdressing'::text, 'beauty'::text, 'fitness'::text, 'catering'::text, 'training'::text, 'retail'::text, 'laundry'::text, 'car_service'::text, 'other'::text]))),
    CONSTRAINT merchant_no_is_positive CHECK ((merchant_no > 0))
);

ALTER TABLE public.merchant ALTER COLUMN merchant_no ADD GENERATED BY DEFAULT AS IDENTITY (
    SEQUENCE NAME public.merchant_merchant_no_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE public.outbox (
    batch_id uuid NOT NULL,
    events jsonb NOT NULL,
    created_at timestamp with time zone NOT NULL
);

CREATE TABLE public.payee_account (
    merchant_no integer NOT NULL,
    payee_account_id uuid NOT NULL,
    holder_name text NOT NULL,
    account_number bytea NOT NULL,
    account_number_mask text NOT NULL,
    bank_code text NOT NULL,
    status text NOT NULL,
    approval_id uuid,
    proposed_at timestamp with time zone NOT NULL,
    effective_from timestamp with time zone,
    blocked_at timestamp with time zone,
    blocked_reason text,
    CONSTRAINT payee_account_blocked_reason_check CHECK ((blocked_reason = ANY (ARRAY['account_closed'::text, 'account_unknown'::text, 'name_mismatch'::text]))),
    CONSTRAINT payee_account_status_check CHECK ((status = ANY (ARRAY['proposed'::text, 'approved'::text, 'rejected'::text]))),
    CONSTRAINT payee_approved_has_a_start CHECK (((status = 'approved'::text) = (effective_from IS NOT NULL)))
);

CREATE TABLE public.payment_file (
    file_id uuid NOT NULL,
    kind text NOT NULL,
    bank text NOT NULL,
    business_date date NOT NULL,
    sequence bigint,
    status text NOT NULL,
    order_count integer,
    total_amount bigint,
    sha256 bytea,
    signature bytea,
    key_id text,
    handed_out_at timestamp with time zone,
    cancelled_at timestamp with time zone,
    acknowledged_at timestamp with time zone,
    created_at timestamp with time zone NOT NULL,
    CONSTRAINT payment_file_cancelled_was_not_handed_out CHECK ((((status <> 'cancelled'::text) OR (cancelled_at IS NOT NULL)) AND ((cancelled_at IS NULL) OR (handed_out_at IS NULL)))),
    CONSTRAINT payment_file_kind_check CHECK ((kind = ANY (ARRAY['release'::text, 'refund'::text]))),
    CONSTRAINT payment_file_sealed_has_all CHECK ((((status = 'cutting'::text) = (sequence IS NULL)) AND ((sequence IS NULL) = (sha256 IS NULL)) AND ((sequence IS NULL) = (signature IS NULL)) AND ((sequence IS NULL) = (total_amount IS NULL)))),
    CONSTRAINT payment_file_status_check CHECK ((status = ANY (ARRAY['cutting'::text, 'ready'::text, 'acknowledged'::text, 'completed'::text, 'rejected'::text, 'cancelled'::text])))
);

CREATE TABLE public.payment_order (
    merchant_no integer NOT NULL,
    order_id uuid NOT NULL,
    file_id uuid NOT NULL,
    kind text NOT NULL,
    refund_id uuid,
    attempt integer,
    custody_account text NOT NULL,
    payee_account_id uuid,
    payee_name bytea NOT NULL,
    payee_account_number bytea NOT NULL,
    payee_bank_code text,
    amount bigint NOT NULL,
    remittance text NOT NULL,
    status text NOT NULL,
    reason text,
    claimed_amount bigint DEFAULT 0 NOT NULL,
    seq bigint NOT NULL,
    deductions jsonb NOT NULL,
    created_at timestamp with time zone NOT NULL,
    CONSTRAINT payment_order_amount_check CHECK ((amount > 0)),
    CONSTRAINT payment_order_claims_at_most_itself CHECK (((claimed_amount >= 0) AND (claimed_amount <= amount))),
    CONSTRAINT payment_order_kind_check CHECK ((kind = ANY (ARRAY['release'::text, 'refund'::text]))),
    CONSTRAINT payment_order_reason_check CHECK ((reason = ANY (ARRAY['account_closed'::text, 'account_unknown'::text, 'name_mismatch'::text, 'technical'::text, 'other'::text]))),
    CONSTRAINT payment_order_refund_names_it CHECK (((kind = 'refund'::text) = (refund_id IS NOT NULL))),
    CONSTRAINT payment_order_status_check CHECK ((status = ANY (ARRAY['pending'::text, 'paid'::text, 'rejected'::text, 'returned'::text, 'cancelled'::text])))
);

CREATE TABLE public.policy (
    policy_id uuid NOT NULL,
    version bigint NOT NULL,
    key text NOT NULL,
    region text NOT NULL,
    value jsonb NOT NULL,
    valid_from date NOT NULL,
    valid_to date,
    approval_id uuid NOT NULL,
    created_at timestamp with time zone NOT NULL,
    CONSTRAINT policy_ends_after_its_start CHECK ((valid_to > valid_from)),
    CONSTRAINT policy_region_is_a_division CHECK ((region ~ '^([0-9]{2}){0,3}$'::text)),
    CONSTRAINT policy_version_is_positive CHECK ((version > 0))
);

CREATE TABLE public.refund (
    merchant_no integer NOT NULL,
    refund_id uuid NOT NULL,
    receipt_id uuid,
    card_id uuid,
    status text NOT NULL,
    amount bigint NOT NULL,
    payee_name bytea,
    payee_account_number bytea,
    payee_bank_code text,
    attempt integer DEFAULT 0 NOT NULL,
    decided_at timestamp with time zone,
    consumer uuid,
    reason text,
    refund_class text,
    formula text,
    formula_version integer,
    policy_version bigint,
    inputs jsonb,
    as_of date,
    residue_amount bigint,
    interest_claim_amount bigint,
    case_id uuid,
    supplements uuid,
    former_status text,
    new_payee_name bytea,
    new_payee_account_number bytea,
    new_payee_bank_code text,
    created_at timestamp with time zone,
    settled_at timestamp with time zone,
    closure_id uuid,
    unpaid_amount bigint DEFAULT 0 NOT NULL,
    CONSTRAINT refund_amount_is_positive CHECK (((amount > 0) OR ((amount = 0) AND ((card_id IS NOT NULL) OR (unpaid_amount > 0)) AND (status <> ALL (ARRAY['decided'::text, 'in_transit'::text, 'account_needed'::text]))))),
    CONSTRAINT refund_class_is_known CHECK ((refund_class = ANY (ARRAY['merchant_fault'::text, 'consumer_choice'::text, 'cooling_off'::text, 'agreed'::text]))),
    CONSTRAINT refund_of_a_card_says_why CHECK (((card_id IS NULL) OR ((consumer IS NOT NULL) AND (reason IS NOT NULL) AND (refund_class IS NOT NULL) AND (formula IS NOT NULL) AND (formula_version IS NOT NULL) AND (policy_version IS NOT NULL) AND (inputs IS NOT NULL) AND (as_of IS NOT NULL) AND ((residue_amount >= 0) OR (supplements IS NOT NULL)) AND (interest_claim_amount >= 0) AND (created_at IS NOT NULL)))),
    CONSTRAINT refund_of_a_receipt_or_a_card CHECK (((receipt_id IS NULL) <> (card_id IS NULL))),
    CONSTRAINT refund_reason_is_known CHECK ((reason = ANY (ARRAY['cooling_off'::text, 'consumer_choice'::text, 'store_moved'::text, 'obligations_transferred'::text, 'service_unavailable'::text, 'health'::text, 'minor'::text, 'merchant_offer'::text, 'closure'::text]))),
    CONSTRAINT refund_settled_was_decided CHECK (((settled_at IS NULL) OR ((card_id IS NOT NULL) AND (decided_at IS NOT NULL)))),
    CONSTRAINT refund_status_is_known CHECK ((status = ANY (ARRAY['offered'::text, 'requested'::text, 'case_open'::text, 'declined'::text, 'rejected'::text, 'withdrawn'::text, 'decided'::text, 'in_transit'::text, 'paid'::text, 'account_needed'::text]))),
    CONSTRAINT refund_supplement_is_of_a_card CHECK (((supplements IS NULL) OR (card_id IS NOT NULL))),
    CONSTRAINT refund_that_moves_was_decided CHECK (((status = ANY (ARRAY['offered'::text, 'requested'::text, 'case_open'::text, 'declined'::text, 'rejected'::text, 'withdrawn'::text])) = (decided_at IS NULL))),
    CONSTRAINT refund_to_be_paid_has_a_payee CHECK (((status <> ALL (ARRAY['decided'::text, 'in_transit'::text])) OR ((payee_name IS NOT NULL) AND (payee_account_number IS NOT NULL)))),
    CONSTRAINT refund_unpaid_is_not_negative CHECK (((unpaid_amount >= 0) OR ((supplements IS NOT NULL) AND ((amount + unpaid_amount) = 0))))
);

CREATE TABLE public.result_outcome (
    merchant_no integer NOT NULL,
    report_id uuid NOT NULL,
    "position" integer NOT NULL,
    order_id uuid NOT NULL,
    outcome text NOT NULL,
    CONSTRAINT result_outcome_outcome_check CHECK ((outcome = ANY (ARRAY['applied'::text, 'unchanged'::text, 'conflict'::text])))
);

CREATE TABLE public.result_report (
    report_id uuid NOT NULL,
    file_id uuid NOT NULL,
    body jsonb NOT NULL,
    received_at timestamp with time zone NOT NULL,
    applied_at timestamp with time zone,
    file_status text,
    CONSTRAINT result_report_applied_says_of_its_file CHECK (((applied_at IS NULL) = (file_status IS NULL)))
);

CREATE TABLE public.sandbox_clock (
    only_row boolean DEFAULT true NOT NULL,
    offset_seconds bigint NOT NULL,
    CONSTRAINT sandbox_clock_never_back CHECK ((offset_seconds >= 0)),
    CONSTRAINT sandbox_clock_only_row_check CHECK (only_row)
);

CREATE TABLE public.signing_key (
    key_id text NOT NULL,
    public_key bytea NOT NULL,
    created_at timestamp with time zone NOT NULL,
    CONSTRAINT signing_key_public_key_check CHECK ((octet_length(public_key) = 32))
);

CREATE TABLE public.stored_request (
    merchant_no integer NOT NULL,
    request_id uuid NOT NULL,
    fingerprint bytea NOT NULL,
    command text NOT NULL,
    subject_id uuid,
    refusal text,
    facts jsonb,
    created_at timestamp with time zone NOT NULL
);

ALTER TABLE ONLY public.account
    ADD CONSTRAINT account_pkey PRIMARY KEY (merchant_no, account_id);

ALTER TABLE ONLY public.alert
    ADD CONSTRAINT alert_pkey PRIMARY KEY (alert_id);

ALTER TABLE ONLY public.api_key
    ADD CONSTRAINT api_key_pkey PRIMARY KEY (key_id);

ALTER TABLE ONLY public.api_key
    ADD CONSTRAINT api_key_secret_is_unique UNIQUE (secret_hash);

ALTER TABLE ONLY public.approval
    ADD CONSTRAINT approval_pkey PRIMARY KEY (approval_id);

ALTER TABLE ONLY public.book
    ADD CONSTRAINT book_pkey PRIMARY KEY (merchant_no);

ALTER TABLE ONLY public.business_day
    ADD CONSTRAINT business_day_pkey PRIMARY KEY (day);

ALTER TABLE ONLY public.card_entry
    ADD CONSTRAINT card_entry_pkey PRIMARY KEY (merchant_no, card_id, entry_no);

ALTER TABLE ONLY public.card_life
    ADD CONSTRAINT card_life_pkey PRIMARY KEY (merchant_no, card_id, entry_no);

ALTER TABLE ONLY public.card
    ADD CONSTRAINT card_of_one_purchase UNIQUE (merchant_no, purchase_id);

ALTER TABLE ONLY public.card
    ADD CONSTRAINT card_pkey PRIMARY KEY (merchant_no, card_id);

ALTER TABLE ONLY public.card_product
    ADD CONSTRAINT card_product_pkey PRIMARY KEY (merchant_no, product_id);

ALTER TABLE ONLY public.card_transfer
    ADD CONSTRAINT card_transfer_pkey PRIMARY KEY (merchant_no, transfer_id);

ALTER TABLE ONLY public.case_file
    ADD CONSTRAINT case_file_pkey PRIMARY KEY (merchant_no, case_id);

ALTER TABLE ONLY public.charge
    ADD CONSTRAINT charge_pkey PRIMARY KEY (merchant_no, charge_id);

ALTER TABLE ONLY public.checkpoint
    ADD CONSTRAINT checkpoint_pkey PRIMARY KEY (checkpoint_id);

ALTER TABLE ONLY public.closure_certificate
    ADD CONSTRAINT closure_certificate_pkey PRIMARY KEY (merchant_no, closure_id, number);

ALTER TABLE ONLY public.closure
    ADD CONSTRAINT closure_pkey PRIMARY KEY (merchant_no, closure_id);

ALTER TABLE ONLY public.closure_recut
    ADD CONSTRAINT closure_recut_pkey PRIMARY KEY (merchant_no, file_id);

ALTER TABLE ONLY public.closure_share
    ADD CONSTRAINT closure_share_pkey PRIMARY KEY (merchant_no, claim_id);

ALTER TABLE ONLY public.consumer_code
    ADD CONSTRAINT consumer_code_pkey PRIMARY KEY (merchant_no, code_hash);

ALTER TABLE ONLY public.consumer_merchant
    ADD CONSTRAINT consumer_merchant_pkey PRIMARY KEY (consumer, merchant_no);

ALTER TABLE ONLY public.custody_account
    ADD CONSTRAINT custody_account_number_is_unique UNIQUE (account_number);

ALTER TABLE ONLY public.custody_account
    ADD CONSTRAINT custody_account_pkey PRIMARY KEY (merchant_no);

ALTER TABLE ONLY public.dispute
    ADD CONSTRAINT dispute_of_a_charge_once UNIQUE (merchant_no, charge_id);

ALTER TABLE ONLY public.dispute
    ADD CONSTRAINT dispute_pkey PRIMARY KEY (merchant_no, dispute_id);

ALTER TABLE ONLY public.fact
    ADD CONSTRAINT fact_pkey PRIMARY KEY (merchant_no, seq);

ALTER TABLE ONLY public.file_sequence
    ADD CONSTRAINT file_sequence_pkey PRIMARY KEY (bank, kind);

ALTER TABLE ONLY public.hold
    ADD CONSTRAINT hold_pkey PRIMARY KEY (merchant_no, hold_id);

ALTER TABLE ONLY public.job
    ADD CONSTRAINT job_pkey PRIMARY KEY (name);

ALTER TABLE ONLY public.merchant
    ADD CONSTRAINT merchant_id_is_unique UNIQUE (merchant_id);

ALTER TABLE ONLY public.merchant
    ADD CONSTRAINT merchant_licence_is_unique UNIQUE (licence_number);

ALTER TABLE ONLY public.merchant
    ADD CONSTRAINT merchant_pkey PRIMARY KEY (merchant_no);

ALTER TABLE ONLY public.outbox
    ADD CONSTRAINT outbox_pkey PRIMARY KEY (batch_id);

ALTER TABLE ONLY public.payee_account
    ADD CONSTRAINT payee_account_pkey PRIMARY KEY (merchant_no, payee_account_id);

ALTER TABLE ONLY public.payment_file
    ADD CONSTRAINT payment_file_pkey PRIMARY KEY (file_id);

ALTER TABLE ONLY public.payment_file
    ADD CONSTRAINT payment_file_sequence_is_unique UNIQUE (bank, kind, sequence);

ALTER TABLE ONLY public.payment_order
    ADD CONSTRAINT payment_order_of_refund_once UNIQUE (merchant_no, refund_id, attempt);

ALTER TABLE ONLY public.payment_order
    ADD CONSTRAINT payment_order_pkey PRIMARY KEY (merchant_no, order_id);

ALTER TABLE ONLY public.policy
    ADD CONSTRAINT policy_begins_once UNIQUE (key, region, valid_from);

ALTER TABLE ONLY public.policy
    ADD CONSTRAINT policy_ends_once UNIQUE (key, region, valid_to);

ALTER TABLE ONLY public.policy
    ADD CONSTRAINT policy_is_approved_once UNIQUE (approval_id);

ALTER TABLE ONLY public.policy
    ADD CONSTRAINT policy_pkey PRIMARY KEY (policy_id);

ALTER TABLE ONLY public.policy
    ADD CONSTRAINT policy_version_is_unique UNIQUE (version);

ALTER TABLE ONLY public.purchase
    ADD CONSTRAINT purchase_pkey PRIMARY KEY (merchant_no, purchase_id);

ALTER TABLE ONLY public.receipt
    ADD CONSTRAINT receipt_bank_reference_is_unique UNIQUE (merchant_no, custody_account, bank_reference, bank);

ALTER TABLE ONLY public.receipt
    ADD CONSTRAINT receipt_pkey PRIMARY KEY (merchant_no, receipt_id);

ALTER TABLE ONLY public.refund
    ADD CONSTRAINT refund_of_a_receipt_once UNIQUE (merchant_no, receipt_id);

ALTER TABLE ONLY public.refund
    ADD CONSTRAINT refund_pkey PRIMARY KEY (merchant_no, refund_id);

ALTER TABLE ONLY public.result_outcome
    ADD CONSTRAINT result_outcome_pkey PRIMARY KEY (merchant_no, report_id, "position");

ALTER TABLE ONLY public.result_report
    ADD CONSTRAINT result_report_pkey PRIMARY KEY (report_id);

ALTER TABLE ONLY public.sandbox_clock
    ADD CONSTRAINT sandbox_clock_pkey PRIMARY KEY (only_row);

ALTER TABLE ONLY public.signing_key
    ADD CONSTRAINT signing_key_pkey PRIMARY KEY (key_id);

ALTER TABLE ONLY public.store
    ADD CONSTRAINT store_pkey PRIMARY KEY (merchant_no, store_id);

ALTER TABLE ONLY public.stored_request
    ADD CONSTRAINT stored_request_pkey PRIMARY KEY (merchant_no, request_id);

ALTER TABLE ONLY public.transfer
    ADD CONSTRAINT transfer_pkey PRIMARY KEY (merchant_no, seq);

CREATE INDEX api_key_revoked ON public.api_key USING btree (revoked_at) WHERE (revoked_at IS NOT NULL);

CREATE INDEX approval_waiting ON public.approval USING btree (action, subject_id) WHERE (status = 'proposed'::text);

CREATE INDEX card_of_consumer ON public.card USING btree (merchant_no, consumer);

CREATE INDEX card_transfer_of_card ON public.card_transfer USING btree (merchant_no, card_id);

CREATE INDEX card_transfer_of_giver ON public.card_transfer USING btree (giver, transfer_id);

CREATE INDEX card_transfer_of_receiver ON public.card_transfer USING btree (receiver, transfer_id);

CREATE UNIQUE INDEX card_transfer_one_offer ON public.card_transfer USING btree (merchant_no, card_id) WHERE (status = 'offered'::text);

CREATE INDEX case_in_order ON public.case_file USING btree (case_id);

CREATE INDEX case_of_card ON public.case_file USING btree (merchant_no, card_id) WHERE (card_id IS NOT NULL);

CREATE INDEX case_of_charge ON public.case_file USING btree (merchant_no, charge_id) WHERE (charge_id IS NOT NULL);

CREATE UNIQUE INDEX case_of_charge_once ON public.case_file USING btree (merchant_no, charge_id) WHERE ((charge_id IS NOT NULL) AND (status <> 'decided'::text));

CREATE INDEX case_of_consumer ON public.case_file USING btree (consumer, case_id);

CREATE UNIQUE INDEX case_of_refund_once ON public.case_file USING btree (merchant_no, refund_id) WHERE (refund_id IS NOT NULL);

CREATE INDEX case_unanswered ON public.case_file USING btree (answer_due_on, case_id) WHERE (status = 'open'::text);

CREATE UNIQUE INDEX charge_client_reference_is_unique ON public.charge USING btree (merchant_no, client_reference) WHERE (client_reference IS NOT NULL);

CREATE UNIQUE INDEX charge_code_is_used_once ON public.charge USING btree (merchant_no, code_hash) WHERE (code_hash IS NOT NULL);

CREATE INDEX charge_disputed ON public.charge USING btree (merchant_no) WHERE (status = 'disputed'::text);

CREATE INDEX charge_due ON public.charge USING btree (expires_at) WHERE (status = 'pending_confirmation'::text);

CREATE INDEX charge_of_consumer ON public.charge USING btree (merchant_no, consumer, charge_id);

CREATE INDEX charge_pending ON public.charge USING btree (merchant_no, consumer) WHERE (status = 'pending_confirmation'::text);

CREATE INDEX charge_reversal_waiting ON public.charge USING btree (merchant_no, ((status <> 'disputed'::text)), reversal_requested_at, charge_id) WHERE (reversal_status = 'pending'::text);

CREATE UNIQUE INDEX closure_of_a_merchant_once ON public.closure USING btree (merchant_no) WHERE (status <> 'cancelled'::text);

CREATE INDEX closure_recut_waiting ON public.closure_recut USING btree (merchant_no) WHERE (done_at IS NULL);

CREATE INDEX consumer_code_expiry ON public.consumer_code USING btree (expires_at);

CREATE INDEX hold_in_force ON public.hold USING btree (merchant_no, target_id) WHERE (status = 'active'::text);

CREATE UNIQUE INDEX hold_newest ON public.hold USING btree (hold_id);

CREATE INDEX hold_to_expire ON public.hold USING btree (expires_at) WHERE ((status = 'active'::text) AND (expires_at IS NOT NULL));

CREATE UNIQUE INDEX payment_file_cutting_once ON public.payment_file USING btree (bank, kind) WHERE (status = 'cutting'::text);

CREATE INDEX payment_file_of_bank ON public.payment_file USING btree (bank, file_id);

CREATE INDEX payment_order_of_file ON public.payment_order USING btree (file_id, order_id);

CREATE UNIQUE INDEX payment_order_release_once_a_file ON public.payment_order USING btree (merchant_no, file_id) WHERE (kind = 'release'::text);

CREATE UNIQUE INDEX policy_runs_on_once ON public.policy USING btree (key, region) WHERE (valid_to IS NULL);

CREATE INDEX purchase_accepted_by ON public.purchase USING btree (merchant_no, consumer, expires_at) WHERE ((status = 'awaiting_payment'::text) AND (accepted_at IS NOT NULL));

CREATE INDEX receipt_in_suspense ON public.receipt USING btree (merchant_no, received_at) WHERE (status = 'suspense'::text);

CREATE INDEX refund_grown_in_closure ON public.refund USING btree (merchant_no, card_id) WHERE ((status = 'decided'::text) AND (closure_id IS NULL) AND (card_id IS NOT NULL));

CREATE UNIQUE INDEX refund_of_a_card_once ON public.refund USING btree (merchant_no, card_id) WHERE ((card_id IS NOT NULL) AND (supplements IS NULL) AND (status = ANY (ARRAY['requested'::text, 'case_open'::text, 'decided'::text, 'in_transit'::text, 'paid'::text, 'account_needed'::text])));

CREATE INDEX refund_of_card ON public.refund USING btree (merchant_no, card_id) WHERE (card_id IS NOT NULL);

CREATE INDEX refund_of_closure ON public.refund USING btree (merchant_no, refund_id) WHERE (closure_id IS NOT NULL);

CREATE INDEX refund_of_consumer ON public.refund USING btree (merchant_no, consumer, refund_id) WHERE (consumer IS NOT NULL);

CREATE INDEX refund_to_settle ON public.refund USING btree (merchant_no) WHERE ((status = 'paid'::text) AND (settled_at IS NULL) AND (card_id IS NOT NULL));

CREATE INDEX refund_waiting ON public.refund USING btree (merchant_no, decided_at, refund_id) WHERE (status = 'decided'::text);

CREATE INDEX result_outcome_of_report ON public.result_outcome USING btree (report_id, "position");

CREATE INDEX result_report_unapplied ON public.result_report USING btree (received_at) WHERE (applied_at IS NULL);

CREATE INDEX stored_request_of_refusals ON public.stored_request USING btree (created_at) WHERE (refusal IS NOT NULL);

ALTER TABLE ONLY public.account
    ADD CONSTRAINT account_merchant_no_fkey FOREIGN KEY (merchant_no) REFERENCES public.book(merchant_no);

ALTER TABLE ONLY public.api_key
    ADD CONSTRAINT api_key_merchant_no_fkey FOREIGN KEY (merchant_no) REFERENCES public.merchant(merchant_no);

ALTER TABLE ONLY public.book
    ADD CONSTRAINT book_merchant_no_fkey FOREIGN KEY (merchant_no) REFERENCES public.merchant(merchant_no);

ALTER TABLE ONLY public.card
    ADD CONSTRAINT card_merchant_no_product_id_fkey FOREIGN KEY (merchant_no, product_id) REFERENCES public.card_product(merchant_no, product_id);

ALTER TABLE ONLY public.card
    ADD CONSTRAINT card_merchant_no_purchase_id_fkey FOREIGN KEY (merchant_no, purchase_id) REFERENCES public.purchase(merchant_no, purchase_id);

ALTER TABLE ONLY public.card_product
    ADD CONSTRAINT card_product_merchant_no_fkey FOREIGN KEY (merchant_no) REFERENCES public.merchant(merchant_no);

ALTER TABLE ONLY public.card_transfer
    ADD CONSTRAINT card_transfer_merchant_no_card_id_fkey FOREIGN KEY (merchant_no, card_id) REFERENCES public.card(merchant_no, card_id);

ALTER TABLE ONLY public.checkpoint
    ADD CONSTRAINT checkpoint_key_id_fkey FOREIGN KEY (key_id) REFERENCES public.signing_key(key_id);

ALTER TABLE ONLY public.closure_certificate
    ADD CONSTRAINT closure_certificate_key_id_fkey FOREIGN KEY (key_id) REFERENCES public.signing_key(key_id);

ALTER TABLE ONLY public.closure_certificate
    ADD CONSTRAINT closure_certificate_merchant_no_closure_id_fkey FOREIGN KEY (merchant_no, closure_id) REFERENCES public.closure(merchant_no, closure_id);

ALTER TABLE ONLY public.closure
    ADD CONSTRAINT closure_merchant_no_fkey FOREIGN KEY (merchant_no) REFERENCES public.book(merchant_no);

ALTER TABLE ONLY public.closure_recut
    ADD CONSTRAINT closure_recut_file_id_fkey FOREIGN KEY (file_id) REFERENCES public.payment_file(file_id);

ALTER TABLE ONLY public.custody_account
    ADD CONSTRAINT custody_account_merchant_no_fkey FOREIGN KEY (merchant_no) REFERENCES public.merchant(merchant_no);

ALTER TABLE ONLY public.hold
    ADD CONSTRAINT hold_merchant_no_fkey FOREIGN KEY (merchant_no) REFERENCES public.book(merchant_no);

ALTER TABLE ONLY public.payee_account
    ADD CONSTRAINT payee_account_merchant_no_fkey FOREIGN KEY (merchant_no) REFERENCES public.merchant(merchant_no);

ALTER TABLE ONLY public.payment_file
    ADD CONSTRAINT payment_file_key_id_fkey FOREIGN KEY (key_id) REFERENCES public.signing_key(key_id);

ALTER TABLE ONLY public.payment_order
    ADD CONSTRAINT payment_order_file_id_fkey FOREIGN KEY (file_id) REFERENCES public.payment_file(file_id);

ALTER TABLE ONLY public.policy
    ADD CONSTRAINT policy_approval_id_fkey FOREIGN KEY (approval_id) REFERENCES public.approval(approval_id);

ALTER TABLE ONLY public.policy
    ADD CONSTRAINT policy_ends_where_the_next_begins FOREIGN KEY (key, region, valid_to) REFERENCES public.policy(key, region, valid_from);

ALTER TABLE ONLY public.purchase
    ADD CONSTRAINT purchase_merchant_no_product_id_fkey FOREIGN KEY (merchant_no, product_id) REFERENCES public.card_product(merchant_no, product_id);

ALTER TABLE ONLY public.purchase
    ADD CONSTRAINT purchase_merchant_no_store_id_fkey FOREIGN KEY (merchant_no, store_id) REFERENCES public.store(merchant_no, store_id);

ALTER TABLE ONLY public.result_outcome
    ADD CONSTRAINT result_outcome_report_id_fkey FOREIGN KEY (report_id) REFERENCES public.result_report(report_id);

ALTER TABLE ONLY public.result_report
    ADD CONSTRAINT result_report_file_id_fkey FOREIGN KEY (file_id) REFERENCES public.payment_file(file_id);

ALTER TABLE ONLY public.store
    ADD CONSTRAINT store_merchant_no_fkey FOREIGN KEY (merchant_no) REFERENCES public.merchant(merchant_no);

GRANT USAGE ON SCHEMA public TO anxin_service;

GRANT ALL ON FUNCTION public.anxin_now() TO anxin_service;

GRANT SELECT,INSERT,UPDATE ON TABLE public.account TO anxin_service;

GRANT SELECT,INSERT ON TABLE public.alert TO anxin_service;

GRANT SELECT,INSERT,UPDATE ON TABLE public.api_key TO anxin_service;

GRANT SELECT,INSERT,UPDATE ON TABLE public.approval TO anxin_service;

GRANT SELECT,INSERT,UPDATE ON TABLE public.book TO anxin_service;

GRANT SELECT,INSERT,UPDATE ON TABLE public.business_day TO anxin_service;

GRANT SELECT,INSERT,UPDATE ON TABLE public.card TO anxin_service;

GRANT SELECT,INSERT ON TABLE public.card_entry TO anxin_service;

GRANT SELECT,INSERT ON TABLE public.card_life TO anxin_service;

GRANT SELECT,INSERT,UPDATE ON TABLE public.card_product TO anxin_service;

GRANT SELECT,INSERT,UPDATE ON TABLE public.purchase TO anxin_service;

GRANT SELECT,INSERT,UPDATE ON TABLE public.receipt TO anxin_service;

GRANT SELECT,INSERT,UPDATE ON TABLE public.store TO anxin_service;

GRANT SELECT,INSERT ON TABLE public.card_sale TO anxin_service;

GRANT SELECT,INSERT ON TABLE public.card_transfer TO anxin_service;

GRANT UPDATE(status) ON TABLE public.card_transfer TO anxin_service;

GRANT UPDATE(giver_salt) ON TABLE public.card_transfer TO anxin_service;

GRANT UPDATE(receiver_salt) ON TABLE public.card_transfer TO anxin_service;

GRANT UPDATE(giver_commitment) ON TABLE public.card_transfer TO anxin_service;

GRANT UPDATE(receiver_commitment) ON TABLE public.card_transfer TO anxin_service;

GRANT UPDATE(entry_no) ON TABLE public.card_transfer TO anxin_service;

GRANT UPDATE(policy_version) ON TABLE public.card_transfer TO anxin_service;

GRANT UPDATE(ended_at) ON TABLE public.card_transfer TO anxin_service;

GRANT SELECT,INSERT ON TABLE public.case_file TO anxin_service;

GRANT UPDATE(status) ON TABLE public.case_file TO anxin_service;

GRANT UPDATE(answer_due_on) ON TABLE public.case_file TO anxin_service;

GRANT UPDATE(answer_agree) ON TABLE public.case_file TO anxin_service;

GRANT UPDATE(answer_text) ON TABLE public.case_file TO anxin_service;

GRANT UPDATE(answer_text_commitment) ON TABLE public.case_file TO anxin_service;

GRANT UPDATE(answered_at) ON TABLE public.case_file TO anxin_service;

GRANT UPDATE(answered_by) ON TABLE public.case_file TO anxin_service;

GRANT UPDATE(decision) ON TABLE public.case_file TO anxin_service;

GRANT UPDATE(decision_reason) ON TABLE public.case_file TO anxin_service;

GRANT UPDATE(decision_reason_commitment) ON TABLE public.case_file TO anxin_service;

GRANT UPDATE(used_amount) ON TABLE public.case_file TO anxin_service;

GRANT UPDATE(decided_at) ON TABLE public.case_file TO anxin_service;

GRANT UPDATE(decided_by) ON TABLE public.case_file TO anxin_service;

GRANT UPDATE(approval_id) ON TABLE public.case_file TO anxin_service;

GRANT SELECT,INSERT,UPDATE ON TABLE public.charge TO anxin_service;

GRANT SELECT,INSERT ON TABLE public.checkpoint TO anxin_service;

GRANT SELECT,INSERT,UPDATE ON TABLE public.closure TO anxin_service;

GRANT SELECT,INSERT ON TABLE public.closure_certificate TO anxin_service;

GRANT SELECT,INSERT,UPDATE ON TABLE public.closure_recut TO anxin_service;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.closure_share TO anxin_service;

GRANT SELECT,INSERT,DELETE ON TABLE public.consumer_code TO anxin_service;

GRANT SELECT,INSERT ON TABLE public.consumer_merchant TO anxin_service;

GRANT SELECT,INSERT ON TABLE public.custody_account TO anxin_service;

GRANT SELECT,INSERT ON TABLE public.dispute TO anxin_service;

GRANT UPDATE(status) ON TABLE public.dispute TO anxin_service;

GRANT UPDATE(decided_at) ON TABLE public.dispute TO anxin_service;

GRANT SELECT,INSERT ON TABLE public.fact TO anxin_service;

GRANT SELECT,INSERT,UPDATE ON TABLE public.file_sequence TO anxin_service;

GRANT SELECT,INSERT ON TABLE public.hold TO anxin_service;

GRANT UPDATE(status) ON TABLE public.hold TO anxin_service;

GRANT UPDATE(ended_at) ON TABLE public.hold TO anxin_service;

GRANT UPDATE(ended_seq) ON TABLE public.hold TO anxin_service;

GRANT SELECT,INSERT,UPDATE ON TABLE public.job TO anxin_service;

GRANT SELECT,INSERT ON TABLE public.transfer TO anxin_service;

GRANT SELECT,INSERT ON TABLE public.ledger_entry TO anxin_service;

GRANT SELECT,INSERT,UPDATE ON TABLE public.merchant TO anxin_service;

GRANT USAGE ON SEQUENCE public.merchant_merchant_no_seq TO anxin_service;

GRANT SELECT,INSERT,DELETE ON TABLE public.outbox TO anxin_service;

GRANT SELECT,INSERT,UPDATE ON TABLE public.payee_account TO anxin_service;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.payment_file TO anxin_service;

GRANT SELECT,INSERT,UPDATE ON TABLE public.payment_order TO anxin_service;

GRANT SELECT,INSERT ON TABLE public.policy TO anxin_service;

GRANT UPDATE(valid_to) ON TABLE public.policy TO anxin_service;

GRANT SELECT,INSERT,UPDATE ON TABLE public.refund TO anxin_service;

GRANT SELECT,INSERT ON TABLE public.result_outcome TO anxin_service;

GRANT SELECT,INSERT,UPDATE ON TABLE public.result_report TO anxin_service;

GRANT SELECT,INSERT,UPDATE ON TABLE public.sandbox_clock TO anxin_service;

GRANT SELECT,INSERT ON TABLE public.signing_key TO anxin_service;

GRANT SELECT,INSERT,DELETE ON TABLE public.stored_request TO anxin_service;
