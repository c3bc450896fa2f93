"""All that the records say, as one HTML page that works from disk: text, tables, charts, maps, translations, claims.

`page` puts it together from one module per section; `templates/` holds the HTML, `assets/` the style and the scripts.
Nothing is fetched: the plotting library, the data and the style stand in the file, and its content security policy
forbids every connection.
"""

from ablations.report.page import Page, build, write

__all__ = ["Page", "build", "write"]
