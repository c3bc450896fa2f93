"""The record: all that is known of one run, in one JSON file, found again by its signature.

`identity` says which runs are one run, `file` reads and writes one record, `folder` finds and loads many, `index`
remembers what tables need of them.
"""

# ruff: noqa: F401

from ablations.record.file import (
    FINISHED_KEYS,
    KEYS,
    SCHEMA,
    STATUSES,
    check_study,
    copy_for,
    load,
    path,
    refuse_link,
    write,
)
from ablations.record.folder import answers, asked, briefs, find, load_all, studies
from ablations.record.identity import BESIDE, SITES, UNUSED, identity, label, signature, site_names, strategy_name
