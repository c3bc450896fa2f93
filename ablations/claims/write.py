"""All claims at once: decided, drawn, written. One that is refused does not keep the others from their verdicts."""

from pathlib import Path

from ablations.claims import pages, schema
from ablations.claims.pages import Entry
from ablations.claims.pictures import draw
from ablations.claims.verdict import Verdict, decide
from ablations.files import write_text


def verdict(file: Path, results: Path, conf: Path = schema.CONF) -> Verdict:
    """The verdict on the claim in a file. Raises ValueError where it is refused."""
    return decide(schema.load(file, conf), results)


def write(results: Path, conf: Path = schema.CONF) -> list[Entry]:
    """Writes `<results>/claims.md`, a page for each claim in `<results>/claims/` and the pictures of exact checks.

    Returns what the list shows; the page of a refused claim says why. Pages and pictures of other claims than these
    are removed.
    """
    folder, entries, kept = results / "claims", [], set()
    for file in schema.files(conf):
        path = folder / f"{file.stem}.md"
        try:
            found = verdict(file, results, conf)
        except ValueError as error:
            entries.append(Entry(file.stem, None, str(error)))
            write_text(path, f"# {file.stem}\n\n**Refused.** {error}\n")
            kept.add(path)
            continue
        drawn = []
        for outcome in [*(decision.outcome for decision in found.decisions), found.illustration]:
            for picture in outcome.pictures if outcome else ():
                drawn += draw(picture, folder / f"{file.stem}-{len(drawn) // 2 + 1}")
        kept |= {path, *drawn}
        for stale in set(folder.glob(f"{file.stem}-*")) - kept:
            stale.unlink()
        pictures = pages.picture_files(results, found.claim)
        write_text(path, pages.page(found, pictures))
        entries.append(Entry(file.stem, found, pictures=pictures))
    for stale in set(folder.glob("*")) - kept:
        if stale.suffix in (".md", ".svg", ".png"):
            stale.unlink()
    write_text(results / "claims.md", pages.overview(entries))
    return entries
