"use strict";
(() => {
  const table = document.getElementById("cells");
  if (!table) return;
  const body = table.tBodies[0];
  const rows = [...body.rows].map((row, place) => ({ row, place, words: row.textContent.toLowerCase() }));
  const heads = [...table.tHead.rows[0].cells];

  heads.forEach((head, column) => head.firstElementChild.addEventListener("click", () => {
    const rising = head.getAttribute("aria-sort") !== "ascending";
    heads.forEach((other) => other.setAttribute("aria-sort", "none"));
    head.setAttribute("aria-sort", rising ? "ascending" : "descending");
    const number = head.classList.contains("number");
    const key = (item) => item.row.cells[column].dataset.v;
    rows.sort((a, b) => {
      const x = key(a), y = key(b);
      if (x === "" || y === "") return (x === "") - (y === "") || a.place - b.place; // what is missing goes last
      const way = number ? Number(x) - Number(y) : x.localeCompare(y, "en", { numeric: true });
      return (rising ? way : -way) || a.place - b.place;
    });
    body.append(...rows.map((item) => item.row));
  }));

  const field = document.getElementById("filter");
  const picks = [...document.querySelectorAll(".pick")];
  const shown = document.getElementById("shown");
  const sift = () => {
    const words = field.value.toLowerCase().split(/\s+/).filter(Boolean);
    const states = picks.filter((p) => p.getAttribute("aria-pressed") === "true").map((p) => p.dataset.state);
    let n = 0;
    rows.forEach((item) => {
      const fits = words.every((w) => item.words.includes(w)) && (!states.length || states.includes(item.row.dataset.state));
      item.row.hidden = !fits;
      n += fits;
    });
    shown.textContent = n === rows.length ? "" : `${n} of ${rows.length}`;
  };
  field.addEventListener("input", sift);
  picks.forEach((pick) => pick.addEventListener("click", () => {
    pick.setAttribute("aria-pressed", String(pick.getAttribute("aria-pressed") !== "true"));
    sift();
  }));
})();
