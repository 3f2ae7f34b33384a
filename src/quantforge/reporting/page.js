"use strict";
// Adds tooltips, sorting, filtering, copying and the histogram selector to a page that is complete without them.
(() => {
  const all = (selector, root = document) => [...root.querySelectorAll(selector)];

  // tooltips: one box that follows the pointer or the focus
  const tip = document.createElement("div");
  tip.id = "tip";
  tip.hidden = true;
  document.body.append(tip);
  const place = (x, y) => {
    const { width, height } = tip.getBoundingClientRect();
    tip.style.left = `${Math.max(6, Math.min(x + 14, innerWidth - width - 8))}px`;
    tip.style.top = `${y + 18 + height > innerHeight ? Math.max(6, y - height - 10) : y + 18}px`;
  };
  const show = (owner, x, y) => {
    const [title, ...lines] = owner.dataset.tip.split("\n");
    const head = document.createElement("b");
    head.textContent = title;
    tip.replaceChildren(head, ...lines.flatMap((line) => [line, document.createElement("br")]));
    tip.hidden = false;
    place(x, y);
  };
  document.addEventListener("pointermove", (event) => {
    const owner = event.target.closest?.("[data-tip]");
    if (owner) show(owner, event.clientX, event.clientY);
    else tip.hidden = true;
  });
  document.addEventListener("pointerleave", () => { tip.hidden = true; });
  document.addEventListener("focusin", (event) => {
    const owner = event.target.closest("[data-tip]");
    if (!owner || !owner.matches(":focus-visible")) return;
    const box = owner.getBoundingClientRect();
    show(owner, box.left, box.bottom - 14);
  });
  document.addEventListener("focusout", () => { tip.hidden = true; });

  // sorting: by data-sort where a cell has it, else by text; a second click turns the order round
  const key = (row, column) => row.cells[column].dataset.sort ?? row.cells[column].textContent;
  const sort = (head) => {
    const table = head.closest("table");
    const column = head.cellIndex;
    const numeric = head.classList.contains("number") || table.tBodies[0].rows[0]?.cells[column].dataset.sort !== undefined;
    const down = head.ariaSort === "none" ? numeric : head.ariaSort === "ascending";
    const compare = numeric
      ? (a, b) => Number(key(a, column)) - Number(key(b, column))
      : (a, b) => key(a, column).localeCompare(key(b, column), undefined, { numeric: true });
    const rows = [...table.tBodies[0].rows].sort(compare);
    for (const other of head.parentElement.cells) other.ariaSort = "none";
    head.ariaSort = down ? "descending" : "ascending";
    table.tBodies[0].append(...(down ? rows.reverse() : rows));
  };
  for (const button of all(".sortable th button")) button.addEventListener("click", () => sort(button.parentElement));

  // filtering: a row stays when it holds every word
  for (const field of all("[data-filter]")) {
    const rows = [...document.getElementById(field.dataset.filter).tBodies[0].rows];
    const texts = rows.map((row) => row.textContent.toLowerCase());
    const count = field.parentElement.querySelector(".count");
    const apply = () => {
      const words = field.value.toLowerCase().split(/\s+/).filter(Boolean);
      let kept = 0;
      rows.forEach((row, index) => {
        row.hidden = !words.every((word) => texts[index].includes(word));
        kept += row.hidden ? 0 : 1;
      });
      count.textContent = kept === rows.length ? `${rows.length} rows` : `${kept} of ${rows.length} rows`;
    };
    field.addEventListener("input", apply);
    apply();
  }

  // copying: through the clipboard where the browser allows it for a local file, else by selecting the text
  for (const button of all(".copy")) {
    button.addEventListener("click", async () => {
      const block = button.parentElement.querySelector("pre");
      try {
        await navigator.clipboard.writeText(block.textContent);
        button.textContent = "Copied";
      } catch {
        getSelection().selectAllChildren(block);
        button.textContent = document.execCommand("copy") ? "Copied" : "Selected";
      }
      setTimeout(() => { button.textContent = "Copy"; }, 1600);
    });
  }

  // histograms: the selector and the names in the tensor table show a stored drawing
  const select = document.getElementById("chart-select");
  if (select) {
    const panel = document.getElementById("chart-panel");
    const draw = () => panel.replaceChildren(document.getElementById(select.value).content.cloneNode(true));
    select.addEventListener("change", draw);
    draw();
    for (const button of all(".show")) {
      button.addEventListener("click", () => {
        select.value = button.dataset.chart;
        draw();
        select.scrollIntoView({ block: "center" });
      });
    }
  }
  document.documentElement.dataset.ready = "yes";
})();
