"""Claims: statements put to the test. `schema` reads them, `effects` and `verdict` decide them, `pages` tells of it."""
