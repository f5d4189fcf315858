"use strict";
// What every page can do: keep the reader's choice of light or dark, and give tables and drawings away as files.
// Files are made in the page (a Blob), so that this works from a disk as from a server.
const genret = (() => {
  const root = document.documentElement;
  const system = matchMedia("(prefers-color-scheme: dark)");
  const kept = (value) => {
    try {
      if (value === undefined) return localStorage.getItem("genret-theme");
      localStorage.setItem("genret-theme", value);
    } catch { /* a browser that keeps nothing for pages from a disk */ }
    return null;
  };
  if (!root.dataset.theme && ["light", "dark"].includes(kept())) root.dataset.theme = kept();
  const isDark = () => (root.dataset.theme ? root.dataset.theme === "dark" : system.matches);
  const onTheme = (redraw) => {
    const button = document.getElementById("toggle-theme");
    const tell = () => {
      button.setAttribute("aria-label", isDark() ? "dark; press for light" : "light; press for dark");
      redraw(isDark());
    };
    button.addEventListener("click", () => {
      root.dataset.theme = isDark() ? "light" : "dark";
      kept(root.dataset.theme);
      tell();
    });
    system.addEventListener("change", tell);
    tell();
  };

  const save = (name, type, text) => {
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob([text], { type }));
    link.download = name;
    document.body.append(link);
    link.click();
    link.remove();
    setTimeout(() => URL.revokeObjectURL(link.href), 10000);
  };
  const fileName = (...words) => words.join(" ").replace(/<[^>]*>/g, "").normalize("NFKD").replace(/[^\w.@-]+/g, "-").replace(/^[-.]+|-+$/g, "").slice(0, 80) || "table";
  // A text that a spreadsheet would take for a formula gets an apostrophe; numbers stay numbers.
  const field = (value) => {
    let text = String(value ?? "");
    if (/^[=+\-@\t\r]/.test(text) && !Number.isFinite(Number(text))) text = "'" + text;
    return /[",\n\r]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
  };
  const csv = (rows) => "\ufeff" + rows.map((row) => row.map(field).join(",")).join("\r\n") + "\r\n";
  const tableRows = (table) => [...table.rows].map((row) => {
    const out = [];
    for (const cell of row.cells) {
      const text = cell.textContent.trim().replace(/\s+/g, " ").replace(/^−(?=[\d.])/, "-");
      out.push(/^-?\d{1,3}(,\d{3})+(\.\d+)?$/.test(text) ? text.replaceAll(",", "") : text);
      for (let i = 1; i < Math.min(cell.colSpan, 1000); i++) out.push("");
    }
    return out;
  });
  const saveCsv = (name, rows) => save(fileName(name) + ".csv", "text/csv;charset=utf-8", csv(rows));
  const saveSvg = (name, svg) => {
    const copy = svg.cloneNode(true);
    const box = svg.viewBox.baseVal;
    copy.setAttribute("width", box.width);
    copy.setAttribute("height", box.height);
    copy.setAttribute("color", "#1f2429");
    copy.setAttribute("font-family", "system-ui, 'Segoe UI', Roboto, 'Helvetica Neue', Arial, sans-serif");
    save(fileName(name) + ".svg", "image/svg+xml", new XMLSerializer().serializeToString(copy));
  };
  return { fileName, isDark, onTheme, saveCsv, saveSvg, tableRows };
})();
