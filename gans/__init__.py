"""Small GANs, the techniques that stabilize them, and the evidence for which technique helps which GAN."""
