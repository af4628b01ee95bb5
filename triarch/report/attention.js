// Pictures of attention: a cell for each pair of tokens, and the text as a row sees it. `groups` are [title, colour,
// pictures].
"use strict";
const drawAttention = (place, groups, variable) => {
  place.replaceChildren();
  place.className = "families";
  const element = (name, parent, text, className) => {
    const e = document.createElement(name);
    if (text) e.append(text);
    if (className) e.className = className;
    parent.append(e);
    return e;
  };
  // NaN: outside of what the row may look at.
  const value = (p, q, k) => parseInt(p.rows[q].slice(2 * k, 2 * k + 2), 16) / 255;
  const shown = (token) => token.trim() === "" ? "\u2423" : token;

  const hatch = () => {
    const tile = document.createElement("canvas");
    tile.width = tile.height = 6;
    const pen = tile.getContext("2d");
    pen.strokeStyle = variable("--line");
    pen.lineWidth = 1.2;
    pen.beginPath();
    for (const at of [-6, 0, 6]) { pen.moveTo(at - 1, 7); pen.lineTo(at + 7, -1); }
    pen.stroke();
    return tile;
  };
  // Between what may and what may not be looked at.
  const border = (pen, p, cell) => {
    const seen = (q, k) => q >= 0 && k >= 0 && q < p.queries.length && k < p.keys.length && !Number.isNaN(value(p, q, k));
    pen.strokeStyle = variable("--text");
    pen.lineWidth = 1;
    pen.beginPath();
    p.queries.forEach((_, q) => p.keys.forEach((_, k) => {
      if (!seen(q, k)) return;
      const x = k * cell, y = q * cell;
      for (const [dq, dk, x0, y0, x1, y1] of [[-1, 0, 0, 0, 1, 0], [1, 0, 0, 1, 1, 1], [0, -1, 0, 0, 0, 1], [0, 1, 1, 0, 1, 1]]) {
        if (seen(q + dq, k + dk)) continue;
        pen.moveTo(x + x0 * cell, y + y0 * cell);
        pen.lineTo(x + x1 * cell, y + y1 * cell);
      }
    }));
    pen.stroke();
  };

  for (const [title, colour, pictures] of groups) {
    if (pictures.length === 0) continue;
    const group = element("section", place, "", pictures.length > 8 ? "wide" : "");
    const head = element("h3", group);
    element("span", head, "", "dot").style.background = colour;
    head.append(title);
    const row = element("div", group, "", "pictures");
    const reading = element("p", group, "", "small soft"), text = element("p", group, "", "tokens");

    // The text as row q of a picture sees it.
    const read = (p, q) => {
      const seen = p.keys.filter((_, k) => !Number.isNaN(value(p, q, k))).length;
      reading.replaceChildren(`${p.title}: \u201c${shown(p.queries[q])}\u201d (row ${q + 1}) may look at ${seen} of ${p.keys.length}`);
      text.replaceChildren();
      p.keys.forEach((token, k) => {
        const v = value(p, q, k), span = element("span", text, shown(token), Number.isNaN(v) ? "unseen" : "");
        if (!Number.isNaN(v)) {
          span.style.background = `color-mix(in srgb, ${colour} ${Math.round(80 * Math.sqrt(v))}%, transparent)`;
        }
        text.append(" ");
        span.title = Number.isNaN(v) ? "may not be looked at" : v.toFixed(2);
      });
    };

    for (const p of pictures) {
      const figure = element("figure", row);
      element("figcaption", figure, p.title);
      const canvas = element("canvas", figure);
      const cell = Math.max(4, Math.min(9, Math.floor(190 / Math.max(p.keys.length, p.queries.length))));
      const scale = devicePixelRatio || 1;
      const width = cell * p.keys.length + 1, height = cell * p.queries.length + 1;
      canvas.width = width * scale;
      canvas.height = height * scale;
      canvas.style.width = width + "px";
      canvas.style.height = height + "px";
      const pen = canvas.getContext("2d");
      pen.scale(scale, scale);
      pen.translate(0.5, 0.5);
      pen.fillStyle = pen.createPattern(hatch(), "repeat");
      pen.fillRect(0, 0, width - 1, height - 1);
      p.queries.forEach((_, q) => p.keys.forEach((_, k) => {
        const v = value(p, q, k);
        if (Number.isNaN(v)) return;
        pen.globalAlpha = 1;
        pen.fillStyle = variable("--ground");
        pen.fillRect(k * cell, q * cell, cell, cell);
        // The root, so that weak looks can be told from none.
        pen.globalAlpha = Math.sqrt(v);
        pen.fillStyle = colour;
        pen.fillRect(k * cell, q * cell, cell, cell);
      }));
      pen.globalAlpha = 1;
      border(pen, p, cell);
      canvas.addEventListener("pointermove", (event) => {
        const q = Math.min(p.queries.length - 1, Math.floor(event.offsetY / cell));
        if (q >= 0) read(p, q);
      });
    }
    const last = pictures[pictures.length - 1];
    read(last, Math.floor(last.queries.length / 2));
  }
};
