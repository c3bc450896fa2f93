// Attention maps of all settings side by side.

const mapped = () => DATA.maps[Number(byId("maps-study").value)];
const keyStack = (site) => (site.endsWith(".cross") ? "encoder" : site.split(".")[0]);
const ofSeed = () => mapped().runs.filter((run) => String(run.seed) === byId("maps-seed").value);

function newMaps() {
  const seeds = [...new Set(mapped().runs.map((run) => run.seed))].sort((a, b) => a - b);
  offer(byId("maps-seed"), seeds.map((seed) => [String(seed), String(seed)]));
  newSites();
}

function newSites() {
  const sites = [...new Set(ofSeed().flatMap((run) => Object.keys(run.sites)))];
  offer(byId("maps-site"), sites.map((site) => [site, site]), "encoder.1.self");
  newHeads();
}

function newHeads() {
  const heads = Math.max(...ofSeed().map((run) => (run.sites[byId("maps-site").value] || []).length));
  offer(byId("maps-head"), [["", "mean of all heads"], ["all", "all heads"], ...range(heads).map((head) => [String(head), `head ${head}`])], "0");
  drawMaps();
}

/** The weights of a run as rows of queries; none where it has no such site or head. */
function weightsOf(run, site, head) {
  const heads = run.sites[site];
  if (!heads || (head !== "" && !heads[head])) return null;
  const flat = head === "" ? heads[0].map((_, index) => mean(heads.map((one) => one[index]))) : heads[head];
  const [queries, keys] = [run.tokens[site.split(".")[0]], run.tokens[keyStack(site)]];
  return { queries, keys, rows: queries.map((_, query) => keys.map((_, key) => flat[query * keys.length + key] / 1000)) };
}

function drawMaps() {
  const [site, chosen] = [byId("maps-site").value, byId("maps-head").value];
  const name = chosen === "" ? "mean of all heads" : chosen === "all" ? "all heads" : `head ${chosen}`;
  const shown = ofSeed().flatMap((run) => {
    const heads = chosen === "all" ? range((run.sites[site] || []).length).map(String) : [chosen];
    const setting = mapped().settings[run.setting];
    const title = (head) => (chosen === "all" ? `${setting}, head ${head}` : setting);
    return heads.map((head) => ({ setting: title(head), ...weightsOf(run, site, head) })).filter((map) => map.rows);
  });
  const step = chosen === "all" || byId("maps-plots").clientWidth < 640 ? 11 : 17;
  const figures = shown.map((map) => ({ ...map, box: make("div", { class: "plot" }) }));
  byId("maps-plots").replaceChildren(...figures.map(({ setting, box }) => make("figure", {}, make("figcaption", {}, make("bdi", {}, setting)), box)));
  for (const { setting, queries, keys, rows, box } of figures) {
    const weights = rows.flatMap((row, query) => row.map((weight, key) => ({ query, key, weight, from: queries[query], to: keys[key] })));
    const spec = structuredClone(SPECS.map);
    spec.width = spec.height = { step };
    spec.params[0].value = queries;
    spec.params[1].value = keys;
    draw(box, spec, { weights }, `Attention of ${setting}, ${site}, ${name}; the strongest key of each query stands in the table below.`);
  }
  const self = site.endsWith(".self");
  const facts = shown.map(({ setting, rows }) => `${setting} ${short(mean(rows.map((row, query) => (self ? row[query] : Math.max(...row)))), 3)}`);
  again("maps", mapped().study);
  byId("maps-says").textContent = shown.length
    ? `${site}, ${name}. Mean weight ${self ? "on the own position" : "of the strongest key"}: ${facts.join("; ")}.`
    : "No run has such maps on record.";
  const top = ({ keys, rows }, query) => {
    const best = rows[query].indexOf(Math.max(...rows[query]));
    return `${keys[best]} (${rows[query][best].toFixed(2)})`;
  };
  const lines = shown.length ? shown[0].queries.map((token, query) => [token, ...shown.map((map) => (map.rows[query] ? top(map, query) : "—"))]) : [];
  numbers(byId("maps-table"), `${site}, ${name}: the key with the largest weight, and the weight`, ["query", ...shown.map((map) => map.setting)], lines);
}

if (section("maps", DATA.maps, byId("maps-study"), newMaps)) {
  const drawScale = () => {
    const weights = range(50).map((index) => ({ query: 0, key: index, weight: (index + 0.5) / 50 }));
    const spec = { ...structuredClone(SPECS.map), width: 200, height: 14 };
    for (const channel of ["x", "y"]) spec.encoding[channel].axis = null;
    delete spec.encoding.tooltip;
    draw(byId("maps-scale"), spec, { weights }, "Colours of the weights from 0 to 1");
  };
  drawn.push(drawScale);
  drawScale();
  byId("maps-seed").addEventListener("change", newSites);
  byId("maps-site").addEventListener("change", newHeads);
  byId("maps-head").addEventListener("change", drawMaps);
  drawn.push(drawMaps);
  newMaps();
}
