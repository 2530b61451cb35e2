"use strict";
(() => {
  const study = JSON.parse(document.getElementById("study-data").textContent);
  document.documentElement.classList.add("script");

  // images: one slider moves the windows over the strips of all runs, and a menu chooses the seed
  const slider = document.getElementById("moment"), moment = document.getElementById("moment-text"), seeds = document.getElementById("seed");
  const showImages = () => {
    const shown = new Set();
    document.querySelectorAll(".window").forEach((window) => {
      const steps = JSON.parse(window.dataset.steps);
      const index = Math.min(Number(slider.value), steps.length - 1);
      window.firstElementChild.style.transform = `translateY(${(-100 * index) / steps.length}%)`;
      window.parentElement.hidden = window.dataset.seed !== seeds.value;
      const step = `step ${steps[index].toLocaleString("en")}`;
      window.parentElement.querySelector("figcaption span").textContent = step;
      if (!window.parentElement.hidden) shown.add(`training ${step}`);
    });
    moment.textContent = shown.size === 1 ? [...shown][0] : "";  // runs of other lengths are at other steps
  };
  if (slider) {
    slider.addEventListener("input", showImages);
    seeds.addEventListener("change", showImages);
    showImages();
  }

  // curves
  const menu = document.getElementById("curve-name"), place = document.getElementById("uplot"), values = document.getElementById("values");
  const style = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  let plot = null;
  const showCurve = () => {
    const curve = study.curves[menu.value], data = [curve.steps], series = [{ label: "step" }];
    curve.arms.forEach((arm) => {
      arm.runs.forEach((run) => {
        data.push(run.values);
        series.push({ label: `${arm.name}, seed ${run.seed}`, stroke: arm.colour + "99", width: 1, points: { show: curve.steps.length === 1, size: 4 }, spanGaps: true });
      });
      data.push(arm.median);
      series.push({ label: arm.name, stroke: arm.colour, width: 2.5, dash: arm.dash, points: { show: curve.steps.length <= 20, size: 7, fill: arm.colour }, spanGaps: true });
    });
    const tell = ({ cursor: { idx } }) => {
      const median = (arm) => `${arm.name} ${arm.median[idx] ?? "none"}`;
      values.textContent = idx == null ? "\u00a0" : `step ${curve.steps[idx].toLocaleString("en")}, medians: ${curve.arms.map(median).join("; ")}`;
    };
    const axis = { stroke: style("--ink"), grid: { stroke: style("--line"), width: 1 }, ticks: { stroke: style("--line") } };
    const numbers = (_, ticks) => {  // with as many digits as tell them apart
      const digits = Math.min(12, Math.max(0, 1 - Math.floor(Math.log10(ticks[1] - ticks[0]))));
      return ticks.map((tick) => tick.toLocaleString("en", { maximumFractionDigits: digits }));
    };
    if (plot) plot.destroy();
    plot = new uPlot({
      width: place.clientWidth, height: Math.min(420, Math.max(260, place.clientWidth * 0.5)), series, legend: { show: false },
      cursor: { points: { show: false } }, hooks: { setCursor: [tell] }, scales: { x: { time: false } }, axes: [{ ...axis, label: "training step" }, { ...axis, size: 72, values: numbers }],
    }, data, place);
    window.studyPlot = plot;
  };
  if (menu) {
    menu.addEventListener("change", showCurve);
    window.addEventListener("resize", showCurve);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", showCurve);
    showCurve();
  }

  // the table of runs: a click on a heading sorts, the next one the other way round
  const table = document.getElementById("runs");
  table.querySelectorAll("th").forEach((head, column) => {
    const button = document.createElement("button");
    button.textContent = head.textContent;
    head.replaceChildren(button);
    button.addEventListener("click", () => {
      const down = head.getAttribute("aria-sort") === "ascending";
      table.querySelectorAll("th").forEach((each) => each.removeAttribute("aria-sort"));
      head.setAttribute("aria-sort", down ? "descending" : "ascending");
      const key = (row) => row.cells[column].dataset.value ?? row.cells[column].textContent;
      const rows = [...table.tBodies[0].rows].sort((a, b) => {
        const [x, y] = [key(a), key(b)], numbers = [Number(x), Number(y)];
        if (x === "" || y === "") return (x === "") - (y === "");
        const order = numbers.some(Number.isNaN) ? x.localeCompare(y) : numbers[0] - numbers[1];
        return down ? -order : order;
      });
      table.tBodies[0].append(...rows);
    });
  });
})();
