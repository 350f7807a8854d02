-- What the service's role may do; applied by `anxin migrate` after every upgrade. `:service` is
-- that role's quoted name. It owns nothing, and what has happened it can only add to.
REVOKE ALL ON ALL TABLES IN SCHEMA public FROM :service;
GRANT USAGE ON SCHEMA public TO :service;
GRANT SELECT, INSERT ON ALL TABLES IN SCHEMA public TO :service;
GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO :service;
GRANT EXECUTE ON FUNCTION anxin_now() TO :service;
-- The writer's opening function is made per connection, in pg_temp.
GRANT TEMPORARY ON DATABASE :database TO :service;
GRANT UPDATE ON
    sandbox_clock, merchant, book, store, payee_account, api_key, approval, business_day, job,
    account, card_product, purchase, receipt, card, charge, refund, file_sequence, payment_file,
    payment_order, result_report
TO :service;
-- A case goes on by its merchant's answer and its decision; what it is about does not change.
GRANT UPDATE (status, answer_due_on, answer_agree, answer_text, answer_text_commitment,
    answered_at, answered_by, decision, decision_reason, decision_reason_commitment, used_amount,
    decided_at, decided_by, approval_id) ON case_file TO :service;
-- A dispute is decided; what was disputed and set aside does not change.
GRANT UPDATE (status, decided_at) ON dispute TO :service;
-- A closure goes on; what was signed of it does not change.
GRANT UPDATE ON closure, closure_share, closure_recut TO :service;
-- Who gives which card to whom never changes; the rest is what became of it.
GRANT UPDATE (status, giver_salt, receiver_salt, giver_commitment, receiver_commitment, entry_no,
    policy_version, ended_at) ON card_transfer TO :service;
-- What was ordered stays as it was; a hold only ends.
GRANT UPDATE (status, ended_at, ended_seq) ON hold TO :service;
-- A policy's version is ended by the next one, and changes in nothing else.
GRANT UPDATE (valid_to) ON policy TO :service;
GRANT DELETE ON consumer_code, stored_request, outbox, payment_file, closure_share TO :service;
REVOKE INSERT ON alembic_version FROM :service;
