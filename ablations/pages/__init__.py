"""A page of Markdown for every study, and an index of all, from the records alone.

`page` is the text of one study and `contents` that of the index; `pictures` and `claims` are parts of a page; `write`
puts all into files. Questions, findings, costs and commands are those of the HTML page in `ablations/report/`.
"""

from ablations.pages.write import write

__all__ = ["write"]
