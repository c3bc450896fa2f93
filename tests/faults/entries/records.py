"""Records: what tables are made of."""

import hashlib
import json
from pathlib import Path
from typing import Any

from tests.faults.mutants import Draw, altered, altered_json, as_text


class Records:
    """`record.load`, and `record.briefs`, which must say the same of the same file."""

    def __init__(self, folder: Path):
        from ablations import record
        from tests.ablations.make import make_record

        self._results = folder
        curve = [{"step": 10, "loss": 2.5, "valid_nll": None}, {"step": 20, "loss": 2.0, "valid_nll": 1.75}]
        self.plain = {**make_record(task="flickr"), "curve": curve, "samples": [{"source": "a é", "target": "b"}]}
        file = record.write(self.plain, folder)
        self._signature, self._whole = self.plain["signature"], file.read_bytes()
        file.unlink()
        self.read(self._whole, self._signature)
        self.read(sealed(as_text(Draw(b""), self.plain)), self._signature)

    def make(self, data: bytes) -> tuple[bytes, str]:
        draw = Draw(data)
        kind, bare = draw.below(8), draw.one_in(8)
        signature = self._signature
        if kind < 5:
            plain = altered_json(draw, self.plain)
            signature = self.own_signature(plain)
            if isinstance(plain, dict) and "signature" in plain and not draw.one_in(8):
                plain["signature"] = signature  # so that what is wrong is not seen by that alone
            text = as_text(draw, plain)
        elif kind < 7:
            text = altered(draw, self._whole)
        else:
            text = draw.rest()
        return text if bare else sealed(text), signature

    def with_value(self, place: tuple[str, ...], value: Any) -> tuple[bytes, str]:
        """The right record with something else at one place, signed and sealed."""
        changed = json.loads(json.dumps(self.plain))
        inner = changed
        for key in place[:-1]:
            inner = inner[key]
        inner[place[-1]] = value
        signature = self.own_signature(changed)
        if place != ("signature",):
            changed["signature"] = signature
        return sealed(json.dumps(changed, indent=1).encode()), signature

    def own_signature(self, plain: Any) -> str:
        """What its config would be signed with; the right record's where it cannot be."""
        from ablations import record

        try:
            return record.signature(plain["config"])
        except Exception:
            return self._signature

    def read(self, content: bytes, signature: str) -> None:
        """A file in the folder of a study that has this in it, under the name of this run."""
        from ablations import record

        file = self._results / "records" / "demo" / f"flickr-shared-s0-{signature}.json"
        file.write_bytes(content)
        try:
            found = record.load(file)
        except ValueError as error:
            self._must_refuse(error)
        else:
            (brief,) = record.briefs(self._results, "demo")
            for key in brief.keys() - {"signed", "study", "validations"}:
                assert _text(brief[key]) == _text(found[key]), f"the tables see another {key}"
        finally:
            file.unlink()

    def _must_refuse(self, error: ValueError) -> None:
        from ablations import record

        try:
            record.briefs(self._results, "demo")
        except ValueError:
            raise error from None
        raise AssertionError(f"the tables take what cannot be loaded: {error}")


def _text(plain: Any) -> str:
    return json.dumps(plain, sort_keys=True)


def sealed(content: bytes) -> bytes:
    """A record's text with the last line that `record.write` would give it, in place of one that is there."""
    from ablations.record.seal import AFTER, BEFORE

    body = content.partition(BEFORE)[0].rstrip().removesuffix(b"}").rstrip()
    return body + BEFORE + hashlib.sha256(body).hexdigest().encode() + AFTER
