// The legend and the filters. A face is shown if it passes all of them.
const VERDICTS = ["all", "right", "wrong"];
const everything = () => ({
  groups: faces.groups.map(() => true), origins: faces.origins.map(() => true), splits: faces.splits.map(() => true),
  verdict: "all", below: 100, source: "",
});
let filters = everything();
const totals = faces.groups.map((_, g) => rowsWhere((i) => faces.group[i] === g).length);
let passing = totals; // number of faces of each group that pass the other filters

function passes(i) { // all filters but the legend
  if (!filters.origins[faces.origin[i]] || !filters.splits[faces.split[i]]) return false;
  if (filters.verdict !== "all" && verdictOf(i) !== filters.verdict) return false;
  if (filters.below < 100 && !(confidenceOf(i) * 100 <= filters.below)) return false;
  return !filters.source || lowercased[i].startsWith(filters.source);
}

function apply(change = {}) {
  Object.assign(filters, change);
  passing = faces.groups.map(() => 0);
  shown = Uint8Array.from({ length: n }, (_, i) => {
    if (!passes(i)) return 0;
    passing[faces.group[i]]++;
    return filters.groups[faces.group[i]] ? 1 : 0;
  });
  const apart = new Set(highlighted);
  drawn = order.filter((i) => shown[i] && !apart.has(i));
  if (pinned >= 0 && !shown[pinned]) pin(-1);
  hover(-1);
  updatePanel();
  redraw();
}

function updatePanel() {
  const count = shown.reduce((sum, one) => sum + one, 0), subtitle = byId("shown").dataset.whole ??= byId("shown").textContent;
  byId("shown").textContent = count === n ? subtitle : count ? `${count.toLocaleString("en")} faces shown` : "No face passes all filters";
  byId("all").disabled = count === n;
  byId("take").disabled = count === 0;
  for (const [g, row] of [...byId("legend").children].entries()) {
    row.querySelector(".toggle").setAttribute("aria-pressed", filters.groups[g]);
    row.querySelector("b").textContent = passing[g].toLocaleString("en");
    row.style.setProperty("--share", `${(100 * passing[g]) / Math.max(1, ...totals)}%`);
  }
  for (const chip of document.querySelectorAll(".chips button")) chip.setAttribute("aria-pressed", chip.dataset.key === "verdict"
    ? VERDICTS[chip.dataset.number] === filters.verdict : filters[chip.dataset.key][chip.dataset.number]);
  byId("level").textContent = filters.below < 100 ? `${filters.below}% or less` : "any";
  byId("below").value = filters.below;
  if (!filters.source) byId("source").value = "";
}

function addToLegend(group, g) {
  const row = element("li"), toggle = element("button", "toggle"), only = element("button", "only", "only");
  toggle.append(element("i"), element("span", "", group.name), element("b"), element("u"));
  toggle.title = `${group.name}: show or hide`;
  only.setAttribute("aria-label", `Only ${group.name}`);
  tint(row, g);
  row.append(toggle, only);
  toggle.addEventListener("click", () => apply({ groups: filters.groups.with(g, !filters.groups[g]) }));
  only.addEventListener("click", () => apply({ groups: filters.groups.map((_, other) => other === g) }));
  byId("legend").append(row);
}

function addChips(id, key, names, choose) {
  byId(id).hidden = false;
  names.forEach((name, number) => {
    const chip = element("button", name.glyph ? `glyph ${name.glyph}` : "", name.words ?? name);
    Object.assign(chip.dataset, { key, number });
    chip.addEventListener("click", () => apply({ [key]: choose(number) }));
    byId(id).querySelector(".chips").append(chip);
  });
}

function addFilters() {
  const turned = (key) => (number) => filters[key].with(number, !filters[key][number]);
  faces.groups.forEach(addToLegend);
  const counts = (column, number) => column.reduce((sum, own) => sum + (own === number), 0).toLocaleString("en");
  const origins = faces.origins.map((name, o) => ({ glyph: name, words: `${ORIGINS[name] ?? name} ${counts(faces.origin, o)}` }));
  if (origins.length > 1) addChips("origins", "origins", origins, turned("origins"));
  const splits = faces.splits.map((name, s) => ({ words: `${name || "none"} ${counts(faces.split, s)}` }));
  if (splits.length > 1) addChips("splits", "splits", splits, turned("splits"));
  if (rowsWhere(verdictOf).length) addChips("verdict", "verdict", VERDICTS, (number) => VERDICTS[number]);
  byId("sureness").hidden = !predictions;
  byId("below").addEventListener("input", () => apply({ below: Number(byId("below").value) }));
  byId("source").addEventListener("input", () => apply({ source: byId("source").value.trim().toLowerCase() }));
  byId("folders").append(...folders().map((name) => Object.assign(element("option"), { value: name })));
  byId("places").hidden = n === 0;
  byId("all").addEventListener("click", () => apply(everything()));
}

function folders() { // the most frequent prefixes of sources: folders, or the text before a number
  const counts = new Map();
  for (const source of faces.source) {
    const [beginning] = source.match(/^.*[/\\#]/s) ?? source.match(/^[^\d]*/);
    if (beginning) counts.set(beginning, (counts.get(beginning) ?? 0) + 1);
  }
  return [...counts].sort((one, other) => other[1] - one[1]).slice(0, 40).map(([name]) => name);
}
