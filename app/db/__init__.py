"""Where the data lives: engine, transactions, the embedded Postgres, driver errors."""
