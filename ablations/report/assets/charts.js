// Learning curves, scores and costs, and the differences of all studies.

/** A section whose first choice is one of `entries`; hidden where there is none. */
function section(id, entries, select, changed) {
  if (!entries.length) {
    byId(id).replaceChildren(byId(`${id}-title`), make("p", { class: "note" }, "Nothing of this kind is on record."));
    return false;
  }
  offer(select, entries.map((entry, index) => label(index, entry)), Math.max(0, entries.findIndex((entry) => entry.study === "headline")));
  select.addEventListener("change", changed);
  return true;
}

// Learning curves

/** What became of runs that did not finish, or came to no score: [setting, "2 diverged"] each. */
const unfinished = (lost) => (lost.length ? ` Of the runs: ${lost.map(([name, what]) => `${name} ${what}`).join("; ")}.` : "");

const curve = () => DATA.curves[Number(byId("curves-study").value)];

function newCurves() {
  const { settings, lines } = curve();
  const seeds = [...new Set(lines.map((line) => line.seed))].sort((a, b) => a - b);
  boxes(byId("curves-seeds"), seeds, drawCurves);
  boxes(byId("curves-settings"), settings, drawCurves);
  byId("curves-seeds").seeds = seeds;
  const there = Object.entries(DATA.losses).filter(([name]) => lines.some((line) => line[name]));
  offer(byId("curves-loss"), there);
  drawCurves();
}

function drawCurves() {
  const { settings, marks, lines, steps, lost, label: title } = curve();
  const loss = byId("curves-loss").value;
  const seeds = new Set(ticked(byId("curves-seeds")).map((index) => byId("curves-seeds").seeds[index]));
  const there = new Set(lines.filter((line) => line[loss]).map((line) => line.setting));
  for (const box of byId("curves-settings").querySelectorAll("input")) {
    const gone = !there.has(Number(box.value)); // no box is ticked that draws nothing
    if (gone && !box.disabled) box.before = box.checked;
    if (gone !== box.disabled) box.checked = gone ? false : box.before;
    box.disabled = gone;
  }
  const wanted = new Set(ticked(byId("curves-settings")));
  const points = lines
    .filter((line) => line[loss] && seeds.has(line.seed) && wanted.has(line.setting))
    .flatMap((line) => {
      const [at, values] = line[loss];
      return values.map((value, index) => ({ setting: settings[line.setting], seed: line.seed, step: steps[at][index], value }));
    });
  const chosen = (_, index) => wanted.has(index);
  const spec = dressed(structuredClone(SPECS.curves), settings.filter(chosen), marks.filter(chosen));
  if (!byId("curves-each").checked) spec.layer.splice(1, 1);
  if (byId("curves-log").checked) spec.encoding.x.scale = { type: "log" };
  const last = lastValues(points);
  const rows = last.map(({ setting, step, values }) => [setting, short(step), short(mean(values)), short(Math.min(...values)), short(Math.max(...values)), values.length]);
  numbers(byId("curves-table"), `${title}, ${DATA.losses[loss]}, at the last step`, ["setting", "step", "mean", "smallest", "largest", "seeds"], rows);
  const ordered = last.toSorted((a, b) => mean(a.values) - mean(b.values));
  const said = ordered.length
    ? `${title}, ${DATA.losses[loss]} at the end: ${ordered.map(({ setting, values }) => `${setting} ${short(mean(values), 4)}`).join("; ")}.`
    : "No curve is chosen.";
  const without = settings.filter((_, index) => !there.has(index));
  const says = `${said}${without.length ? ` Nothing to draw of ${without.join("; ")}.` : ""}${unfinished(lost)}`;
  byId("curves-says").textContent = says;
  again("curves", curve().study);
  draw(byId("curves-plot"), spec, { points }, says);
}

/** Per setting the values at the last step that all its seeds have. */
function lastValues(points) {
  const settings = [...new Set(points.map((point) => point.setting))];
  return settings.map((setting) => {
    const mine = points.filter((point) => point.setting === setting);
    const ends = new Map(mine.map((point) => [point.seed, point.step]));
    const step = Math.min(...ends.values());
    return { setting, step, values: mine.filter((point) => point.step === step).map((point) => point.value) };
  });
}

if (section("curves", DATA.curves, byId("curves-study"), newCurves)) {
  for (const id of ["curves-loss", "curves-each", "curves-log"]) byId(id).addEventListener("change", drawCurves);
  drawn.push(drawCurves);
  newCurves();
}

// Scores and costs

const scored = () => DATA.scores[Number(byId("scores-study").value)];

function newScores() {
  offer(byId("scores-score"), scored().scores.map((score, index) => [String(index), score.title]));
  const there = Object.entries(DATA.costs).filter(([name]) => scored().costs.some((cost) => name in cost));
  offer(byId("costs-cost"), there);
  drawScores();
}

/** Puts names at rows of a chart, a line for each part where they are too long for one; returns the chart's height. */
function wrapped(spec, box, names, least) {
  const narrow = box.clientWidth < 640;
  const long = Math.max(0, ...names.map((name) => name.length)) > (narrow ? 18 : 45);
  const lines = long ? Math.max(...names.map((name) => name.split(", ").length)) : 1;
  const middle = -6.5 * (lines - 1); // of a label, whose first line would stand beside the row
  const axis = { labelLimit: narrow ? 0.6 * box.clientWidth : 340, labelOverlap: false, labelOffset: middle };
  Object.assign(spec.encoding.y.axis, axis, long ? { labelExpr: "split(datum.label, ', ')" } : {});
  return Math.max(least, 13 * lines + 8) * names.length + 10;
}

/** Limits of an axis of scores: all seeds, as much of the intervals as leaves these readable, and nothing that cannot be. */
function readableRange([least, most], values, cells) {
  const [low, high] = [Math.min(...values), Math.max(...values)];
  const room = high - low || Math.abs(high) || 1;
  const ends = cells.flatMap((cell) => (cell.low === null ? [] : [cell.low, cell.high]));
  const from = Math.max(Math.min(low, ...ends), low - room);
  const to = Math.min(Math.max(high, ...ends), high + room);
  const edge = 0.05 * (to - from || room);
  return [Math.max(from - edge, least), Math.min(to + edge, most ?? Infinity)];
}

function drawScores() {
  const { settings, marks, scores, label: title } = scored();
  const score = scores[Number(byId("scores-score").value)] || scores[0];
  const cells = score.cells.map(([setting, average, low, high, seeds]) => ({ index: setting, setting: settings[setting], mean: average, low, high, n: Object.keys(seeds).length }));
  const seeds = score.cells.flatMap(([setting, , , , found]) => Object.entries(found).map(([seed, value]) => ({ setting: settings[setting], seed: Number(seed), value })));
  const spec = dressed(structuredClone(SPECS.seeds), settings, marks);
  spec.encoding.y.sort = settings;
  spec.height = wrapped(spec, byId("seeds-plot"), cells.map((cell) => cell.setting), 34);
  const domain = readableRange(score.range, seeds.map((seed) => seed.value), cells);
  spec.layer[0].encoding.x.scale = { ...spec.layer[0].encoding.x.scale, domain };
  spec.layer[2].encoding.x.title = score.title;
  const rows = cells.map((cell) => [cell.setting, short(cell.mean), short(cell.low), short(cell.high), cell.n, seeds.filter((seed) => seed.setting === cell.setting).map((seed) => short(seed.value)).join(", ")]);
  numbers(byId("seeds-table"), `${title}, ${score.title}`, ["setting", "mean", "95 % from", "to", "seeds", "each seed"], rows);
  const says = `${title}, ${score.title}: ${cells.map((cell) => `${cell.setting} ${short(cell.mean, 4)}`).join("; ")}.${unfinished(score.lost)}`;
  byId("seeds-says").textContent = says;
  again("seeds", scored().study);
  again("costs", scored().study);
  draw(byId("seeds-plot"), filled(spec, cells, "low"), { cells, seeds }, says);
  drawCosts(settings, marks, cells, score.title, title, domain);
}

function drawCosts(settings, marks, cells, score, title, domain) {
  const cost = byId("costs-cost").value;
  const points = cells.map((cell) => ({ ...cell, cost: scored().costs[cell.index][cost] })).filter((cell) => cell.cost !== undefined);
  const spec = dressed(structuredClone(SPECS.costs), settings, marks);
  spec.encoding.x.title = DATA.costs[cost];
  spec.layer[1].encoding.y.title = score;
  spec.layer[1].encoding.y.scale = { ...spec.layer[1].encoding.y.scale, domain };
  numbers(byId("costs-table"), `${title}, ${score} against ${DATA.costs[cost]}`, ["setting", DATA.costs[cost], "mean score"], points.map((point) => [point.setting, short(point.cost, 9), short(point.mean)]));
  const says = points.length ? `${title}, ${score} against ${DATA.costs[cost]}: ${points.map((point) => `${point.setting} ${short(point.cost, 9)} and ${short(point.mean, 4)}`).join("; ")}.` : "This cost is not on record.";
  byId("costs-says").textContent = says;
  draw(byId("costs-plot"), filled(spec, points, "low"), { cells: points }, says);
}

if (section("scores", DATA.scores, byId("scores-study"), newScores)) {
  byId("scores-score").addEventListener("change", drawScores);
  byId("costs-cost").addEventListener("change", drawScores);
  drawn.push(drawScores);
  newScores();
}

// Differences of all studies

function drawShifts() {
  const strategy = byId("shifts-strategy").value;
  const mine = DATA.shifts.filter((shift) => !strategy || shift.strategy === strategy);
  const rest = (shift) => (strategy ? shift.setting.replace(strategy, "").replace(/^, /, "") : shift.setting);
  const study = (shift) => `${shift.studies[0]}${shift.studies.length > 1 ? ` +${shift.studies.length - 1}` : ""}`;
  const named = (shift, last) => [study(shift), ...(rest(shift) ? [rest(shift)] : []), ...last].join(", ");
  // A row's name says as much as tells it from the others.
  const endings = (shift) => [[], [shift.score], [shift.score, shift.task]];
  const alone = (shift, length) => mine.filter((other) => named(other, endings(other)[length]) === named(shift, endings(shift)[length])).length === 1;
  const row = (shift) => named(shift, endings(shift).find((_, length) => length === 2 || alone(shift, length)));
  const shifts = mine.map((shift) => ({ ...shift, study: shift.studies.join(", "), row: row(shift) }));
  const scores = [...new Set(DATA.shifts.map((shift) => shift.score))];
  const spec = dressed(structuredClone(SPECS.shifts), scores, scores.map((_, index) => ({ color: DATA.colours[index], shape: DATA.markers[index] })), "score");
  spec.encoding.y.sort = shifts.map((shift) => shift.row);
  spec.height = wrapped(spec, byId("shifts-plot"), spec.encoding.y.sort, 22);
  // An interval of two pairs is as wide as the page of all others: the picture ends where the dots do, and a bit.
  const middle = shifts.flatMap((shift) => [shift.mean, shift.margin || 0, -(shift.margin || 0)]);
  const [low, high] = [Math.min(0, ...middle), Math.max(0, ...middle)];
  const room = 0.25 * (high - low) || 1;
  spec.layer.at(-1).encoding.x.scale = { domain: [low - room, high + room], nice: true };
  const units = [...new Set(shifts.map((shift) => shift.unit))];
  const title = `difference, right is better (${units.map((unit) => (unit === "%" ? "perplexity: %" : unit)).join("; ")})`;
  spec.layer.at(-1).encoding.x.title = title;
  const sized = ({ unit }, value, sign = "+") => (value === null ? "—" : `${value > 0 ? sign : ""}${short(value, 3)} ${unit}`);
  const rows = shifts.map((shift) => [shift.row, shift.study, shift.task, shift.score, sized(shift, shift.mean), sized(shift, shift.low), sized(shift, shift.high), sized(shift, shift.margin, ""), shift.verdict || "—", shift.n]);
  numbers(byId("shifts-table"), "Differences to the baseline of each study, paired by seed; in all rows + is better", ["study: setting", "studies with these runs", "task", "score", "difference, + is better", "95 % from", "to", "margin", "verdict", "pairs"], rows);
  const verdicts = [...new Set(shifts.map((shift) => shift.verdict))].sort();
  const counts = verdicts.map((verdict) => `${shifts.filter((shift) => shift.verdict === verdict).length} ${verdict}`);
  const gone = DATA.lost.filter((one) => !strategy || one.strategy === strategy).map((one) => one.says);
  const without = gone.length ? ` Without any pair, and not in the picture: ${gone.join("; ")}.` : "";
  const says = `${shifts.length} differences${strategy ? ` of ${strategy}` : ""}, by the verdicts of the tables: ${counts.join(", ") || "none"}.${without} Bars end at the edge of the picture; the table has them whole.`;
  byId("shifts-says").textContent = says;
  draw(byId("shifts-plot"), filled(spec, shifts, "low", "margin"), { shifts }, says);
}

if (byId("shifts-strategy")) {
  const strategies = [...new Set(DATA.shifts.map((shift) => shift.strategy))].sort();
  offer(byId("shifts-strategy"), [["", "all"], ...strategies.map((name) => [name, name])], "shared");
  if (strategies.includes("shared")) byId("shifts-strategy").value = "shared";
  byId("shifts-strategy").addEventListener("change", drawShifts);
  drawn.push(drawShifts);
  drawShifts();
}
