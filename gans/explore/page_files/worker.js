// The worker: computes images away from the page, so that it never freezes.

let networks = {};

onmessage = ({ data }) => {
  if (data.programs) {
    networks = Object.fromEntries(
      Object.entries(data.programs).map(([name, program]) => [name, new Network(program, data.weights)]),
    );
    networks.generator.run(data.sizes.map((size) => new Float32Array(size))); // the first run takes longer than others
    postMessage({ ready: true });
    return;
  }
  const start = performance.now(), pixels = networks.generator.run(data.inputs);
  const milliseconds = performance.now() - start;
  const scored = data.scored && networks.discriminator;
  const scores = scored ? networks.discriminator.run([pixels, data.classes]) : null;
  postMessage({ pixels, scores, milliseconds });
};
