// What all sections use: elements, choices, tables of numbers, and charts in the colours of the page.

const DATA = JSON.parse(document.getElementById("data").textContent);
const SPECS = DATA.specs;
const DARK = window.matchMedia("(prefers-color-scheme: dark)");
const drawn = []; // functions that draw a chart again when light turns to dark

const byId = (id) => document.getElementById(id);
const range = (length) => Array.from({ length }, (_, index) => index);
const mean = (values) => values.reduce((sum, value) => sum + value, 0) / values.length;
const short = (value, digits = 5) =>
  value === null || value === undefined ? "—" : Number(value.toPrecision(digits)).toLocaleString("en-GB", { maximumSignificantDigits: digits });

/** An element with attributes and children; text stays text. */
function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) if (value !== null) element.setAttribute(name, value);
  element.append(...children);
  return element;
}

/** Puts choices, [value, text] each, into a select; keeps what was chosen where it is still there. */
function offer(select, choices, preferred) {
  const before = select.value || preferred;
  select.replaceChildren(...choices.map(([value, text]) => make("option", { value }, text)));
  if (before !== undefined && choices.some(([value]) => String(value) === String(before))) select.value = before;
}

/** Boxes to tick in a fieldset, all ticked; `changed` is called with each change. */
function boxes(fieldset, names, changed) {
  const legend = fieldset.querySelector("legend");
  const labels = names.map((name, index) => {
    const box = make("input", { type: "checkbox", value: index });
    box.checked = true;
    box.addEventListener("change", changed);
    return make("label", {}, box, " ", make("bdi", {}, String(name)));
  });
  fieldset.replaceChildren(legend, ...labels);
}

const ticked = (fieldset) => [...fieldset.querySelectorAll("input:checked")].map((box) => Number(box.value));

/** The command that draws what a chart shows, from the study's records. */
function again(id, study) {
  byId(`${id}-again`).querySelector("code").textContent = `python scripts/figures.py --study ${study}`;
}

/** The numbers behind a chart. */
function numbers(box, caption, header, rows) {
  const head = make("tr", {}, ...header.map((text) => make("th", { scope: "col" }, text)));
  const body = rows.map(([first, ...rest]) =>
    make("tr", {}, make("th", { scope: "row" }, make("bdi", {}, String(first))), ...rest.map((text) => make("td", { class: "number" }, String(text))))
  );
  box.replaceChildren(make("table", {}, make("caption", {}, caption), make("thead", {}, head), make("tbody", {}, ...body)));
}

/** Relative luminance of #rrggbb, as WCAG 2 defines it. */
function luminance(colour) {
  const [red, green, blue] = [1, 3, 5].map((at) => {
    const part = parseInt(colour.slice(at, at + 2), 16) / 255;
    return part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
  });
  return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
}

/** A colour of the figures, which are on white, with as much white in it as the dark page needs for a contrast of 3.5. */
function readable(colour) {
  const page = luminance(getComputedStyle(document.documentElement).getPropertyValue("--page").trim());
  for (let white = 0; DARK.matches && white <= 100; white += 5) {
    const parts = [1, 3, 5].map((at) => Math.round(parseInt(colour.slice(at, at + 2), 16) * (1 - white / 100) + 2.55 * white));
    const mixed = `#${parts.map((part) => part.toString(16).padStart(2, "0")).join("")}`;
    if (luminance(mixed) + 0.05 >= 3.5 * (page + 0.05)) return mixed;
  }
  return colour;
}

const colours = () => DATA.colours.map(readable);

/** A spec in which each value of a field (a setting, a score) has its marks: {color, shape, strokeDash}. */
function dressed(spec, values, marks, field = "setting") {
  const ranges = { color: marks.map((mark) => readable(mark.color)), shape: marks.map((mark) => mark.shape), strokeDash: marks.map((mark) => mark.strokeDash) };
  const walk = (part) => {
    if (Array.isArray(part)) return part.map(walk);
    if (part === null || typeof part !== "object") return part;
    return Object.fromEntries(
      Object.entries(part).map(([key, value]) => {
        const own = key in ranges && value && value.field === field;
        if (!own) return [key, walk(value)];
        return [key, { ...value, scale: { domain: values, range: ranges[key] } }];
      })
    );
  };
  return walk(spec);
}

/** A spec without the layers that would show numbers which no row has: intervals of one seed, margins nobody fixed. */
function filled(spec, rows, ...names) {
  const empty = names.filter((name) => rows.every((row) => row[name] === null || row[name] === undefined));
  const shows = ({ x = {}, x2 = {}, y = {} }, name) => [x, x2, y].some((channel) => channel && channel.field === name);
  return { ...spec, layer: spec.layer.filter((layer) => !empty.some((name) => shows(layer.encoding, name))) };
}

/** The look of charts: that of the page, whose colours it reads from the style. */
function look(width) {
  const style = getComputedStyle(document.documentElement);
  const colour = (name) => style.getPropertyValue(name).trim();
  const text = { labelColor: colour("--text"), titleColor: colour("--text"), labelFontSize: 12, titleFontSize: 12, titleFontWeight: "normal" };
  return {
    background: "transparent",
    font: style.getPropertyValue("--sans"),
    view: { stroke: null },
    mark: { aria: false }, // a chart is heard as its description; its numbers stand in a table
    range: { category: colours(), symbol: DATA.markers },
    axis: { ...text, gridColor: colour("--line"), domainColor: colour("--quiet"), tickColor: colour("--quiet"), labelOverlap: true, tickCount: width < 640 ? 4 : 8 },
    axisX: { grid: false, ticks: true },
    legend: { ...text, orient: "bottom", direction: width < 640 ? "vertical" : "horizontal", columns: width < 640 ? 1 : 3, labelLimit: Math.min(320, width - 60), symbolSize: 90, symbolStrokeWidth: 0 },
  };
}

/** Draws a spec with datasets into a box. `says` is what those hear who cannot see it. */
async function draw(box, spec, datasets, says) {
  const config = look(box.clientWidth || 640);
  const options = {
    ast: true, // the library's own interpreter: the page forbids evaluation of text as code
    renderer: "svg",
    actions: false,
    tooltip: { theme: DARK.matches ? "dark" : "light" },
    config,
  };
  const turn = (box.turn = (box.turn || 0) + 1);
  if (box.view) box.view.finalize();
  box.view = null;
  const holder = make("div", { class: "holder" });
  box.replaceChildren(holder);
  if (Object.values(datasets).every((rows) => !rows.length)) return;
  const result = await vegaEmbed(holder, { $schema: "https://vega.github.io/schema/vega-lite/v6.json", description: says, datasets, ...spec }, options);
  if (turn === box.turn) box.view = result;
  else result.finalize();
}

const label = (index, entry) => [String(index), entry.label];
DARK.addEventListener("change", () => drawn.forEach((chart) => chart()));
