// Runs networks that gans/explore/program.py has written: one sample, arrays of floats in row-major order.
"use strict";

const MAPS = {
  relu: () => (x) => (x > 0 ? x : 0),
  leaky_relu: (slope = 0.01) => (x) => (x > 0 ? x : slope * x),
  elu: (alpha = 1, scale = 1, inputScale = 1) => (x) => (x > 0 ? scale * x : scale * alpha * Math.expm1(inputScale * x)),
  tanh: () => Math.tanh,
  sigmoid: () => (x) => 1 / (1 + Math.exp(-x)),
  silu: () => (x) => x / (1 + Math.exp(-x)),
  clamp: (low, high) => (x) => Math.min(Math.max(x, low ?? -Infinity), high ?? Infinity),
  exp: () => Math.exp,
  log: () => Math.log,
  sqrt: () => Math.sqrt,
  rsqrt: () => (x) => 1 / Math.sqrt(x),
  neg: () => (x) => -x,
  abs: () => Math.abs,
  reciprocal: () => (x) => 1 / x,
};

const ZIPS = {
  add: (x, y) => x + y,
  sub: (x, y) => x - y,
  mul: (x, y) => x * y,
  div: (x, y) => x / y,
  maximum: Math.max,
  minimum: Math.min,
  eq: (x, y) => (x === y ? 1 : 0),
  pow: Math.pow,
};

const product = (sizes) => sizes.reduce((total, size) => total * size, 1);

// The places of an array in another one, in order: offset + the sum of index * stride.
function places(shape, strides, offset = 0) {
  let found = [offset];
  shape.forEach((size, dim) => {
    const next = new Int32Array(found.length * size);
    for (let i = 0, n = 0; i < found.length; i++) for (let j = 0; j < size; j++) next[n++] = found[i] + j * strides[dim];
    found = next;
  });
  return found;
}

// The pairs (place in the patches of one channel, place in the channel), made once for each step. Patches are (kernel,
// grid): for each place in the kernel, the values of the image under it, for each place of the grid.
function pairsOf(step, [height, width], [down, across]) {
  if (step.pairs) return step.pairs;
  const [kernelHeight, kernelWidth] = step.kernel, found = [];
  for (let ky = 0, patch = 0; ky < kernelHeight; ky++) {
    for (let kx = 0; kx < kernelWidth; kx++) {
      for (let y = 0; y < down; y++) {
        for (let x = 0; x < across; x++, patch++) {
          const iy = y * step.stride[0] - step.padding[0] + ky * step.dilation[0];
          const ix = x * step.stride[1] - step.padding[1] + kx * step.dilation[1];
          if (iy >= 0 && iy < height && ix >= 0 && ix < width) found.push(patch, iy * width + ix);
        }
      }
    }
  }
  step.pairs = Int32Array.from(found);
  return step.pairs;
}

const OPERATIONS = {
  strided: (step, [x], out) => {
    step.places ??= places(step.shape, step.strides, step.offset);
    for (let i = 0; i < out.length; i++) out[i] = x[step.places[i]];
  },
  map: (step, [x], out) => {
    const f = MAPS[step.function](...step.arguments.map((each) => each ?? undefined));
    for (let i = 0; i < out.length; i++) out[i] = f(x[i]);
  },
  zip: (step, [x, y], out) => {
    step.places ??= step.strides.map((strides) => places(step.shape, strides));
    const f = ZIPS[step.function], [first, second] = step.places;
    for (let i = 0; i < out.length; i++) out[i] = f(x[first[i]], y[second[i]]);
  },
  sum: (step, [x], out) => {
    const width = x.length / out.length;
    for (let i = 0, p = 0; i < out.length; i++) {
      let sum = 0;
      for (let j = 0; j < width; j++) sum += x[p++];
      out[i] = sum;
    }
  },
  cat: (step, parts, out) => {
    let at = 0;
    for (let row = 0; at < out.length; row++) {
      parts.forEach((part, i) => {
        out.set(part.subarray(row * step.widths[i], (row + 1) * step.widths[i]), at);
        at += step.widths[i];
      });
    }
  },
  embedding: (step, [index, weights], out) => {
    const width = out.length / index.length;
    index.forEach((row, i) => out.set(weights.subarray(row * width, (row + 1) * width), i * width));
  },
  linear: (step, [x, weights, bias], out, products) => {
    out.set(bias);
    products.add(weights, x, out, out.length, x.length, 1);
  },
  separable: (step, [x, rows, columns], out) => {
    const [, channels, high, wide] = step.shape, height = rows.length / high, width = columns.length / wide;
    const between = new Float32Array(height * wide);
    for (let channel = 0; channel < channels; channel++) {
      addDots(x.subarray(channel * height * width), columns, between.fill(0), height, width, wide);
      addDots(rows, between, out.subarray(channel * high * wide), high, height, wide);
    }
  },
  convolution: (step, [x, weights, bias], out, products) => {
    const [, channelsIn, height, width] = step.input, [, channelsOut, high, wide] = step.shape, { groups } = step;
    const inputs = channelsIn / groups, outputs = channelsOut / groups, area = high * wide, size = product(step.kernel);
    const pairs = pairsOf(step, [height, width], [high, wide]), inner = inputs * size;
    const columns = new Float32Array(inner * area);
    bias.forEach((value, channel) => out.fill(value, channel * area, (channel + 1) * area));
    for (let group = 0; group < groups; group++) {
      for (let channel = 0; channel < inputs; channel++) {
        const to = channel * size * area, from = (group * inputs + channel) * height * width;
        for (let i = 0; i < pairs.length; i += 2) columns[to + pairs[i]] = x[from + pairs[i + 1]];
      }
      const part = weights.subarray(group * outputs * inner), result = out.subarray(group * outputs * area);
      products.add(part, columns, result, outputs, inner, area);
    }
  },
  convolution_transposed: (step, [x, weights, bias], out, products) => {
    const [, channelsIn, height, width] = step.input, [, channelsOut, high, wide] = step.shape, { groups } = step;
    const inputs = channelsIn / groups, outputs = channelsOut / groups, area = height * width, size = product(step.kernel);
    const pairs = pairsOf(step, [high, wide], [height, width]), rows = outputs * size;
    const columns = new Float32Array(rows * area);
    bias.forEach((value, channel) => out.fill(value, channel * high * wide, (channel + 1) * high * wide));
    for (let group = 0; group < groups; group++) {
      const part = weights.subarray(group * rows * inputs), of_group = x.subarray(group * inputs * area);
      products.add(part, of_group, columns.fill(0), rows, inputs, area);
      for (let channel = 0; channel < outputs; channel++) {
        const from = channel * size * area, to = (group * outputs + channel) * high * wide;
        for (let i = 0; i < pairs.length; i += 2) out[to + pairs[i + 1]] += columns[from + pairs[i]];
      }
    }
  },
};

// c (rows, columns) += a (rows, inner) b (inner, columns), of small matrices with many zeros.
function addDots(a, b, c, rows, inner, columns) {
  for (let row = 0; row < rows; row++) {
    for (let k = 0; k < inner; k++) {
      const factor = a[row * inner + k];
      if (factor !== 0) for (let j = 0; j < columns; j++) c[row * columns + j] += factor * b[k * columns + j];
    }
  }
}

// The 65,536 values of float16.
function halves() {
  return Float32Array.from({ length: 65536 }, (_, bits) => {
    const sign = bits & 0x8000 ? -1 : 1, exponent = (bits >> 10) & 31, fraction = bits & 1023;
    if (exponent === 0) return sign * fraction * 2 ** -24;
    if (exponent === 31) return fraction ? NaN : sign * Infinity;
    return sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
  });
}

// A program of gans/explore/program.py, with the buffer that holds its constants. Those of float16 are stored divided by
// a scale.
class Network {
  constructor({ inputs, constants, steps, output }, buffer) {
    Object.assign(this, { inputs, steps, output });
    const padded = (count) => 4 * Math.ceil(count / 4); // a kernel reads 16 bytes at a time
    const size = constants.reduce((total, { count }) => total + padded(count), 0);
    const counts = Object.fromEntries(constants.map(({ slot, count }) => [slot, count]));
    const weighted = steps.filter(({ op }) => op === "linear" || op.startsWith("convolution"));
    const largest = Math.max(1, ...weighted.map(({ rows }) => rows));
    const longest = Math.max(1, ...weighted.map(({ from, rows, groups = 1 }) => counts[from[1]] / rows / groups));
    this.products = new Products(4 * size, largest, longest);
    const values = halves();
    let at = 0;
    this.constants = constants.map(({ slot, type, offset, count, scale }) => {
      const array = new Float32Array(this.products.memory.buffer, 4 * at, count);
      if (type === "float32") array.set(new Float32Array(buffer, offset, count));
      else new Uint16Array(buffer, offset, count).forEach((bits, i) => { array[i] = values[bits] * scale; });
      at += padded(count);
      return [slot, array];
    });
  }

  // The output for one sample; inputs are arrays.
  run(inputs) {
    const slots = Object.fromEntries(this.constants);
    this.inputs.forEach((slot, i) => { slots[slot] = inputs[i]; });
    for (const step of this.steps) {
      const out = new Float32Array(product(step.shape));
      OPERATIONS[step.op](step, step.from.map((slot) => slots[slot]), out, this.products);
      slots[step.to] = out;
    }
    return slots[this.output];
  }
}
