// Draws the charts of a comparison's page from the report that is embedded in it.
"use strict";
(() => {
  const report = JSON.parse(document.getElementById("report").textContent);
  const style = () => getComputedStyle(document.documentElement);
  const variable = (name) => style().getPropertyValue(name).trim();
  const colour = (i) => variable("--c" + (i % 8));
  const faint = (c) => c + "40";
  const axes = {
    tokens: ["tokens seen", "tokens"],
    flops: ["floating-point operations", "flops"],
    seconds: ["seconds of training, one core", "seconds"],
  };
  const human = (x) => {
    const steps = [[1e15, "P"], [1e12, "T"], [1e9, "G"], [1e6, "M"], [1e3, "k"]];
    for (const [size, unit] of steps) if (Math.abs(x) >= size) return +(x / size).toPrecision(3) + unit;
    return String(+x.toPrecision(3));
  };
  const number = (x) => x.toFixed(3);
  // Of figures that may be null, where they were no numbers: null / 2 would be 0.
  const ratio = (a, b) => a === null || b === null ? NaN : a / b;
  const finite = (figure) => figure && [figure.mean, figure.low, figure.high].every(Number.isFinite);
  let charts = [];

  // One line per seed, faint, and their mean.
  const curves = (axis, value) => {
    const sets = [];
    report.contenders.forEach((c, i) => {
      const runs = c.curves.map((run) => run.filter((p) => Number.isFinite(value(p, c))));
      const full = runs.filter((run) => run.length > 0);
      if (full.length === 0) return;
      const n = Math.min(...full.map((run) => run.length));
      const mean = [];
      for (let k = 0; k < n; ++k) {
        const sum = (f) => full.reduce((s, run) => s + f(run[k]), 0) / full.length;
        mean.push({ x: sum((p) => p[axis]), y: sum((p) => value(p, c)) });
      }
      sets.push({ label: c.label, data: mean, borderColor: colour(i), backgroundColor: colour(i), borderWidth: 2.5,
                  pointRadius: 2.5, order: 0 });
      if (full.length > 1) {
        for (const run of full) {
          sets.push({ label: "", data: run.map((p) => ({ x: p[axis], y: value(p, c) })), borderColor: faint(colour(i)),
                      borderWidth: 1.2, pointRadius: 0, pointHitRadius: 0, order: 1 });
        }
      }
    });
    return sets;
  };

  // The first points, where nothing is learnt yet, may leave the picture at the top, so that the rest can be told apart.
  const chart = (x, y, sets) => {
    const all = sets.flatMap((s) => s.data);
    const end = Math.max(...all.map((p) => p.x));
    const late = all.filter((p) => p.x >= 0.3 * end).map((p) => p.y), low = Math.min(...late), high = Math.max(...late);
    const top = Math.min(Math.max(...all.map((p) => p.y)), high + 0.35 * (high - low));
    return { type: "line", data: { datasets: sets }, options: options(x, y, end, low - 0.06 * (high - low), top) };
  };

  const options = (x, y, end, low, high) => ({
    responsive: true, maintainAspectRatio: false, animation: false, normalized: true,
    interaction: { mode: "nearest", intersect: false },
    scales: {
      x: { type: "linear", min: 0, max: end, title: { display: true, text: x },
           ticks: { callback: human, maxRotation: 0, autoSkipPadding: 12, includeBounds: false } },
      y: { min: low, max: high, title: { display: true, text: y },
           ticks: { includeBounds: false, callback: (v) => String(+(+v).toPrecision(3)) } },
    },
    plugins: {
      legend: { position: "bottom", labels: { filter: (item) => item.text !== "", usePointStyle: true, boxHeight: 7 } },
      tooltip: { filter: (item) => item.dataset.label !== "",
                 callbacks: { title: (items) => human(items[0].parsed.x),
                              label: (item) => item.dataset.label + ": " + number(item.parsed.y) } },
    },
  });

  // After pretraining; nothing if it does not generate.
  const suffix = (c) => c.stages.length > 0 ? c.stages[0].suffix[0] : undefined;

  // A group of bars per contender: its score on groups of tasks before and after finetuning, from chance at 0.
  const scores = () => {
    const shown = [["pretrained", "seen", "zero-shot, prompts as in the text", 0.35],
                   ["finetuned", "training", "finetuned, trained tasks", 1],
                   ["finetuned", "held_out", "finetuned, held-out tasks", 0.65]];
    const figure = (c, stage, group) => c.stages.find((s) => s.stage === stage)?.scores.find((g) => g.name === group)?.score;
    const sets = [];
    shown.forEach(([stage, group, label, strength]) => {
      const figures = report.contenders.map((c) => figure(c, stage, group)).map((f) => finite(f) ? f : undefined);
      if (figures.every((f) => !f)) return;
      const alpha = Math.round(255 * strength).toString(16).padStart(2, "0");
      sets.push({ label, figures, data: figures.map((f) => f ? f.mean : null), borderWidth: 1,
                  backgroundColor: report.contenders.map((c, i) => colour(i) + alpha),
                  borderColor: report.contenders.map((c, i) => colour(i)) });
    });
    const all = sets.flatMap((s) => s.figures.filter((f) => f));
    const lowest = Math.min(0, ...all.map((f) => f.low)), highest = Math.max(...all.map((f) => f.high)) * 1.05;
    const whiskers = {
      id: "whiskers",
      afterDatasetsDraw: (chart) => {
        const { ctx, scales } = chart;
        ctx.save();
        ctx.strokeStyle = variable("--text");
        ctx.lineWidth = 1.4;
        chart.data.datasets.forEach((set, k) => chart.getDatasetMeta(k).data.forEach((bar, i) => {
          const f = set.figures[i];
          if (!f) return;
          const low = scales.y.getPixelForValue(f.low), high = scales.y.getPixelForValue(f.high);
          ctx.beginPath();
          ctx.moveTo(bar.x, low);
          ctx.lineTo(bar.x, high);
          for (const y of [low, high]) { ctx.moveTo(bar.x - 4, y); ctx.lineTo(bar.x + 4, y); }
          ctx.stroke();
        }));
        ctx.restore();
      },
    };
    return {
      type: "bar", plugins: [whiskers],
      data: { labels: report.contenders.map((c) => c.label.split(" (").map((part, i) => (i ? "(" + part : part))), datasets: sets },
      options: {
        responsive: true, maintainAspectRatio: false, animation: false,
        scales: { x: { grid: { display: false } }, y: { suggestedMin: lowest, suggestedMax: highest, title: { display: true, text: "score above chance" } } },
        plugins: {
          legend: { position: "bottom", labels: { generateLabels: (chart) => chart.data.datasets.map((set, i) => ({
            text: set.label, fillStyle: variable("--soft") + ["59", "ff", "a6"][i % 3], strokeStyle: variable("--soft"),
            fontColor: variable("--soft"), datasetIndex: i })) } },
          tooltip: { callbacks: { label: (item) => {
            const f = item.dataset.figures[item.dataIndex];
            return f ? item.dataset.label + ": " + number(f.mean) + " (95 % " + number(f.low) + " to " + number(f.high) + ")" : "";
          } } },
        },
      },
    };
  };

  const intervals = () => {
    const shown = report.contenders.map((c, i) => [c, i]).filter(([c]) => finite(suffix(c)));
    if (shown.length === 0) return null;
    const colours = shown.map(([, i]) => colour(i));
    const figures = shown.map(([c]) => suffix(c));
    const ends = figures.flatMap((f) => [f.low, f.high, ...f.seeds.filter(Number.isFinite)]);
    const low = Math.min(...ends), high = Math.max(...ends);
    const room = 0.08 * (high - low || 0.1);
    // One set per seed: on an axis of names, the place of a point in its set is its row.
    const means = shown.map(([c], row) => ({ x: suffix(c).mean, y: row }));
    const seeds = [];
    for (let k = 0; k < Math.max(...figures.map((f) => f.seeds.length)); ++k) {
      seeds.push({ type: "scatter", data: shown.map(([c], row) => ({ x: suffix(c).seeds[k] ?? NaN, y: row })),
                   backgroundColor: colours, radius: 3, label: "seed " + (k + 1) });
    }
    // Labels wrap at the bracket, so that they leave room for the chart on a narrow screen.
    const labels = shown.map(([c]) => c.label.split(" (").map((part, i) => (i ? "(" + part : part)));
    return {
      type: "bar",
      data: {
        labels,
        datasets: [
          { type: "scatter", data: means, backgroundColor: colours, borderColor: variable("--ground"), borderWidth: 2,
            radius: 7, pointStyle: "rectRot", label: "mean" },
          ...seeds,
          { data: figures.map((f) => [f.low, f.high]), backgroundColor: colours.map(faint), borderColor: colours,
            borderWidth: 1, borderSkipped: false, barThickness: 14, label: "95 % interval" },
        ],
      },
      options: {
        indexAxis: "y", responsive: true, maintainAspectRatio: false, animation: false,
        scales: {
          x: { min: low - room, max: high + room, title: { display: true, text: "suffix loss, nats per token" },
               ticks: { callback: (v) => String(+(+v).toPrecision(4)), maxRotation: 0, autoSkipPadding: 16,
                        includeBounds: false } },
          y: { grid: { display: false } },
        },
        plugins: {
          legend: { display: false },
          tooltip: { callbacks: { label: (item) => {
            const raw = item.raw;
            return Array.isArray(raw) ? "95 %: " + number(raw[0]) + " to " + number(raw[1])
                                      : item.dataset.label + ": " + number(raw.x);
          }, title: () => "" } },
        },
      },
    };
  };

  const attention = () => {
    const place = document.getElementById("attention");
    if (place) drawAttention(place, report.contenders.map((c, i) => [c.title, colour(i), c.attention]), variable);
  };

  const draw = () => {
    for (const c of charts) c.destroy();
    charts = [];
    Chart.defaults.color = variable("--soft");
    Chart.defaults.borderColor = variable("--line");
    Chart.defaults.font.family = getComputedStyle(document.body).fontFamily;
    const axis = document.querySelector("input[name=axis]:checked").value;
    const [title, field] = axes[axis];
    const add = (id, make) => {
      const canvas = document.getElementById(id);
      const made = canvas && make();
      if (made && made.data.datasets.length > 0) charts.push(new Chart(canvas, made));
    };
    attention();
    add("intervals", intervals);
    add("scores", scores);
    add("suffix-curves", () => chart(title, "suffix loss, nats per token", curves(field, (p) => p.suffix_loss)));
    add("own-curves", () => chart(title, "own loss / unigram entropy", curves(field, (p, c) => ratio(p.own_loss, c.unigram_entropy))));
  };
  for (const input of document.querySelectorAll("input[name=axis]")) input.addEventListener("change", draw);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
  addEventListener("beforeprint", draw);
  addEventListener("afterprint", draw);
  draw();
})();
