// Draws the charts and the attention of a study's page from the record that is embedded in it.
"use strict";
(() => {
  const study = JSON.parse(document.getElementById("report").textContent);
  const variable = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  const colour = (i) => variable("--c" + (i % 8));
  let charts = [];
  const number = (v) => String(+(+v).toPrecision(3));
  const draw = () => {
    for (const c of charts) c.destroy();
    Chart.defaults.color = variable("--soft");
    Chart.defaults.borderColor = variable("--line");
    Chart.defaults.font.family = getComputedStyle(document.body).fontFamily;
    charts = study.charts.map((c, n) => new Chart(document.getElementById("chart-" + n), {
      type: "line",
      data: { datasets: c.series.map((s, i) => ({
        label: s.label, data: s.x.map((x, k) => ({ x, y: s.y[k] })), borderColor: colour(i), backgroundColor: colour(i),
        borderWidth: 2.2, pointRadius: 3 })) },
      options: {
        responsive: true, maintainAspectRatio: false, animation: false,
        scales: {
          x: { type: c.log_x ? "logarithmic" : "linear", title: { display: true, text: c.x },
               min: Math.min(...c.series.flatMap((s) => s.x)), max: Math.max(...c.series.flatMap((s) => s.x)),
               ticks: { callback: number, maxRotation: 0, autoSkipPadding: 16,
                        stepSize: !c.log_x && c.series.every((s) => s.x.every(Number.isInteger)) ? 1 : undefined } },
          y: { title: { display: true, text: c.y }, ticks: { callback: number } },
        },
        plugins: { legend: { position: "bottom", labels: { usePointStyle: true, boxHeight: 7 } },
                   tooltip: { callbacks: { title: (items) => number(items[0].parsed.x),
                                           label: (item) => item.dataset.label + ": " + number(item.parsed.y) } } },
      },
    }));
    const place = document.getElementById("attention");
    if (place) drawAttention(place, study.pictures.map((g, i) => [g.title, colour(i), g.pictures]), variable);
  };
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
  addEventListener("beforeprint", draw);
  addEventListener("afterprint", draw);
  draw();
})();
