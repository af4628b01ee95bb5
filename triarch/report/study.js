// Draws the charts and the attention of a study's page from the record that is embedded in it.
"use strict";
(() => {
  const study = JSON.parse(document.getElementById("report").textContent);
  const variable = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  const colour = (i) => variable("--c" + (i % 8));
  let charts = [];
  const digits = (v) => String(+(+v).toPrecision(3));
  const number = (v) => Math.abs(v) >= 1e9 ? (+v).toExponential(1).replace(".0e", "e").replace("e+", "e")
    : Math.abs(v) >= 1e6 ? digits(v / 1e6) + "M" : Math.abs(v) >= 1e4 ? digits(v / 1e3) + "k" : digits(v);
  // On a logarithmic axis 1, 2, 3 and 5 of each power of ten.
  const decade = (v) => ["1", "2", "3", "5"].includes(String(+(v / 10 ** Math.floor(Math.log10(v) + 1e-9)).toFixed(6)))
    ? number(v) : "";
  // A line with its band, whose two edges are lines of no width and no name.
  const datasets = (s, place) => {
    const i = s.like >= 0 ? s.like : place;
    const at = (values) => s.x.map((x, k) => ({ x, y: values[k] }));
    const line = { label: s.label, data: at(s.y), borderColor: colour(i), backgroundColor: colour(i), borderWidth: 2.2,
                   pointRadius: s.points ? 5 : 3, pointStyle: s.points ? "crossRot" : "circle", showLine: !s.points };
    if (!s.low || !s.low.length) return [line];
    const edge = { borderWidth: 0, pointRadius: 0, pointHitRadius: 0, backgroundColor: colour(i) + "26" };
    return [line, { ...edge, data: at(s.low), fill: false }, { ...edge, data: at(s.high), fill: "-1" }];
  };
  const level = (l, ends) => ({ label: l.label, data: ends.map((x) => ({ x, y: l.y })), borderColor: variable("--soft"),
                                backgroundColor: variable("--soft"), borderWidth: 1.2, borderDash: [5, 4],
                                pointRadius: 0, pointHitRadius: 0 });
  const draw = () => {
    for (const c of charts) c.destroy();
    Chart.defaults.color = variable("--soft");
    Chart.defaults.borderColor = variable("--line");
    Chart.defaults.font.family = getComputedStyle(document.body).fontFamily;
    const ends = (c) => ["min", "max"].map((f) => Math[f](...c.series.flatMap((s) => s.x)));
    // To one digit, outwards.
    const reach = (c) => [["min", "floor"], ["max", "ceil"]].map(([f, round]) => {
      const y = Math[f](...c.series.flatMap((s) => s.y)), unit = 10 ** Math.floor(Math.log10(y));
      return +(Math[round](y / unit) * unit).toPrecision(3);
    });
    charts = study.charts.map((c, n) => new Chart(document.getElementById("chart-" + n), {
      type: "line",
      data: { datasets: [...c.series.flatMap(datasets), ...(c.levels || []).map((l) => level(l, ends(c)))] },
      options: {
        responsive: true, maintainAspectRatio: false, animation: false,
        scales: {
          x: { type: c.log_x ? "logarithmic" : "linear", title: { display: true, text: c.x },
               min: ends(c)[0], max: ends(c)[1],
               ticks: { callback: c.log_x ? decade : number, maxRotation: 0, autoSkipPadding: 16,
                        stepSize: !c.log_x && ends(c)[1] - ends(c)[0] < 50 &&
                          c.series.every((s) => s.x.every(Number.isInteger)) ? 1 : undefined } },
          y: { type: c.log_y ? "logarithmic" : "linear", title: { display: true, text: c.y },
               ...(c.log_y ? { min: reach(c)[0], max: reach(c)[1] } : {}), ticks: { callback: c.log_y ? decade : number } },
        },
        plugins: { legend: { position: "bottom", labels: { usePointStyle: true, boxHeight: 7,
                                                           filter: (item) => item.text !== undefined } },
                   tooltip: { callbacks: { title: (items) => number(items[0].parsed.x),
                                           label: (item) => item.dataset.label + ": " + number(item.parsed.y) } } },
      },
    }));
    const place = document.getElementById("attention");
    if (place) drawAttention(place, study.pictures.map((g, i) => [g.title, colour(i), g.pictures]), variable);
  };
  document.querySelectorAll(".exhibits canvas").forEach((canvas, i) => {
    const e = study.exhibits[i], count = e.pixels.length / 6;
    canvas.width = e.width;
    canvas.height = count / e.width;
    const pen = canvas.getContext("2d");
    for (let k = 0; k < count; ++k) {
      pen.fillStyle = "#" + e.pixels.slice(6 * k, 6 * k + 6);
      pen.fillRect(k % e.width, Math.floor(k / e.width), 1, 1);
    }
  });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
  addEventListener("beforeprint", draw);
  addEventListener("afterprint", draw);
  draw();
})();
