// The page's controls. A point is what an image is made from: {values, label}. values are normal numbers, one for each
// latent, or the pixels of an input image; label is the index of the class.
"use strict";

(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const find = (id) => document.getElementById(id), { width, height, channels } = data;
  const takesImages = data.inputs[0] === "input_images", [inputShape] = data.input_sizes;
  const sizes = data.input_sizes.map((shape) => shape.reduce((total, size) => total * size, 1)), [count] = sizes;
  const BETWEEN = 9, SLIDERS = 8, REACH = 2.2, TILES = width <= 32 ? 9 : 7;

  // --- jobs of the worker: one at a time, the large image first; a newer one of the same name takes an older one's place

  const waiting = new Map();
  let running = null, worker = null;

  function make(name, inputs, scored, done) {
    waiting.set(name, { inputs, scored, done });
    next();
  }

  function next() {
    if (running || !waiting.size || !worker) return;
    const name = waiting.has("shown") ? "shown" : waiting.keys().next().value, job = waiting.get(name);
    waiting.delete(name);
    running = job;
    const classes = Float32Array.of(job.inputs[1]?.[0] ?? 0);
    worker.postMessage({ inputs: job.inputs, classes, scored: job.scored });
  }

  function decode(text) {
    const binary = atob(text), bytes = new Uint8Array(binary.length);
    for (let i = 0; i < binary.length; i++) bytes[i] = binary.charCodeAt(i);
    return bytes;
  }

  function fail(message) {
    find("problem").hidden = false;
    find("problem").textContent = `This browser can't run the generator: ${message}`;
  }

  function start() {
    const made = new Worker(URL.createObjectURL(new Blob([find("worker").textContent], { type: "text/javascript" })));
    made.onerror = (event) => { event.preventDefault(); fail(event.message); };
    made.onmessage = ({ data: result }) => {
      if (result.ready) {
        worker = made;
      } else {
        const job = running;
        running = null;
        job.done(result);
      }
      next();
    };
    const weights = decode(find("weights").textContent).buffer;
    made.postMessage({ programs: data.programs, weights, sizes }, [weights]);
  }

  // --- points

  function randomNormals(seed) {
    let state = seed >>> 0;
    const uniform = () => { // mulberry32
      state = (state + 0x6d2b79f5) >>> 0;
      let t = Math.imul(state ^ (state >>> 15), state | 1);
      t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
      return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
    };
    const normal = () => Math.sqrt(-2 * Math.log(1 - uniform())) * Math.cos(2 * Math.PI * uniform());
    return () => Float32Array.from({ length: count }, normal);
  }

  // The error function (Abramowitz and Stegun, 7.1.26).
  function erf(x) {
    const t = 1 / (1 + 0.3275911 * Math.abs(x));
    const sum = t * (0.254829592 + t * (-0.284496736 + t * (1.421413741 + t * (-1.453152027 + t * 1.061405429))));
    return Math.sign(x) * (1 - sum * Math.exp(-x * x));
  }

  // Normal numbers as the generator's latents: uniform ones are the normal distribution's ranks.
  const latents = (normals) => (data.uniform ? normals.map((x) => erf(x / Math.SQRT2)) : normals);

  function inputsOf({ values, label }) {
    if (takesImages) return [values];
    return data.inputs.length > 1 ? [latents(values), Float32Array.of(label)] : [latents(values)];
  }

  // A sum of three points of the latent space, scaled so that normal numbers stay normal.
  function walked(middle, right, down, u, v) {
    const scale = 1 / Math.sqrt(1 + u * u + v * v);
    return middle.map((value, i) => scale * (value + u * right[i] + v * down[i]));
  }

  // Between two points: on a sphere in the latent space, in a straight line between images.
  function between(a, b, t) {
    let first = 1 - t, second = t;
    if (!takesImages) {
      const dot = (x, y) => x.reduce((sum, value, i) => sum + value * y[i], 0);
      const cosine = dot(a.values, b.values) / Math.sqrt(dot(a.values, a.values) * dot(b.values, b.values));
      const angle = Math.acos(Math.min(1, Math.max(-1, cosine)));
      if (angle > 1e-3 && angle < Math.PI - 1e-3) {
        [first, second] = [Math.sin((1 - t) * angle) / Math.sin(angle), Math.sin(t * angle) / Math.sin(angle)];
      }
    }
    return { values: a.values.map((value, i) => first * value + second * b.values[i]), label: t < 0.5 ? a.label : b.label };
  }

  // --- pixels

  function pixelsOf(values, across, down, planes) {
    const area = across * down, image = new ImageData(across, down);
    for (let i = 0; i < area; i++) {
      for (let c = 0; c < 3; c++) image.data[4 * i + c] = Math.round(255 * values[(planes >= 3 ? c * area : 0) + i]);
      image.data[4 * i + 3] = 255;
    }
    return image;
  }

  const imageOf = (pixels) => pixelsOf(pixels, width, height, channels);

  function canvasFor(canvas, across = width, down = height) {
    [canvas.width, canvas.height] = [across, down];
    return canvas;
  }

  const paint = (canvas, image, x = 0, y = 0) => canvas.getContext("2d").putImageData(image, x, y);

  // --- the large image

  let current = { values: new Float32Array(count), label: 0 }, onScreen = current;

  function show(point) {
    onScreen = point;
    if (takesImages) {
      current = point;
      paint(find("drawing"), inputImage(point.values));
    }
    make("shown", inputsOf(point), true, ({ pixels, scores, milliseconds }) => {
      paint(find("image"), imageOf(pixels));
      find("speed").textContent = `This image took ${milliseconds < 10 ? milliseconds.toFixed(1) : Math.round(milliseconds)} ms.`;
      if (scores) tellScore(scores);
    });
  }

  const inWords = (score) => String(Number(score.toPrecision(3))).replace("-", "−");

  function tellScore(scores) {
    const { generated, real } = data.scores, [own] = scores;
    const low = Math.min(generated, real ?? generated), high = Math.max(generated, real ?? generated);
    const margin = high - low || 0.5, place = (score) => {
      const share = (score - low + margin) / (high - low + 2 * margin);
      return `${100 * Math.min(1, Math.max(0, share))}%`;
    };
    find("score").hidden = false;
    const mark = (name) => find("score").querySelector(`.mark.${name}`);
    mark("own").style.left = place(own);
    mark("fake").style.left = place(generated);
    mark("real").hidden = real === null;
    mark("real").style.left = place(real ?? 0);
    const text = find("score-text");
    text.innerHTML = `The discriminator's score: <b>${inWords(own)}</b>. Means: ` +
      (real === null ? "" : `<span class="real-word">real images ${inWords(real)}</span>, `) +
      `<span class="fake-word">generated ${inWords(generated)}</span>.`;
    if (data.classes.length > 1 && scores.length === 1 + data.classes.length) {
      const logits = [...scores.subarray(1)], best = logits.indexOf(Math.max(...logits));
      const total = logits.reduce((sum, logit) => sum + Math.exp(logit - logits[best]), 0);
      text.append(` It takes it for ${data.classes[best]} (${Math.round(100 / total)} %).`);
    }
  }

  // --- A, B and what lies between

  const pinned = {};

  function pin(name, point) {
    pinned[name] = { values: point.values.slice(), label: point.label };
    make(`pin ${name}`, inputsOf(pinned[name]), false, ({ pixels }) => paint(find(name), imageOf(pixels)));
    if (!pinned.a || !pinned.b) return;
    [...find("strip").children].forEach((canvas, i) => {
      const inputs = inputsOf(between(pinned.a, pinned.b, i / (BETWEEN - 1)));
      make(`between ${i}`, inputs, false, ({ pixels }) => paint(canvas, imageOf(pixels)));
    });
  }

  function startPins() {
    for (const name of ["a", "b"]) {
      canvasFor(find(name));
      find(`pin-${name}`).addEventListener("click", () => pin(name, onScreen));
    }
    for (let i = 0; i < BETWEEN; i++) {
      const canvas = canvasFor(document.createElement("canvas"));
      canvas.className = "image";
      canvas.addEventListener("click", () => { find("between").value = i / (BETWEEN - 1); showBetween(); });
      find("strip").append(canvas);
    }
    const showBetween = () => show(between(pinned.a, pinned.b, Number(find("between").value)));
    find("between").addEventListener("input", showBetween);
  }

  // --- the latent space

  let right = current.values, down = current.values;

  function goTo(point, seeded = false) {
    current = point;
    show(point);
    drawWalk();
    drawClasses();
    if (!seeded) find("seed").value = "";
    find("sliders").querySelectorAll("input").forEach((slider, i) => { slider.value = point.values[i]; tell(slider, point.values[i]); });
  }

  function fromSeed(seed) {
    const draw = randomNormals(seed);
    const values = draw();
    [right, down] = [draw(), draw()];
    goTo({ values, label: current.label }, true);
    return { values: draw(), label: current.label };
  }

  function drawWalk() {
    const middle = (TILES - 1) / 2, tiles = [];
    for (let y = 0; y < TILES; y++) for (let x = 0; x < TILES; x++) tiles.push([x, y]);
    tiles.sort((one, other) => Math.hypot(one[0] - middle, one[1] - middle) - Math.hypot(other[0] - middle, other[1] - middle));
    for (const [x, y] of tiles) {
      const point = walkPoint((x + 0.5) / TILES, (y + 0.5) / TILES);
      make(`tile ${x} ${y}`, inputsOf(point), false, ({ pixels }) => paint(find("walk"), imageOf(pixels), x * width, y * height));
    }
  }

  // The point at a place of the grid, from 0 to 1 in both directions; the middle of each tile is the point of its image.
  function walkPoint(x, y) {
    const along = (share) => REACH * (2 * (share * TILES - 0.5) / (TILES - 1) - 1);
    return { values: walked(current.values, right, down, along(x), along(y)), label: current.label };
  }

  function placeIn(canvas, event) {
    const box = canvas.getBoundingClientRect();
    return [(event.clientX - box.left) / box.width, (event.clientY - box.top) / box.height];
  }

  function startWalk() {
    const walk = canvasFor(find("walk"), TILES * width, TILES * height);
    walk.addEventListener("pointermove", (event) => show(walkPoint(...placeIn(walk, event))));
    walk.addEventListener("pointerleave", () => show(current));
    walk.addEventListener("click", (event) => goTo(walkPoint(...placeIn(walk, event))));
    find("seed").addEventListener("input", () => { if (find("seed").value !== "") fromSeed(Number(find("seed").value)); });
    find("new").addEventListener("click", () => {
      find("seed").value = Math.floor(Math.random() * 1e6);
      fromSeed(Number(find("seed").value));
    });
  }

  const tell = (slider, value) => { slider.nextElementSibling.textContent = Number(value).toFixed(2).replace("-", "−"); };

  function startSliders() {
    for (let i = 0; i < Math.min(SLIDERS, count); i++) {
      const label = document.createElement("label");
      label.innerHTML = `<span>${i + 1}</span><input type="range" min="-3" max="3" step="0.01"><output></output>`;
      label.querySelector("input").addEventListener("input", (event) => {
        current = { values: current.values.slice(), label: current.label };
        current.values[i] = Number(event.target.value);
        find("seed").value = "";
        tell(event.target, event.target.value);
        show(current);
        drawWalk();
        drawClasses();
      });
      find("sliders").append(label);
    }
  }

  function startClasses() {
    const letters = Math.max(0, ...data.classes.flatMap((name) => name.split(" ")).map((word) => word.length));
    find("classes")?.style.setProperty("--letters", letters); // of the longest word, which a button is to hold
    data.classes.forEach((name, label) => {
      const button = document.createElement("button"), canvas = canvasFor(document.createElement("canvas"));
      canvas.className = "image";
      button.append(canvas, name);
      button.addEventListener("click", () => goTo({ values: current.values, label }, true));
      find("classes").append(button);
    });
  }

  function drawClasses() {
    if (!data.classes.length) return;
    [...find("classes").children].forEach((button, label) => {
      button.setAttribute("aria-pressed", label === current.label);
      make(`class ${label}`, inputsOf({ values: current.values, label }), false, ({ pixels }) => paint(button.firstChild, imageOf(pixels)));
    });
  }

  // --- drawing

  const heldOut = data.held_out.map((text) => Float32Array.from(decode(text), (value) => value / 255));
  const isBright = (values) => values.reduce((sum, value) => sum + value, 0) > values.length / 2;
  const paper = (heldOut.length ? isBright(heldOut[0]) : data.inputs_are_bright) ? 1 : 0;

  const inputImage = (values) => pixelsOf(values, inputShape[2], inputShape[1], inputShape[0]);
  const goToImage = (values) => show({ values: values.slice(), label: 0 });

  // A soft round spot; coordinates and radius in pixels.
  function spot(values, x, y, radius) {
    const [planes, down, across] = inputShape;
    for (let py = 0; py < down; py++) {
      for (let px = 0; px < across; px++) {
        const ink = Math.min(1, Math.max(0, radius + 0.5 - Math.hypot(px + 0.5 - x, py + 0.5 - y)));
        for (let plane = 0; plane < planes; plane++) {
          const i = (plane * down + py) * across + px;
          values[i] = paper ? Math.min(values[i], 1 - ink) : Math.max(values[i], ink);
        }
      }
    }
  }

  function startDrawing() {
    const canvas = canvasFor(find("drawing"), inputShape[2], inputShape[1]);
    let last = null;
    const draw = (event) => {
      const [shareX, shareY] = placeIn(canvas, event), to = [shareX * inputShape[2], shareY * inputShape[1]];
      const from = last ?? to, steps = Math.ceil(2 * Math.hypot(to[0] - from[0], to[1] - from[1])) || 1;
      const drawn = { values: current.values.slice(), label: 0 };
      for (let i = 1; i <= steps; i++) {
        const at = from.map((start, dim) => start + ((to[dim] - start) * i) / steps);
        spot(drawn.values, ...at, Number(find("brush").value));
      }
      last = to;
      show(drawn);
    };
    canvas.addEventListener("pointerdown", (event) => { canvas.setPointerCapture(event.pointerId); draw(event); });
    canvas.addEventListener("pointermove", (event) => { if (last) draw(event); });
    for (const end of ["pointerup", "pointercancel"]) canvas.addEventListener(end, () => { last = null; });
    find("clear").addEventListener("click", () => goToImage(new Float32Array(count).fill(paper)));
    find("no-held-out").hidden = heldOut.length > 0;
    for (const values of heldOut) {
      const button = document.createElement("button"), small = canvasFor(document.createElement("canvas"), inputShape[2], inputShape[1]);
      small.className = "image";
      button.setAttribute("aria-label", "Use this image as input");
      paint(small, inputImage(values));
      button.append(small);
      button.addEventListener("click", () => goToImage(values));
      find("held-out").append(button);
    }
  }

  // --- start

  canvasFor(find("image"));
  startPins();
  if (takesImages) {
    startDrawing();
    goToImage(heldOut[0] ?? new Float32Array(count).fill(paper));
    pin("a", current);
    pin("b", { values: heldOut.at(-1) ?? new Float32Array(count).fill(1 - paper), label: 0 });
  } else {
    startWalk();
    startSliders();
    startClasses();
    const other = fromSeed(0);
    pin("a", current);
    pin("b", other);
  }
  try {
    start();
  } catch (error) {
    fail(error.message);
  }

  // For tests and the console: the pixels in [0, 1], the discriminator's outputs and the milliseconds of these inputs.
  window.explorer = (...inputs) => new Promise((done) => {
    make(`asked ${performance.now()} ${Math.random()}`, inputs.map((values) => Float32Array.from(values)), true, done);
  });
})();
