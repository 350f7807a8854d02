"""The whole money loop, played over HTTP against a running service by people who know API.md."""
