"""The subcommands of `anxin`, a module each; `app/cli.py` registers them."""
