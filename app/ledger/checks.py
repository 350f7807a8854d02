"""Rules of the ledger as queries for the rows that break them (TRUST I1-I3, DOMAIN §5)."""

from typing import Final

from app.ledger.chart import ASSETS, MERCHANT_ACCOUNT_TYPES, account_id
from app.ledger.verification import Check

_ASSETS: Final = ", ".join(f"'{kind}'" for kind in sorted(ASSETS))

# What an entry adds to its account's balance: an asset grows by debit, a liability by credit.
_SIGNED_AMOUNT: Final = f"""
    CASE WHEN (entry.side = 'debit') = (account.type IN ({_ASSETS})) THEN entry.amount
         ELSE -entry.amount END
"""

# The id of a merchant's own account is its type's number before the merchant's.
_OWN_ACCOUNTS: Final = ", ".join(
    f"('{kind}', {account_id(0, kind).int >> 32})" for kind in MERCHANT_ACCOUNT_TYPES
)

_ENTRY_ACCOUNTS_EXIST: Final = Check(
    "entry_has_its_accounts",
    "transfer",
    "A transfer is between two accounts of its own merchant.",
    """
    SELECT entry.merchant_no, format('seq=%s', entry.seq),
           format('%s account %s of this merchant', entry.side, entry.account_id), 'no such account'
    FROM ledger_entry AS entry
    LEFT JOIN account USING (merchant_no, account_id)
    WHERE account.account_id IS NULL
    """,
)

_ENTRIES_FOLLOW: Final = Check(
    "entries_follow_each_other",
    "transfer",
    "An account's versions have no gap, and each transfer leaves the balance that it says.",
    f"""
    SELECT merchant_no, format('seq=%s, %s account %s', seq, side, account_id),
           format('version %s, balance %s', version_before + 1, balance_before + change),
           format('version %s, balance %s', version, balance)
    FROM (
        SELECT entry.*, {_SIGNED_AMOUNT} AS change,
               lag(entry.version, 1, 0::bigint) OVER earlier AS version_before,
               lag(entry.balance, 1, 0::bigint) OVER earlier AS balance_before
        FROM ledger_entry AS entry
        JOIN account USING (merchant_no, account_id)
        WINDOW earlier AS (PARTITION BY entry.merchant_no, entry.account_id ORDER BY entry.seq)
    ) AS entry
    WHERE version <> version_before + 1 OR balance <> balance_before + change
    """,
)

_ACCOUNT_IS_ITS_TRANSFERS: Final = Check(
    "account_is_its_transfers",
    "account",
    "An account's balance is the sum of its transfers, and its version their number.",
    f"""
    SELECT account.merchant_no, format('account_id=%s (%s)', account.account_id, account.type),
           format('version %s, balance %s', coalesce(entries, 0), coalesce(total, 0)),
           format('version %s, balance %s', account.version, account.balance)
    FROM account
    LEFT JOIN (
        SELECT entry.merchant_no, entry.account_id, count(*) AS entries,
               sum({_SIGNED_AMOUNT}) AS total
        FROM ledger_entry AS entry
        JOIN account USING (merchant_no, account_id)
        GROUP BY entry.merchant_no, entry.account_id
    ) AS entry USING (merchant_no, account_id)
    WHERE account.balance <> coalesce(total, 0) OR account.version <> coalesce(entries, 0)
    """,
)

_FLOORS: Final = Check(
    "balance_not_negative",
    "account",
    "No balance is negative; custody may be, where a bank's fact contradicts the book.",
    """
    SELECT merchant_no, format('account_id=%s (%s)', account_id, type),
           'at least 0', format('balance %s', balance)
    FROM account
    WHERE balance < 0 AND type <> 'custody'
    """,
)

_EARLIER_FLOORS: Final = Check(
    "balance_was_not_negative",
    "transfer",
    "No transfer left a balance below zero, custody's excepted.",
    """
    SELECT entry.merchant_no, format('seq=%s', entry.seq), 'balance at least 0',
           format('%s account %s (%s) left with %s',
                  entry.side, entry.account_id, account.type, entry.balance)
    FROM ledger_entry AS entry
    JOIN account USING (merchant_no, account_id)
    WHERE entry.balance < 0 AND account.type <> 'custody'
    """,
)

_TRIAL_BALANCE: Final = Check(
    "trial_balance",
    "account",
    "custody + bank_claim = the sum of all liabilities, per merchant.",
    f"""
    SELECT merchant_no, 'all accounts',
           format('custody + bank_claim = %s', sum(balance) FILTER (WHERE type NOT IN ({_ASSETS}))),
           format('custody + bank_claim = %s', sum(balance) FILTER (WHERE type IN ({_ASSETS})))
    FROM account
    GROUP BY merchant_no
    HAVING sum(CASE WHEN type IN ({_ASSETS}) THEN balance ELSE -balance END) <> 0
    """,
)

_OWN_ACCOUNTS_EXIST: Final = Check(
    "merchant_has_its_accounts",
    "account",
    "Every book has each of the merchant's own accounts once, under its computed id.",
    f"""
    SELECT coalesce(book.merchant_no, account.merchant_no),
           format('account_id=%s', coalesce(own.account_id, account.account_id)),
           coalesce(own.type, 'card or no account'), account.type
    FROM (
        SELECT book.merchant_no, kind.type,
               (lpad(to_hex(kind.number), 24, '0') || lpad(to_hex(book.merchant_no), 8, '0'))::uuid
                   AS account_id
        FROM book CROSS JOIN (VALUES {_OWN_ACCOUNTS}) AS kind (type, number)
    ) AS own
    FULL JOIN (SELECT * FROM account WHERE type <> 'card') AS account
        ON account.merchant_no = own.merchant_no AND account.account_id = own.account_id
           AND account.type = own.type
    LEFT JOIN book ON book.merchant_no = own.merchant_no
    WHERE own.account_id IS NULL OR account.account_id IS NULL
    """,
)

_BOOK_IS_AT_ITS_HEAD: Final = Check(
    "book_is_at_its_last_entry",
    "book",
    "A book's seq and chain_hash are those of its last entry.",
    """
    SELECT book.merchant_no, format('merchant_no=%s', book.merchant_no),
           format('seq %s, chain_hash %s', coalesce(last.seq, 0), encode(coalesce(
               last.chain_hash, sha256(convert_to('anxin|' || book.merchant_no, 'UTF8'))), 'hex')),
           format('seq %s, chain_hash %s', book.seq, encode(book.chain_hash, 'hex'))
    FROM book
    LEFT JOIN LATERAL (
        SELECT seq, chain_hash FROM (
            (SELECT seq, chain_hash FROM transfer WHERE merchant_no = book.merchant_no
             ORDER BY seq DESC LIMIT 1)
            UNION ALL
            (SELECT seq, chain_hash FROM fact WHERE merchant_no = book.merchant_no
             ORDER BY seq DESC LIMIT 1)
        ) AS lasts ORDER BY seq DESC LIMIT 1
    ) AS last ON true
    WHERE book.seq <> coalesce(last.seq, 0)
        OR book.chain_hash <> coalesce(
            last.chain_hash, sha256(convert_to('anxin|' || book.merchant_no, 'UTF8')))
    """,
)

_ENTRY_HAS_A_BOOK: Final = Check(
    "entry_has_its_book",
    "book",
    "Every entry lies in a book.",
    """
    SELECT merchant_no, format('merchant_no=%s', merchant_no),
           format('a book for %s entries', sum(entries)), 'no such book'
    FROM (
        SELECT merchant_no, count(*) AS entries FROM transfer GROUP BY merchant_no
        UNION ALL
        SELECT merchant_no, count(*) FROM fact GROUP BY merchant_no
    ) AS entry
    WHERE NOT EXISTS (SELECT FROM book WHERE book.merchant_no = entry.merchant_no)
    GROUP BY merchant_no
    """,
)

_CORRECTIONS: Final = Check(
    "correction_names_a_transfer",
    "transfer",
    "A correcting transfer points at an earlier entry of its book.",
    """
    SELECT transfer.merchant_no, format('seq=%s', transfer.seq),
           format('an entry with seq %s', transfer.corrects_seq), 'no such entry'
    FROM transfer
    WHERE corrects_seq IS NOT NULL
        AND NOT EXISTS (
            SELECT FROM transfer AS earlier
            WHERE earlier.merchant_no = transfer.merchant_no
                AND earlier.seq = transfer.corrects_seq)
        AND NOT EXISTS (
            SELECT FROM fact AS earlier
            WHERE earlier.merchant_no = transfer.merchant_no
                AND earlier.seq = transfer.corrects_seq)
    """,
)

LEDGER_CHECKS: Final = (
    _BOOK_IS_AT_ITS_HEAD,
    _ENTRY_HAS_A_BOOK,
    _ENTRY_ACCOUNTS_EXIST,
    _ENTRIES_FOLLOW,
    _ACCOUNT_IS_ITS_TRANSFERS,
    _FLOORS,
    _EARLIER_FLOORS,
    _TRIAL_BALANCE,
    _OWN_ACCOUNTS_EXIST,
    _CORRECTIONS,
)
