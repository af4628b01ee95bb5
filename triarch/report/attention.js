// Pictures of attention: a cell for each pair of tokens. `groups` are [title, colour, pictures].
"use strict";
const drawAttention = (place, groups, variable) => {
  place.replaceChildren();
  for (const [title, colour, pictures] of groups) {
    if (pictures.length === 0) continue;
    const group = document.createElement("section");
    const head = document.createElement("h3");
    const dot = document.createElement("span");
    dot.className = "dot";
    dot.style.background = colour;
    head.append(dot, title);
    group.append(head);
    const row = document.createElement("div");
    row.className = "pictures";
    for (const p of pictures) {
      const figure = document.createElement("figure"), caption = document.createElement("figcaption");
      const canvas = document.createElement("canvas");
      const cell = Math.max(5, Math.min(9, Math.floor(220 / Math.max(p.keys.length, p.queries.length))));
      const scale = devicePixelRatio || 1;
      const width = cell * p.keys.length, height = cell * p.queries.length;
      canvas.width = width * scale;
      canvas.height = height * scale;
      canvas.style.width = width + "px";
      canvas.style.height = height + "px";
      const pen = canvas.getContext("2d");
      pen.scale(scale, scale);
      // NaN: not seen, and left empty.
      const value = (q, k) => parseInt(p.rows[q].slice(2 * k, 2 * k + 2), 16) / 255;
      p.queries.forEach((_, q) => p.keys.forEach((_, k) => {
        const v = value(q, k);
        if (Number.isNaN(v)) return;
        pen.globalAlpha = 1;
        pen.fillStyle = variable("--line");
        pen.fillRect(k * cell, q * cell, cell - 0.5, cell - 0.5);
        // The root, so that weak looks can be told from none.
        pen.globalAlpha = Math.sqrt(v);
        pen.fillStyle = colour;
        pen.fillRect(k * cell, q * cell, cell - 0.5, cell - 0.5);
      }));
      canvas.addEventListener("mousemove", (event) => {
        const q = Math.min(p.queries.length - 1, Math.floor(event.offsetY / cell));
        const k = Math.min(p.keys.length - 1, Math.floor(event.offsetX / cell));
        if (q < 0 || k < 0) return;
        const v = value(q, k);
        canvas.title = `${p.queries[q]} \u2192 ${p.keys[k]}: ${Number.isNaN(v) ? "not seen" : v.toFixed(2)}`;
      });
      caption.textContent = p.title;
      figure.append(caption, canvas);
      row.append(figure);
    }
    group.append(row);
    place.append(group);
  }
};
