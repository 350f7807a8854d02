"""Three shops from sale to closure, played over HTTP by people who know API.md alone."""
