// Tables: sorting, filtering, copying.

document.addEventListener("click", async (event) => {
  const button = event.target.closest("button.copy");
  if (!button) return;
  const text = button.previousElementSibling;
  try {
    await navigator.clipboard.writeText(text.textContent);
  } catch {
    const chosen = window.getSelection(); // an old browser, or one that gives the clipboard to no file
    chosen.selectAllChildren(text);
    document.execCommand("copy");
    chosen.removeAllRanges();
  }
  button.textContent = "Copied";
  window.setTimeout(() => (button.textContent = "Copy"), 1500);
});

/** A link to a study opens it. */
function openStudy() {
  const study = byId(decodeURIComponent(window.location.hash.slice(1)));
  if (study instanceof HTMLDetailsElement) study.open = true;
}

window.addEventListener("hashchange", openStudy);
openStudy();

/** Sorts a table by a heading; what has no value stays at the end. */
function sort(table, heading) {
  const place = [...heading.parentElement.children].indexOf(heading);
  const down = heading.getAttribute("aria-sort") === "ascending";
  const number = heading.classList.contains("number");
  for (const other of heading.parentElement.children) if (other.hasAttribute("aria-sort")) other.setAttribute("aria-sort", "none");
  heading.setAttribute("aria-sort", down ? "descending" : "ascending");
  const key = (row) => row.children[place].dataset.key;
  const compare = (a, b) => (number ? Number(a) - Number(b) : a.localeCompare(b, "en", { numeric: true }));
  const body = table.tBodies[0];
  const rows = [...body.rows].sort((one, two) => {
    const [a, b] = [key(one), key(two)];
    if (a === undefined || b === undefined) return (a === undefined) - (b === undefined);
    return down ? compare(b, a) : compare(a, b);
  });
  body.append(...rows);
}

for (const table of document.querySelectorAll("table.sortable")) {
  for (const button of table.querySelectorAll("th button")) {
    button.addEventListener("click", () => sort(table, button.parentElement));
  }
}

const runs = [...byId("runs-table").tBodies[0].rows];
const filters = [...document.querySelectorAll("#runs select[data-filter]")];
const searched = new Map(runs.map((row) => [row, `${row.textContent} ${row.dataset.signature}`.toLowerCase()]));

/** Shows the runs that have all the words and are what every choice says. */
function filter() {
  const words = byId("runs-words").value.toLowerCase().split(/\s+/).filter(Boolean);
  let shown = 0;
  for (const row of runs) {
    const fits = filters.every((select) => !select.value || row.dataset[select.dataset.filter] === select.value);
    row.hidden = !(fits && words.every((word) => searched.get(row).includes(word)));
    shown += !row.hidden;
  }
  byId("runs-count").textContent = `${shown === runs.length ? "" : `${shown} of `}${runs.length} ${runs.length === 1 ? "run" : "runs"}`;
}

byId("runs-words").addEventListener("input", filter);
for (const select of filters) select.addEventListener("change", filter);
byId("runs-reset").addEventListener("click", () => {
  byId("runs-words").value = "";
  for (const select of filters) select.value = "";
  filter();
});

if (byId("claims-table")) {
  const claims = [...byId("claims-table").tBodies];
  const choose = () => {
    const verdict = byId("claims-verdict").value;
    for (const claim of claims) claim.hidden = Boolean(verdict) && claim.dataset.verdict !== verdict;
    const shown = claims.filter((claim) => !claim.hidden).length;
    byId("claims-count").textContent = `${verdict ? `${shown} of ` : ""}${claims.length} ${claims.length === 1 ? "claim" : "claims"}`;
  };
  byId("claims-verdict").addEventListener("change", choose);
  choose();
}
