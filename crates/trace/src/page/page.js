"use strict";
// Draws what stands in #data; docs/interfaces.md says what is in there. No library, no request.
const D = JSON.parse(document.getElementById("data").textContent);
const by = (id) => document.getElementById(id);

function make(tag, attributes = {}, ...children) {
  const svg = ["svg", "path", "rect", "circle", "text", "g", "line", "marker", "defs", "title"].includes(tag);
  const element = svg ? document.createElementNS("http://www.w3.org/2000/svg", tag) : document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children);
  return element;
}

function duration(ns) {
  if (ns === null || ns === undefined) return "never ended";
  const sign = ns < 0 ? "−" : "";
  const abs = Math.abs(ns);
  for (const [unit, name] of [[1e9, "s"], [1e6, "ms"], [1e3, "us"]]) {
    if (abs >= unit) return sign + Number((abs / unit).toPrecision(6)) + " " + name;
  }
  return sign + abs + " ns";
}
const seconds = (ns) => (ns / 1e9).toFixed(6);
const count = (n) => n.toLocaleString("en");

// ---- head

function head() {
  const N = D.numbers;
  by("title").textContent = D.title;
  const devices = D.devices.map(([name, at]) => name + " " + at).join(", ");
  const traced = N.kernel_trace ? ", with kernel trace" : "";
  by("subtitle").textContent =
    `${D.lane_and_clock}${traced} · ${count(N.events)} events, ${count(N.revokes)} revokes, ${duration(N.span_ns)} · ${devices} · ${D.journal}`;
  const note = (text, bad) => by("notes").append(make("p", { class: bad ? "note bad" : "note" }, text));
  if (D.damages) note("Not all of the journal could be read: " + D.damages, true);
  if (D.findings.length) note(`${D.findings.length + D.more_findings} findings: at the end of this page`, true);
  const open = Object.entries(N.open_outages).map(([way, n]) => `${n} of ${way}`).join(", ");
  if (open) note(`Outages that the journal leaves open (what was closed is away for good): ${open}`);
  if (N.unended) note(`${count(N.unended)} steps were begun and never ended`, true);
  if (D.put_together) {
    note(D.put_together + ` A stretch in full: barkeep trace ${D.journal} --from TIME --to TIME --html FILE, ` +
      "or click on the timeline for the command.");
  }
}

// ---- timeline

const COLOURS = {
  "handling": "#57606a", "let through": "#8250df", "withdraw slot": "#cf222e", "unmap": "#cf222e",
  "put slot back": "#1a7f37", "map": "#1a7f37", "find out": "#0969da", "DMA": "#1a7f37",
};
const TONES = ["#8c959f", "#9a6700", "#d1242f", "#1a7f37"];
const WAY_COLOURS = { "CPU": "#d1242f", "P2P": "#bc4c00" };
const FRAMES = ["action", "held by others", "process"];
const GUTTER = 96, ROW = 18, AXIS = 26;

const canvas = by("timeline"), pen = canvas.getContext("2d");
const lanes = [{ name: "actions", slices: [], marks: [], rows: 0 }].concat(
  D.parties.map((name) => ({ name, slices: [], marks: [], rows: 0 })));
const windows = new Map();
const full = [D.time.from, Math.max(D.time.to, D.time.from + 1)];
let view = [...full], width = 0, height = 0;

function lay_out() {
  for (const s of D.slices) {
    const what = D.strings[s[8]];
    const slice = { party: s[0], begin: s[1], end: s[2], label: D.strings[s[3]], place: D.strings[s[4]],
      result: s[5], seq: s[6], handling: s[7], what };
    slice.colour = s[5] ? "#a40e26" : what === "DMA" && slice.label !== "DMA landed" ? "#9a6700"
      : COLOURS[what] || (D.parties[s[0]] === "kernel" ? "#0550ae" : "#6e7781");
    lanes[FRAMES.includes(what) ? 0 : s[0] + 1].slices.push(slice);
  }
  for (const lane of lanes) {
    const free = [];
    for (const slice of lane.slices) {
      let row = free.findIndex((end) => end <= slice.begin);
      if (row < 0) row = free.length < 12 ? free.length : 11;
      free[row] = slice.end === null ? Infinity : slice.end;
      slice.row = row;
    }
    lane.rows = Math.max(free.length, 1);
  }
  for (const m of D.marks) {
    lanes[m[0] + 1].marks.push({ at: m[1], tone: m[2], text: D.strings[m[3]], seq: m[4] });
  }
  for (const outage of D.outages) {
    const name = `${outage.way} ${outage.device} BAR ${outage.bar}`;
    if (!windows.has(name)) windows.set(name, []);
    windows.get(name).push(outage);
  }
  let y = AXIS;
  for (const outages of windows.values()) { outages.y = y; y += ROW; }
  y += 4;
  for (const lane of lanes) { lane.y = y; y += 6 + lane.rows * ROW; }
  height = y + 4;
}

const x_of = (ns) => GUTTER + (ns - view[0]) / (view[1] - view[0]) * (width - GUTTER);
const ns_at = (x) => view[0] + (x - GUTTER) / (width - GUTTER) * (view[1] - view[0]);

function bar(begin, end, y, colour, text) {
  const left = Math.max(x_of(begin), GUTTER), right = Math.min(end === null ? width : x_of(end), width);
  if (right < GUTTER || left > width) return;
  const size = Math.max(right - left, 1);
  pen.fillStyle = colour;
  pen.fillRect(left, y + 2, size, ROW - 4);
  if (end === null) { pen.strokeStyle = "#1f2328"; pen.setLineDash([3, 2]); pen.strokeRect(left, y + 2, size, ROW - 4); pen.setLineDash([]); }
  if (size > 30) {
    pen.save();
    pen.beginPath(); pen.rect(left, y, size - 3, ROW); pen.clip();
    pen.fillStyle = "#fff"; pen.fillText(text, left + 4, y + 13);
    pen.restore();
  }
}

function axis() {
  const span = view[1] - view[0], ideal = span / Math.max(width / 130, 1);
  const power = 10 ** Math.floor(Math.log10(ideal));
  const step = [1, 2, 5, 10].map((n) => n * power).find((n) => n >= ideal) || 10 * power;
  pen.fillStyle = "#59636e"; pen.strokeStyle = "#eaeef2";
  for (let at = Math.ceil(view[0] / step) * step; at <= view[1]; at += step) {
    const x = x_of(at);
    pen.beginPath(); pen.moveTo(x, AXIS - 6); pen.lineTo(x, height); pen.stroke();
    const digits = Math.max(0, Math.min(9, 9 - Math.floor(Math.log10(step))));
    pen.fillText((at / 1e9).toFixed(digits) + " s", x + 3, 13);
  }
}

function put_together(parts, y, colour) {
  for (const [n, begun, marks, busy] of parts) {
    const begin = D.bins.from + n * D.bins.width, left = x_of(begin), right = x_of(begin + D.bins.width);
    if (right < GUTTER || left > width) continue;
    const share = busy > 0 ? Math.min(Math.max(busy / D.bins.width, 0.15), 1) : marks + begun > 0 ? 0.1 : 0;
    pen.fillStyle = colour;
    pen.fillRect(Math.max(left, GUTTER), y + 2 + (ROW - 4) * (1 - share), Math.max(right - Math.max(left, GUTTER), 1), (ROW - 4) * share);
  }
}

function shade() {
  const top = lanes[0].y;
  pen.globalAlpha = 0.09;
  for (const outages of windows.values()) {
    for (const outage of outages) {
      const left = Math.max(x_of(outage.begin), GUTTER);
      const right = Math.min(outage.end === null ? width : x_of(outage.end), width);
      if (right <= left) continue;
      pen.fillStyle = WAY_COLOURS[outage.way];
      pen.fillRect(left, top, right - left, height - top);
    }
  }
  pen.globalAlpha = 1;
}

function draw() {
  const scale = window.devicePixelRatio || 1;
  width = canvas.clientWidth;
  canvas.style.height = height + "px";
  canvas.width = width * scale; canvas.height = height * scale;
  pen.setTransform(scale, 0, 0, scale, 0, 0);
  pen.font = "11px system-ui, sans-serif";
  pen.clearRect(0, 0, width, height);
  axis(); shade();
  D.ways.forEach((way, n) => {
    if (!D.bins) return;
    const rows = [...windows].filter(([name]) => name.startsWith(way)).map(([, outages]) => outages.y);
    if (rows.length) { pen.globalAlpha = 0.35; put_together(D.bins.ways[n], rows[0], WAY_COLOURS[way]); pen.globalAlpha = 1; }
  });
  for (const outages of windows.values()) {
    for (const o of outages) bar(o.begin, o.end, outages.y, WAY_COLOURS[o.way], `${duration(o.end === null ? null : o.end - o.begin)} (${o.taken_by})`);
  }
  lanes.forEach((lane, n) => {
    pen.strokeStyle = "#d1d9e0";
    pen.beginPath(); pen.moveTo(0, lane.y); pen.lineTo(width, lane.y); pen.stroke();
    if (D.bins && n > 0) put_together(D.bins.parties[n - 1], lane.y + 3, "#afb8c1");
    for (const s of lane.slices) bar(s.begin, s.end, lane.y + 3 + s.row * ROW, s.colour, s.label);
    for (const m of lane.marks) {
      const x = x_of(m.at);
      if (x < GUTTER || x > width) continue;
      pen.fillStyle = TONES[m.tone];
      pen.beginPath(); pen.moveTo(x, lane.y + 4); pen.lineTo(x + 4, lane.y + 10); pen.lineTo(x, lane.y + 16); pen.lineTo(x - 4, lane.y + 10); pen.fill();
    }
  });
  pen.fillStyle = "#fff"; pen.fillRect(0, AXIS - 6, GUTTER - 1, height);
  pen.fillStyle = "#1f2328";
  for (const [name, outages] of windows) pen.fillText(name.slice(0, 16), 6, outages.y + 13);
  for (const lane of lanes) pen.fillText(lane.name, 6, lane.y + 16);
  by("view").textContent = `${seconds(view[0])} to ${seconds(view[1])} s (${duration(view[1] - view[0])})`;
}

function show(begin, end) {
  const least = 100, span = Math.max(end - begin, least);
  view = [begin, begin + span];
  draw();
}

function zoom(factor, at = (view[0] + view[1]) / 2) {
  const span = Math.min((view[1] - view[0]) * factor, (full[1] - full[0]) * 1.05);
  const share = (at - view[0]) / (view[1] - view[0]);
  show(at - span * share, at - span * share + span);
}

function under(x, y) {
  const ns = ns_at(x), reach = (view[1] - view[0]) / Math.max(width, 1) * 4;
  for (const outages of windows.values()) {
    if (y < outages.y || y >= outages.y + ROW) continue;
    const o = outages.find((o) => o.begin - reach <= ns && (o.end === null || o.end + reach >= ns));
    if (o) return outage_text(o);
  }
  for (const [n, lane] of lanes.entries()) {
    if (y < lane.y || y >= lane.y + 6 + lane.rows * ROW) continue;
    const mark = lane.marks.find((m) => Math.abs(m.at - ns) <= reach * 1.5 && y < lane.y + 18);
    if (mark) return `${mark.text}\n${seconds(mark.at)} s, seq ${mark.seq}`;
    const row = Math.floor((y - lane.y - 3) / ROW);
    let best = null;
    for (const s of lane.slices) {
      const inside = s.row === row && s.begin - reach <= ns && (s.end === null || s.end + reach >= ns);
      if (inside && (!best || distance(s, ns) < distance(best, ns))) best = s;
    }
    if (best) return slice_text(best);
    if (D.bins && n > 0) {
      const part = Math.floor((ns - D.bins.from) / D.bins.width);
      const found = D.bins.parties[n - 1].find((bin) => bin[0] === part);
      if (found) return bin_text(found);
    }
  }
  return null;
}
const distance = (s, ns) => (s.begin > ns ? s.begin - ns : s.end !== null && s.end < ns ? ns - s.end : 0);

function slice_text(s) {
  const result = s.result ? `, ${s.result}` : "";
  const lines = [`${s.place ? s.place + ": " : ""}${s.label}`,
    `${duration(s.end === null ? null : s.end - s.begin)}${result}, from ${seconds(s.begin)} s, seq ${s.seq}`];
  const handled = s.handling && D.handled.find((h) => h.number === s.handling);
  if (handled) lines.push(`in ${handled.trigger} of ${handled.device}${handled.revoke ? `, revoke:${handled.revoke}` : ""}: ${handled.outcome}`);
  return lines.join("\n");
}

function outage_text(o) {
  const lasted = o.end === null ? "away, and never back" : `away for ${duration(o.end - o.begin)}`;
  const back = o.end === null ? "" : `\nback with ${o.back_by}, seq ${o.back_seq}, ${o.ended}`;
  return `${o.way} access to ${o.device} BAR ${o.bar} at ${o.address}: ${lasted}\ntaken by ${o.taken_by}, seq ${o.taken_seq}, at ${seconds(o.begin)} s${back}`;
}

function bin_text([part, begun, marks, busy]) {
  const begin = D.bins.from + part * D.bins.width, end = begin + D.bins.width;
  return `${count(begun)} slices begin here, ${count(marks)} marks; one is under way for ${duration(busy)} of ${duration(D.bins.width)}\n` +
    `in full: barkeep trace ${D.journal} --from ${(begin / 1e9).toFixed(9)} --to ${(end / 1e9).toFixed(9)} --html FILE`;
}

function listen() {
  let from = null;
  canvas.addEventListener("wheel", (e) => { e.preventDefault(); zoom(e.deltaY > 0 ? 1.25 : 0.8, ns_at(e.offsetX)); }, { passive: false });
  canvas.addEventListener("mousedown", (e) => { from = { x: e.offsetX, view: [...view], moved: false }; });
  window.addEventListener("mouseup", () => { from = null; });
  canvas.addEventListener("mousemove", (e) => {
    if (from && Math.abs(e.offsetX - from.x) > 3) {
      from.moved = true;
      const by_ns = (from.x - e.offsetX) / (width - GUTTER) * (from.view[1] - from.view[0]);
      return show(from.view[0] + by_ns, from.view[1] + by_ns);
    }
    const text = under(e.offsetX, e.offsetY), hover = by("hover");
    hover.hidden = !text;
    if (!text) return;
    hover.textContent = text;
    hover.style.left = Math.min(e.offsetX + 14, Math.max(width - 470, 0)) + "px";
    hover.style.top = e.offsetY + 16 + "px";
  });
  canvas.addEventListener("mouseleave", () => { by("hover").hidden = true; });
  canvas.addEventListener("click", (e) => {
    const text = under(e.offsetX, e.offsetY);
    by("kept").hidden = !text;
    by("kept").textContent = text || "";
  });
  canvas.addEventListener("dblclick", () => show(...full));
  canvas.addEventListener("keydown", (e) => {
    const part = (view[1] - view[0]) / 5;
    const keys = { "+": () => zoom(0.8), "=": () => zoom(0.8), "-": () => zoom(1.25), "0": () => show(...full),
      ArrowLeft: () => show(view[0] - part, view[1] - part), ArrowRight: () => show(view[0] + part, view[1] + part) };
    if (keys[e.key]) { e.preventDefault(); keys[e.key](); }
  });
  by("in").onclick = () => zoom(0.5);
  by("out").onclick = () => zoom(2);
  by("all").onclick = () => show(...full);
  const goto = by("goto");
  goto.append(make("option", { value: "" }, D.bins ? "an event that went wrong or took long" : "an event"));
  D.handled.forEach((h, n) => {
    const name = h.revoke ? `revoke:${h.revoke} ` : "";
    goto.append(make("option", { value: n }, `${name}${h.trigger} ${h.device}: ${h.outcome} (${duration(h.end === null ? null : h.end - h.begin)})`));
  });
  goto.onchange = () => {
    const h = D.handled[Number(goto.value)];
    if (goto.value === "" || !h) return;
    const end = h.end === null ? full[1] : h.end, room = Math.max((end - h.begin) * 0.08, 2000);
    show(h.begin - room, end + room);
  };
  window.addEventListener("resize", draw);
}

// ---- states

function states() {
  const names = D.states.map(([name]) => name), place = new Map(names.map((name, n) => [name, 210 + n * 330]));
  const edges = new Map();
  const key = (from, to) => (from || "") + ">" + to;
  for (const name of names) for (const to of D.states.find((s) => s[0] === name)[1]) edges.set(key(name, to), { from: name, to, told: [] });
  for (const [from, to, trigger, n] of D.numbers.edges) {
    if (!edges.has(key(from, to))) edges.set(key(from, to), { from, to, told: [] });
    edges.get(key(from, to)).told.push([trigger, n]);
  }
  const most = Math.max(1, ...[...edges.values()].map((e) => e.told.length));
  const middle = 40 + most * 15, svg = make("svg", { width: 1000, height: middle * 2, viewBox: `0 0 1000 ${middle * 2}` });
  const tip = make("marker", { id: "tip", viewBox: "0 0 8 8", refX: 7, refY: 4, markerWidth: 8, markerHeight: 8, orient: "auto" });
  tip.append(make("path", { d: "M0 0L8 4L0 8z", fill: "#59636e" }));
  svg.append(make("defs", {}, tip));
  for (const { from, to, told } of edges.values()) {
    const b = place.get(to), a = from === null ? 40 : place.get(from), right = a < b;
    const start = from === null ? a : a + (right ? 55 : -55), end = b + (right ? -55 : 55);
    const back = names.includes(from) && D.states.find((s) => s[0] === to)[1].includes(from);
    const bend = back ? (right ? -26 : 26) : 0;
    svg.append(make("path", { d: `M${start} ${middle}Q${(start + end) / 2} ${middle + bend * 2} ${end} ${middle}`, fill: "none",
      stroke: told.length ? "#59636e" : "#d1d9e0", "marker-end": "url(#tip)" }));
    const up = bend <= 0, first = middle + (up ? bend - 8 : bend + 16);
    const lines = told.map(([trigger, n]) => `${trigger} ${count(n)}`);
    if (!lines.length) lines.push("never");
    (up ? [...lines].reverse() : lines).forEach((line, n) => svg.append(make("text", {
      x: (start + end) / 2, y: first + (up ? -n : n) * 15, "text-anchor": "middle", class: told.length ? "" : "dim",
      ...(told.length ? { "data-from": from || "", "data-to": to } : {}) }, line)));
  }
  for (const name of names) {
    const x = place.get(name);
    svg.append(make("rect", { x: x - 55, y: middle - 17, width: 110, height: 34, rx: 8, fill: "#fff", stroke: "#1f2328" }),
      make("text", { x, y: middle + 4, "text-anchor": "middle", "font-weight": 600 }, name));
  }
  by("states").append(svg);
}

// ---- numbers

function table(head, rows) {
  const element = make("table");
  element.append(make("thead", {}, make("tr", {}, ...head.map((cell) => make("th", {}, cell)))));
  element.append(make("tbody", {}, ...rows.map((cells) => make("tr", {}, ...cells.map((cell) => (cell instanceof Node ? cell : make("td", /^[\d−]/.test(cell) ? {} : { class: "text" }, String(cell))))))));
  return element;
}

function heat() {
  const cells = new Map(D.numbers.outcomes.map(([trigger, outcome, n]) => [trigger + ">" + outcome, n]));
  const triggers = [...new Set(D.numbers.outcomes.map(([trigger]) => trigger))];
  const outcomes = D.outcomes.filter((outcome) => triggers.some((trigger) => cells.has(trigger + ">" + outcome)));
  const most = Math.max(1, ...cells.values());
  const bad = ["not back", "never over"];
  const cell = (trigger, outcome) => {
    const n = cells.get(trigger + ">" + outcome);
    if (n === undefined) return make("td", {}, "");
    const share = 0.12 + 0.6 * Math.log1p(n) / Math.log1p(most);
    const hue = bad.includes(outcome) ? "209, 36, 47" : outcome === "back" ? "26, 127, 55" : "9, 105, 218";
    return make("td", { style: `background: rgba(${hue}, ${share.toFixed(2)})`, "data-trigger": trigger, "data-outcome": outcome, "data-count": n }, count(n));
  };
  by("heat").append(table(["trigger", ...outcomes], triggers.map((trigger) => [trigger, ...outcomes.map((outcome) => cell(trigger, outcome))])));
}

function outages() {
  const series = D.numbers.outages;
  const traced = D.numbers.kernel_trace ? " The kernel was traced meanwhile, which takes time of its own." : "";
  by("clock").textContent = `Nanoseconds of ${D.lane_and_clock}: never to be put beside those of another clock. CPU access is away from begin to end of its ` +
    "outage, peers' DMA from what took it to the end of the map that brought it back." + traced;
  if (!series.length) return by("outages").append("None came to an end.");
  const all = series.flatMap((s) => s.ns.map(([ns]) => Math.max(ns, 1)));
  const low = Math.floor(Math.log10(Math.min(...all))), high = Math.max(Math.ceil(Math.log10(Math.max(...all)) + 1e-9), low + 1);
  const left = 190, right = 1150, row = 46, x = (ns) => left + (Math.log10(Math.max(ns, 1)) - low) / (high - low) * (right - left);
  const svg = make("svg", { width: 1180, height: series.length * row + 40, viewBox: `0 0 1180 ${series.length * row + 40}` });
  for (let power = low; power <= high; power++) {
    svg.append(make("line", { x1: x(10 ** power), x2: x(10 ** power), y1: 8, y2: series.length * row + 12, stroke: "#eaeef2" }),
      make("text", { x: x(10 ** power), y: series.length * row + 28, "text-anchor": "middle", class: "dim" }, duration(10 ** power)));
  }
  series.forEach((s, n) => {
    const y = 26 + n * row, colour = WAY_COLOURS[s.way], total = s.count;
    svg.append(make("text", { x: 0, y: y + 4 }, `${s.way}, ${s.ended}`));
    let passed = 0, path = "";
    for (const [ns, times] of s.ns) {
      const before = passed / total;
      passed += times;
      path += `${path ? "L" : "M"}${x(ns).toFixed(1)} ${(y + 14 - before * 28).toFixed(1)}L${x(ns).toFixed(1)} ${(y + 14 - passed / total * 28).toFixed(1)}`;
    }
    svg.append(make("path", { d: path, fill: "none", stroke: colour, "stroke-width": 1.5 }));
    for (const [name, ns] of [["p50", s.p50], ["p90", s.p90], ["p99", s.p99], ["max", s.max]]) {
      const dot = make("circle", { cx: x(ns), cy: y + 14 - ({ p50: 0.5, p90: 0.9, p99: 0.99, max: 1 })[name] * 28, r: 3.5, fill: colour });
      dot.append(make("title", {}, `${name} ${duration(ns)}`));
      svg.append(dot);
    }
  });
  const cell = (s, name) => make("td", { "data-way": s.way, "data-ended": s.ended, "data-what": name, "data-ns": s[name] }, name === "count" ? count(s[name]) : duration(s[name]));
  by("outages").append(svg, table(["outages of", "ended", "number", "p50", "p90", "p99", "longest"],
    series.map((s) => [s.way, s.ended, ...["count", "p50", "p90", "p99", "max"].map((name) => cell(s, name))])));
}

function steps() {
  const rows = D.numbers.steps.map((s) => [s.party, s.name, count(s.count), duration(s.p50), duration(s.p99), duration(s.max)]);
  const first = D.numbers.first_dma;
  if (first.count) rows.push(["importer", "from all back to the first DMA seen to land", count(first.count), duration(first.p50), duration(first.p99), duration(first.max)]);
  by("steps").append(table(["lane", "step", "number", "p50", "p99", "longest"], rows));
}

function findings() {
  if (!D.findings.length) return;
  by("findings").hidden = false;
  const rows = D.findings.map(([invariant, seq, at, what]) => [invariant, seq, seconds(at), make("td", { class: "text" }, what)]);
  by("findings").querySelector("div").append(table(["invariant", "seq", "seconds", "what"], rows));
}

head(); lay_out(); listen(); states(); heat(); outages(); steps(); findings(); draw();
document.documentElement.dataset.ready = Math.round(performance.now());
