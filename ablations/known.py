"""What is known of a run already answers whoever asks for it again."""

from pathlib import Path
from typing import Any

from ablations import record


def answer(known: dict[str, Any], study: dict[str, Any], digest: str, results: Path) -> Path:
    """Where the record lies as an answer to `study`; copied there if another study made it.

    `digest` names the text of today. Raises ValueError where the record was made from another text.
    """
    where = record.path(results, known)
    if known["data"]["digest"] != digest:
        raise ValueError(
            f"{where} was made from another text (data {known['data']['digest'][:12]}, now {digest[:12]}): "
            "give the new text a name of its own with task.name=..., or add rerun=true to replace the record"
        )
    if known["study"] != study["name"]:
        where = record.write(record.copy_for(known, study), results)
    return where
