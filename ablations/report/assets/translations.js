// Translations of all settings side by side, with their differences to the reference.

const translated = () => DATA.translations[Number(byId("translations-study").value)];
const KINDS = [null, ["ins", "[not in the reference: "], ["del", "[missing: "]];

/** Words that are the same, added or missing; those who cannot see the marks hear them. */
function marked(pieces) {
  const line = make("bdi", { dir: "auto" });
  pieces.forEach(([kind, words], index) => {
    if (index) line.append(" ");
    if (!kind) return line.append(words);
    const [tag, says] = KINDS[kind];
    line.append(make(tag, {}, make("span", { class: "hidden" }, says), words, make("span", { class: "hidden" }, "]")));
  });
  return line;
}

function newTranslations() {
  offer(byId("translations-seed"), translated().seeds.map((seed) => [String(seed), String(seed)]));
  drawTranslations();
}

function drawTranslations() {
  const { settings, sentences, languages } = translated();
  const seed = Number(byId("translations-seed").value);
  const [from, to] = languages;
  const articles = sentences.map(({ split, source, reference, hypotheses }, index) => {
    const text = (words, lang) => make("td", { lang, colspan: 3 }, make("bdi", { dir: "auto" }, words));
    const row = (name, ...cells) => make("tr", {}, make("th", { scope: "row" }, make("bdi", {}, name)), ...cells);
    const rows = hypotheses
      .filter(([, of]) => of === seed)
      .map(([setting, , pieces, bleu, chrf]) =>
        row(settings[setting], make("td", { lang: to }, marked(pieces)), make("td", { class: "number" }, bleu.toFixed(1)), make("td", { class: "number" }, chrf.toFixed(1)))
      );
    const head = make("tr", {}, ...["", "text", "BLEU", "chrF"].map((name) => (name ? make("th", { scope: "col" }, name) : make("td", {}))));
    const body = make("tbody", {}, row("source", text(source, from)), row("reference", text(reference, to)), ...rows);
    const table = make("table", { class: "texts" }, make("caption", {}, `Sentence ${index + 1}, ${split}`), make("thead", {}, head), body);
    return make("div", { class: "scroll", role: "region", tabindex: "0", "aria-label": `Sentence ${index + 1}` }, table);
  });
  byId("translations-list").replaceChildren(...articles);
}

if (section("translations", DATA.translations, byId("translations-study"), newTranslations)) {
  byId("translations-seed").addEventListener("change", drawTranslations);
  newTranslations();
}
