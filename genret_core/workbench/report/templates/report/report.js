(() => {
  // Figures are stored as data and in their light colours. On a dark page neutral colours are mirrored (white paper
  // becomes the page, black ink becomes light); hues stay, so that a series keeps its colour.
  const NAMED = { black: [0, 0, 0], white: [255, 255, 255], gray: [128, 128, 128], grey: [128, 128, 128],
    lightgray: [211, 211, 211], lightgrey: [211, 211, 211], darkgray: [169, 169, 169], darkgrey: [169, 169, 169],
    dimgray: [105, 105, 105], dimgrey: [105, 105, 105], silver: [192, 192, 192], whitesmoke: [245, 245, 245] };
  const parse = (text) => {
    const t = text.trim().toLowerCase();
    if (NAMED[t]) return [...NAMED[t], 1];
    let m = /^#([0-9a-f]{3}|[0-9a-f]{6})$/.exec(t);
    if (m) {
      const h = m[1].length === 3 ? [...m[1]].map((x) => x + x).join("") : m[1];
      return [0, 2, 4].map((i) => parseInt(h.slice(i, i + 2), 16)).concat(1);
    }
    m = /^rgba?\(\s*([\d.]+)\s*,\s*([\d.]+)\s*,\s*([\d.]+)\s*(?:,\s*([\d.]+)\s*)?\)$/.exec(t);
    return m ? [+m[1], +m[2], +m[3], m[4] === undefined ? 1 : +m[4]] : null;
  };
  const mirrored = (text) => {
    const c = parse(text);
    if (!c) return text;
    const [r, g, b] = c.map((v, i) => (i < 3 ? v / 255 : v));
    const high = Math.max(r, g, b), low = Math.min(r, g, b), chroma = high - low, light = (high + low) / 2;
    const neutral = chroma < 0.1 || (chroma < 0.24 && (light < 0.3 || light > 0.85));
    if (!neutral) return text;
    let hue = 0;
    if (chroma > 0) hue = high === r ? ((g - b) / chroma) % 6 : high === g ? (b - r) / chroma + 2 : (r - g) / chroma + 4;
    const flipped = 0.925 - (0.925 - 0.075) * light;
    const edge = 1 - Math.abs(2 * light - 1);
    const saturation = Math.min(edge > 0.02 ? chroma / edge : 0, 0.18);
    return `hsla(${Math.round(hue * 60)},${Math.round(saturation * 100)}%,${Math.round(flipped * 100)}%,${c[3]})`;
  };
  const mirror = (value, key) => {
    if (typeof value === "string") return /color$/i.test(key) ? mirrored(value) : value;
    if (Array.isArray(value)) return value.map((v) => mirror(v, key));
    if (value && typeof value === "object" && !ArrayBuffer.isView(value)) {
      return Object.fromEntries(Object.entries(value).map(([k, v]) => [k, k === "colorscale" ? v : mirror(v, k)]));
    }
    return value;
  };
  const dressed = (figure, dark) => {
    const data = structuredClone(figure.data || []);
    const layout = structuredClone(figure.layout || {});
    const base = (layout.template && layout.template.layout) || {};
    const ink = (layout.font && layout.font.color) || (base.font && base.font.color) || "#444";
    layout.font = { ...(layout.font || {}), color: ink };
    layout.paper_bgcolor = "rgba(0,0,0,0)";
    const plot = parse(layout.plot_bgcolor || base.plot_bgcolor || "white");
    if (plot && Math.min(...plot.slice(0, 3)) > 250) layout.plot_bgcolor = "rgba(0,0,0,0)";
    const out = { data, layout, frames: figure.frames || [] };
    if (!dark) return out;
    return { data: mirror(data, ""), layout: { ...mirror(layout, ""), paper_bgcolor: "rgba(0,0,0,0)",
      ...(layout.plot_bgcolor === "rgba(0,0,0,0)" ? { plot_bgcolor: layout.plot_bgcolor } : {}) }, frames: out.frames };
  };

  const about = document.title;
  const button = (label, does) => {
    const made = document.createElement("button");
    made.type = "button";
    made.textContent = label;
    made.addEventListener("click", does);
    return made;
  };
  const figures = [...document.querySelectorAll("figure.plot")].map((place) => ({
    place, figure: JSON.parse(place.querySelector("script").textContent), div: null,
  }));
  const PAPER = 680; // px between the margins of A4 and of letter
  const draw = (dark, width) => figures.forEach((f) => {
    if (typeof Plotly === "undefined") {
      f.place.querySelector("p").textContent = "The figure cannot be drawn: plotly.min.js is not where this page looks for it.";
      return;
    }
    const made = dressed(f.figure, dark);
    if (width) made.layout.width = width;
    if (f.div) { Plotly.react(f.div, made.data, made.layout); return; }
    f.div = document.createElement("div");
    const bar = document.createElement("p");
    bar.className = "save";
    const name = (f.place.getAttribute("aria-label") || "figure").replace(/^Figure: /, "");
    const svg = button("SVG", () => {
      const { width, height } = f.div.getBoundingClientRect();
      const light = dressed(f.figure, false); // a file has no dark page around it
      light.layout.paper_bgcolor = light.layout.plot_bgcolor = "#ffffff";
      Plotly.downloadImage(light, { format: "svg", width, height, filename: genret.fileName(about, name) });
    });
    svg.setAttribute("aria-label", `save as SVG: ${name.replace(/<[^>]*>/g, "")}`);
    bar.append(svg);
    f.place.replaceChildren(f.div, bar);
    Plotly.newPlot(f.div, { ...made, config: { responsive: true, displaylogo: false,
      toImageButtonOptions: { format: "svg" }, ...(f.figure.config || {}), showLink: false, plotlyServerURL: "" } });
  });
  genret.onTheme((dark) => draw(dark));
  addEventListener("beforeprint", () => draw(false, PAPER));
  addEventListener("afterprint", () => draw(genret.isDark()));

  // Every table can be had as a file, named by its caption or the heading above it.
  let heading = "";
  document.querySelectorAll("main :is(h1, h2, h3), main table, footer h2, footer table, footer summary").forEach((part) => {
    if (part.tagName !== "TABLE") { heading = part.textContent.replace(/#$/, "").trim(); return; }
    if (part.rows.length < 2 && !part.tHead) return;
    const name = part.caption ? part.caption.textContent : heading;
    const bar = document.createElement("p");
    bar.className = "save";
    const csv = button("CSV", () => genret.saveCsv(`${about} ${name}`, genret.tableRows(part)));
    csv.setAttribute("aria-label", `save as CSV: ${name}`);
    bar.append(csv);
    part.after(bar);
  });

  const code = document.getElementById("toggle-code");
  code.addEventListener("click", () => {
    const open = code.getAttribute("aria-pressed") !== "true";
    code.setAttribute("aria-pressed", String(open));
    code.textContent = open ? "hide code" : "show code";
    document.querySelectorAll("details.code").forEach((d) => { d.open = open; });
  });
})();
